/**
 * Thins out complaints that anybody may cause, and cause without end: a few are told as they come, the
 * others counted, and the count is told with the next one. Pure but for the clock it is given.
 */
import type { MonitorClock } from "./monitor.ts";

const BURST = 10;
const INTERVAL_MS = 60_000;

export class Complaints {
  readonly #clock: Pick<MonitorClock, "now">;
  #windowAt: number | undefined;
  #told = 0;
  #untold = 0;

  constructor(clock: Pick<MonitorClock, "now">) {
    this.#clock = clock;
  }

  /** The text to tell, perhaps with the number of those that were not told; undefined: tell nothing. */
  ask(text: string): string | undefined {
    const now = this.#clock.now();
    if (this.#windowAt === undefined || now - this.#windowAt >= INTERVAL_MS) {
      this.#windowAt = now;
      this.#told = 0;
    }
    if (this.#told >= BURST) {
      this.#untold += 1;
      return undefined;
    }
    this.#told += 1;
    const untold = this.#untold;
    this.#untold = 0;
    return untold === 0 ? text : `${text} (and ${untold} more complaints that were not logged)`;
  }
}
