/** How long a program that ended waits until it is started again. Pure; the caller owns the clock. */

/** One that lived so long was well: it is started again at once. */
export const WELL_AFTER_MS = 10_000;
const FIRST_DELAY_MS = 1000;

/** The next delay, twice the one before; `lastMs` is 0 before the first. */
export function nextDelayMs(lastMs: number, livedMs: number, mostMs: number): number {
  if (livedMs >= WELL_AFTER_MS) return 0;
  return Math.min(mostMs, lastMs === 0 ? FIRST_DELAY_MS : lastMs * 2);
}
