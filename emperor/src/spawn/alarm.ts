/** The one timer of the court. Knows monotonic instants and nothing of what they are for. */

/** The longest delay of a timer of Node; longer ones would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

export class Alarm {
  readonly #now: () => number;
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #at: number | undefined;

  constructor(now: () => number, ring: () => void) {
    this.#now = now;
    this.#ring = ring;
  }

  /** Rings once at or after `at`; replaces what was set before. `undefined`: never. */
  set(at: number | undefined): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#at = at;
    if (at !== undefined) this.#arm(at);
  }

  #arm(at: number): void {
    const delay = Math.min(LONGEST_MS, Math.max(0, Math.ceil(at - this.#now())));
    this.#timer = setTimeout(this.#fire, delay);
  }

  readonly #fire = (): void => {
    const at = this.#at;
    this.#timer = undefined;
    if (at === undefined) return;
    // Node's timers may fire a fraction early, and a very long delay was cut: then it is not time yet.
    if (this.#now() < at) return this.#arm(at);
    this.#at = undefined;
    this.#ring();
  };
}
