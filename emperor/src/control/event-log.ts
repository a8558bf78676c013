/**
 * The latest transitions of all vassals, numbered, for whoever wants to follow them: a ring of fixed
 * size and readers that each have a place in it. A reader that is too slow loses the oldest and is told
 * how many; it costs no memory and nobody waits for it. Knows no sockets and no requests.
 */

/** One transition. Plain data, as it goes over the wire. */
export interface ControlEvent {
  /** Counts from 1; what an interrupted reader resumes from. */
  readonly id: number;
  /** Wall clock, ms since the epoch. */
  readonly at: number;
  readonly monitor: string;
  readonly vassal: string;
  /** What happened: the kind of the notice. */
  readonly event: string;
  /** Phase after it. */
  readonly state: string;
  /** Everything else that the notice says: reason, pid, delayMs, exit ... */
  readonly [fact: string]: unknown;
}

export interface EventReader {
  /** Events that came since, oldest first, at most `most`. */
  take(most: number): { readonly events: readonly ControlEvent[]; readonly lost: number };
  close(): void;
}

interface Kept {
  readonly event: ControlEvent;
  readonly owner: number | undefined;
}

/** Who may see an event, by the user id of its vassal. */
export type Visible = (owner: number | undefined) => boolean;

export const KEPT_EVENTS = 4096;

export class EventLog {
  readonly #size: number;
  readonly #ring: Kept[] = [];
  #last = 0;
  readonly #wakers = new Set<() => void>();

  constructor(size: number = KEPT_EVENTS) {
    this.#size = size;
  }

  /** Id of the latest event; 0: none yet. */
  get last(): number {
    return this.#last;
  }

  /** Readers that follow. */
  get readers(): number {
    return this.#wakers.size;
  }

  /** `owner`: user id of the vassal. */
  add(facts: Omit<ControlEvent, "id">, owner: number | undefined): void {
    this.#last += 1;
    const event = { id: this.#last, ...facts } as ControlEvent;
    this.#ring[(this.#last - 1) % this.#size] = { event, owner };
    for (const wake of this.#wakers) wake();
  }

  /** The latest events of one vassal, oldest first. */
  of(monitor: string, vassal: string, most: number): readonly ControlEvent[] {
    const found: ControlEvent[] = [];
    for (let id = this.#last; id >= this.#oldest && found.length < most; id--) {
      const event = this.#at(id)?.event;
      if (event?.vassal === vassal && event.monitor === monitor) found.unshift(event);
    }
    return found;
  }

  /** Reads what comes after event `since`. `wake` is called for each new event, and must be cheap. */
  read(since: number, visible: Visible, wake: () => void): EventReader {
    // Whoever begins at the beginning, or with an id of an earlier Emperor, gets all that there is.
    let at = since === 0 || since > this.#last ? this.#oldest - 1 : since;
    this.#wakers.add(wake);
    return {
      take: (most) => {
        const lost = Math.max(0, this.#oldest - 1 - at);
        if (lost > 0) at += lost;
        const events: ControlEvent[] = [];
        while (at < this.#last && events.length < most) {
          at += 1;
          const kept = this.#at(at);
          if (kept !== undefined && visible(kept.owner)) events.push(kept.event);
        }
        return { events, lost };
      },
      close: () => void this.#wakers.delete(wake),
    };
  }

  get #oldest(): number {
    return Math.max(1, this.#last - this.#size + 1);
  }

  #at(id: number): Kept | undefined {
    return this.#ring[(id - 1) % this.#size];
  }
}
