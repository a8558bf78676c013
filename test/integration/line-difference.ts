/** The difference of two texts as lines: `-` only in the first one, `+` only in the second one. */

/** Longest common subsequence; the texts of tests are short. */
export function differenceOf(left: readonly string[], right: readonly string[]): readonly string[] {
  const lengths = Array.from({ length: left.length + 1 }, () =>
    Array.from({ length: right.length + 1 }, () => 0),
  );
  const at = (row: number, column: number): number => lengths[row]?.[column] ?? 0;
  for (let row = left.length - 1; row >= 0; row -= 1) {
    const current = lengths[row] ?? [];
    for (let column = right.length - 1; column >= 0; column -= 1) {
      current[column] =
        left[row] === right[column]
          ? at(row + 1, column + 1) + 1
          : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const result: string[] = [];
  let row = 0;
  let column = 0;
  while (row < left.length || column < right.length) {
    if (row < left.length && column < right.length && left[row] === right[column]) {
      row += 1;
      column += 1;
    } else if (
      row < left.length &&
      (column === right.length || at(row + 1, column) >= at(row, column + 1))
    ) {
      result.push(`-${left[row] ?? ""}`);
      row += 1;
    } else {
      result.push(`+${right[column] ?? ""}`);
      column += 1;
    }
  }
  return result;
}
