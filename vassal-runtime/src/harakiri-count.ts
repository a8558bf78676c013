/** How often workers were ended by `harakiri`, by their number; for the statistics. */

const counts = new Map<number, number>();

/** A worker with this number ends so. */
export function noteHarakiri(worker: number): void {
  counts.set(worker, harakirisOf(worker) + 1);
}

/** Since the vassal was started. */
export function harakirisOf(worker: number): number {
  return counts.get(worker) ?? 0;
}
