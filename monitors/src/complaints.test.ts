import { expect, test } from "vitest";
import { Complaints } from "./complaints.ts";
import { FakeClock } from "./testing/fake-clock.ts";

test("the first ten of a minute are told, the others counted and told of later", () => {
  const clock = new FakeClock();
  const complaints = new Complaints(clock);
  const told = Array.from({ length: 25 }, (_, n) => complaints.ask(`trouble ${n}`));
  expect(told.filter((text) => text !== undefined)).toEqual(
    Array.from({ length: 10 }, (_, n) => `trouble ${n}`),
  );
  clock.advance(59_999);
  expect(complaints.ask("still")).toBeUndefined();
  clock.advance(1);
  expect(complaints.ask("again")).toBe("again (and 16 more complaints that were not logged)");
  expect(complaints.ask("once more")).toBe("once more");
});
