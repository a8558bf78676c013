/**
 * uWSGI's spacing between two starts, as its manual and its 2.1 branch have it: a level that doubles
 * while starts share one second and halves otherwise. Here it is time in a queue: uWSGI 2.0 computes
 * the level and never uses it, 2.1 lets the whole Emperor sleep for it. Knows neither queue nor vassal.
 */
import type { Instant } from "./vassal.ts";

/** The state between two starts. */
export interface Spacing {
  /** Pause before a start, ms. */
  readonly levelMs: number;
  /** Second of the last decision; -1 before the first. */
  readonly second: number;
}

export function newSpacing(throttleMs: number): Spacing {
  return { levelMs: throttleMs, second: -1 };
}

/**
 * The pause that a start decided at `at` has to wait, in `levelMs` of the result.
 *
 * A second start within one clock second doubles the level, any other halves it, never below
 * `throttleMs`. There is no upper limit, as in uWSGI; but a pause that crosses a second ends the
 * doubling, because the next decision is taken after it.
 */
export function spaceStart(spacing: Spacing, at: Instant, throttleMs: number): Spacing {
  const second = Math.floor(at / 1000);
  if (second === spacing.second) return { levelMs: spacing.levelMs * 2, second };
  const halved = spacing.levelMs > throttleMs ? spacing.levelMs / 2 : spacing.levelMs;
  return { levelMs: Math.max(halved, throttleMs), second };
}
