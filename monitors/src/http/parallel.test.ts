import { expect, test } from "vitest";
import { inParallel } from "./parallel.ts";

test("every item has its turn, and never more than the limit at once", async () => {
  const done: number[] = [];
  let running = 0;
  let most = 0;
  await inParallel(3, [1, 2, 3, 4, 5, 6, 7], async (item) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    done.push(item);
  });
  expect(done.toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(most).toBe(3);
});

test("nothing to do is done at once", async () => {
  await inParallel(3, [], () => Promise.reject(new Error("never called")));
});
