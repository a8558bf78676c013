import { expect, it } from "vitest";
import { WELL_AFTER_MS, nextDelayMs } from "./back-off.ts";

it("doubles the pause up to its limit, and forgets after a long life", () => {
  const delays = [];
  for (let last = 0; delays.length < 5;) delays.push((last = nextDelayMs(last, 10, 6000)));
  expect(delays).toEqual([1000, 2000, 4000, 6000, 6000]);
  expect(nextDelayMs(6000, WELL_AFTER_MS, 6000)).toBe(0);
});
