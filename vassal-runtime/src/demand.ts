/**
 * Too little and too much to do: `idle`, `vassal-sos`, `vassal-sos-backlog`. Pure: time and load are
 * given. What follows (byte 22, byte 30, workers that end) is for others.
 */

export interface DemandSettings {
  /** `idle`: no request for more than this time. */
  readonly idleMs: number | undefined;
  /** `vassal-sos`: all workers were busy for more than this time. */
  readonly sosMs: number | undefined;
  /** `vassal-sos-backlog`: so many connections wait in one listen queue. */
  readonly sosBacklog: number | undefined;
}

export interface DemandSample {
  readonly now: number;
  /** Requests finished since the start, of all workers. */
  readonly requests: number;
  /** Requests that run now, of all workers. */
  readonly running: number;
  /** No worker can take another request soon. */
  readonly allBusy: boolean;
}

export interface Demand {
  /** True once per idle time. */
  readonly idle: boolean;
  /** Why reinforcements are needed. */
  readonly overload: string | undefined;
}

export class DemandWatch {
  readonly #settings: DemandSettings;
  #activeAt: number;
  #requests = 0;
  #idle = false;
  #busySince: number | undefined;

  constructor(settings: DemandSettings, now: number) {
    this.#settings = settings;
    this.#activeAt = now;
  }

  /** Work is expected: a connection came, or workers were started for one. */
  wake(now: number): void {
    this.#activeAt = now;
    this.#idle = false;
  }

  /** Looks at a sample; about once a second. */
  look(sample: DemandSample): Demand {
    return { idle: this.#becameIdle(sample), overload: this.#overload(sample) };
  }

  #becameIdle({ now, requests, running }: DemandSample): boolean {
    const { idleMs } = this.#settings;
    if (requests !== this.#requests || running > 0) this.wake(now);
    this.#requests = requests;
    if (idleMs === undefined || this.#idle || now - this.#activeAt <= idleMs) return false;
    this.#idle = true;
    return true;
  }

  /** Repeated while it lasts, after each further `sosMs`. */
  #overload({ now, allBusy }: DemandSample): string | undefined {
    const { sosMs } = this.#settings;
    if (sosMs === undefined) return undefined;
    if (!allBusy) {
      this.#busySince = undefined;
      return undefined;
    }
    this.#busySince ??= now;
    const busyMs = now - this.#busySince;
    if (busyMs <= sosMs) return undefined;
    this.#busySince = now;
    return `all workers were busy for ${Math.round(busyMs / 1000)} s`;
  }
}

/** Who waits longer than this for help asks again: the Emperor answers no sooner, and uWSGI asks as often. */
const ASK_AGAIN_MS = 1000;

/** `vassal-sos-backlog`, apart from the rest because it is looked at more often. */
export class QueueWatch {
  readonly #limit: number;
  #askedAt = -Infinity;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `length`: connections in the longest listen queue. Gives why reinforcements are needed, about once a second. */
  look(now: number, length: number): string | undefined {
    if (length < this.#limit || now - this.#askedAt < ASK_AGAIN_MS) return undefined;
    this.#askedAt = now;
    return `backlog: ${length}`;
  }
}
