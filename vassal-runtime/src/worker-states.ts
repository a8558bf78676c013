/**
 * Who runs workers leaves word here how to ask for their state, and the stats server asks. Neither has
 * to know the other.
 */
import type { RequestTotals } from "./request-counter.ts";

/** One worker, copy of a command, or the only process. */
export interface WorkerState {
  /** From 1. */
  readonly id: number;
  /** 0: no process at the moment. */
  readonly pid: number;
  readonly accepting: boolean;
  /** Seconds since the epoch; 0 for never. */
  readonly startedAt: number;
  /** How often it was started again. */
  readonly respawns: number;
  /** It did not answer: its event loop is busy. */
  readonly silent: boolean;
  /** Undefined where its requests are not seen. */
  readonly totals: RequestTotals | undefined;
}

type Source = () => readonly WorkerState[] | Promise<readonly WorkerState[]>;

let source: Source = () => [];

/** From now on these are the workers. */
export function tellWorkers(next: Source): void {
  source = next;
}

/** The workers at this moment. */
export async function askWorkers(): Promise<readonly WorkerState[]> {
  return source();
}
