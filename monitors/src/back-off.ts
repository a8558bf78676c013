/** Pauses between attempts to reach a server: longer each time, spread by chance, bounded. Pure. */

const FIRST_MS = 250;
const LONGEST_MS = 30_000;

/**
 * Milliseconds before the next attempt after `failures` (1 or more) in a row: 250 ms doubled each
 * time, at most 30 s, times a factor between 0.5 and 1.5, so that a fleet does not come back as one.
 */
export function backOffMs(failures: number, random: () => number): number {
  const pause = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 20));
  return Math.round(pause * (0.5 + random()));
}
