/** "Did you mean": the candidate at the smallest edit distance. */

/** Optimal string alignment distance, or `limit + 1` when it is larger than `limit`. */
export function editDistance(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) > limit) return limit + 1;
  let twoBack: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    let smallest = row;
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      let cost = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      );
      if (
        row > 1 &&
        column > 1 &&
        left[row - 1] === right[column - 2] &&
        left[row - 2] === right[column - 1]
      ) {
        cost = Math.min(cost, (twoBack[column - 2] ?? 0) + 1);
      }
      current.push(cost);
      smallest = Math.min(smallest, cost);
    }
    if (smallest > limit) return limit + 1;
    twoBack = previous;
    previous = current;
  }
  return previous[right.length] ?? 0;
}

/** How option names are compared for a suggestion: case and `_` are the usual slips. */
function normalise(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/**
 * The candidate that `name` was probably meant to be, or undefined when none is near enough: at most
 * a third of its letters wrong, with fewer than three letters none. Names beyond 64 characters get no suggestion.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > 64) return undefined;
  const wanted = normalise(name);
  let limit = wanted.length < 3 ? 0 : Math.max(1, Math.floor(wanted.length / 3));
  let best: string | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, normalise(candidate), limit);
    if (distance > limit || (best !== undefined && distance === limit)) continue;
    if (distance === 0) return candidate;
    best = candidate;
    limit = distance;
  }
  return best;
}
