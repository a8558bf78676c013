import { expect, it } from "vitest";
import { wantedWorkers } from "./cheaper.ts";
import type { CheaperPolicy, CheaperState } from "./cheaper.ts";

const POLICY: CheaperPolicy = { minimum: 2, initial: 2, maximum: 6, step: 2, overloadMs: 3000 };

/** Looks once a second and tells the number of workers after each look. */
function run(busy: readonly number[], from: number, backlog = 0): number[] {
  let workers = from;
  let state: CheaperState;
  return busy.map((count, second) => {
    ({ workers, state } = wantedWorkers(POLICY, state, {
      now: second * 1000,
      workers,
      busy: count,
      backlog,
    }));
    return workers;
  });
}

it("starts more while none is idle, up to the maximum", () => {
  expect(run([1, 2, 3, 4, 6, 6], 2)).toEqual([2, 4, 4, 6, 6, 6]);
});

it("starts more when connections wait", () => {
  expect(run([0, 0], 2, 5)).toEqual([4, 6]);
});

it("stops one at a time when more than the minimum were idle for long enough, not below the minimum", () => {
  expect(run(Array(14).fill(0) as number[], 4)).toEqual([4, 4, 4, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2]);
});

it("begins to count anew when they are needed in between", () => {
  expect(run([0, 0, 3, 0, 0, 0, 0], 4)).toEqual([4, 4, 4, 4, 4, 4, 3]);
});
