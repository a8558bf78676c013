/** A clock that only moves when told, and the queue that stands for rounds of the event loop. */
import type { MonitorClock } from "../monitor.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

export class FakeClock implements MonitorClock {
  /** Monotonic and wall time differ, so that mixing them up shows. */
  static readonly wallOffsetMs = 1_700_000_000_000;
  #nowMs = 1000;
  #wallShiftMs = 0;
  readonly #timers = new Set<Timer>();
  #soon: (() => void)[] = [];

  now(): number {
    return this.#nowMs;
  }

  wallNow(): number {
    return FakeClock.wallOffsetMs + this.#nowMs + this.#wallShiftMs;
  }

  setTimer(afterMs: number, callback: () => void): { cancel(): void } {
    const timer = { at: this.#nowMs + afterMs, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  readonly soon = (callback: () => void): void => {
    this.#soon.push(callback);
  };

  /** Timers that are waiting, as ms from now. */
  get pendingMs(): number[] {
    return [...this.#timers].map(({ at }) => at - this.#nowMs).sort((a, b) => a - b);
  }

  /** The wall clock jumps, the monotonic one does not. */
  stepWall(ms: number): void {
    this.#wallShiftMs += ms;
  }

  /** One round of the event loop without time passing. */
  round(): void {
    const callbacks = this.#soon;
    this.#soon = [];
    for (const callback of callbacks) callback();
  }

  /** Rounds until nothing is queued. */
  drain(): void {
    for (let rounds = 0; this.#soon.length > 0; rounds += 1) {
      if (rounds > 1000) throw new Error("the event loop never comes to rest");
      this.round();
    }
  }

  /** Lets time pass, timers and rounds in their order. */
  advance(ms: number): void {
    const end = this.#nowMs + ms;
    this.drain();
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.at);
      due.callback();
      this.drain();
    }
    this.#nowMs = end;
  }
}
