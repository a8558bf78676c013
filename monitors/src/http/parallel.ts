/** Runs a task for every item, a bounded number of them at a time. Knows no HTTP. */

/** Resolves when all are done; rejects with the first failure. */
export async function inParallel<Item>(
  limit: number,
  items: Iterable<Item>,
  task: (item: Item) => Promise<void>,
): Promise<void> {
  // One iterator for all: each takes what is next when it has time.
  const rest = [...items][Symbol.iterator]();
  const runner = async (): Promise<void> => {
    for (const item of { [Symbol.iterator]: () => rest }) await task(item);
  };
  await Promise.all(Array.from({ length: limit }, runner));
}
