/**
 * How many workers there should be (`cheaper`): pure, time and load are given. The algorithm is uWSGI's
 * `spare`, with one difference: a Node worker serves many requests at a time, so it counts as busy when
 * its event loop is, not when a request runs in it.
 */

export interface CheaperPolicy {
  /** `cheaper`: the fewest workers. */
  readonly minimum: number;
  /** `cheaper-initial`. */
  readonly initial: number;
  /** `processes`. */
  readonly maximum: number;
  /** `cheaper-step`: workers started at once. */
  readonly step: number;
  /** `cheaper-overload`: so long there must have been more idle workers than the minimum until one is stopped. */
  readonly overloadMs: number;
}

/** A worker whose event loop worked for more than this part of the last second is busy. */
export const BUSY_LOAD = 0.5;

/** Since when there have been more idle workers than needed; undefined: there are not. */
export type CheaperState = number | undefined;

export interface CheaperSample {
  readonly now: number;
  /** Workers that there are, or that are being started. */
  readonly workers: number;
  /** Of these: busy, or not yet able to accept. */
  readonly busy: number;
  /** Connections that wait in the listen queues. */
  readonly backlog: number;
}

/** The number of workers wanted now, and the state for the next call. Called about once a second. */
export function wantedWorkers(
  policy: CheaperPolicy,
  state: CheaperState,
  { now, workers, busy, backlog }: CheaperSample,
): { readonly workers: number; readonly state: CheaperState } {
  const idle = workers - busy;
  if ((idle <= 0 || backlog > workers) && workers < policy.maximum) {
    return { workers: Math.min(policy.maximum, workers + policy.step), state: undefined };
  }
  if (workers <= policy.minimum || idle <= policy.minimum) return { workers, state: undefined };
  const since = state ?? now;
  if (now - since < policy.overloadMs) return { workers, state: since };
  // One at a time: uWSGI does so, and the next look comes soon.
  return { workers: workers - 1, state: now };
}
