/** Errands of the Emperor itself (the mercy of Ragnarok) on the court's one alarm. */
import { Deadlines, type Timed } from "./deadlines.ts";

interface Errand extends Timed {
  readonly run: () => void;
}

export class Schedule {
  readonly #errands = new Deadlines<Errand>();

  get next(): number | undefined {
    return this.#errands.next;
  }

  /** Runs `run` once, at or soon after `at` (monotonic ms). Returns a function that calls it off. */
  at(at: number, run: () => void): () => void {
    const errand: Errand = { run, deadlineAt: at, heapIndex: -1 };
    this.#errands.set(errand, at);
    return () => this.#errands.set(errand, undefined);
  }

  runDue(now: number): void {
    for (const errand of this.#errands.takeDue(now)) errand.run();
  }
}
