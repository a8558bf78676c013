import { describe, expect, test } from "vitest";
import { newSpacing, spaceStart } from "./throttle.ts";

/** Starts that all want to go at once; each decision is taken when the pause before it is over. */
function pauses(throttleMs: number, count: number, from: number): number[] {
  let spacing = newSpacing(throttleMs);
  let now = from;
  return Array.from({ length: count }, () => {
    spacing = spaceStart(spacing, now, throttleMs);
    now += spacing.levelMs;
    return spacing.levelMs;
  });
}

describe("the spacing of starts", () => {
  test("is always one second with the default of 1000 ms, because each pause crosses a second", () => {
    expect(pauses(1000, 5, 250)).toEqual([1000, 1000, 1000, 1000, 1000]);
  });

  test("doubles within a second and halves after it", () => {
    // Decisions at 0, 100, 300, 700 share second 0; the one at 1500 does not.
    expect(pauses(100, 6, 0)).toEqual([100, 200, 400, 800, 400, 800]);
  });

  test("never falls below the throttle", () => {
    let spacing = newSpacing(300);
    for (const at of [0, 5000, 10_000]) {
      spacing = spaceStart(spacing, at, 300);
      expect(spacing.levelMs).toBe(300);
    }
  });
});
