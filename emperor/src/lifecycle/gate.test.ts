import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Gate } from "./gate.ts";

describe("the gate", () => {
  test("lets no more start than it has slots, in the order of arrival", () => {
    const gate = new Gate<string>({ maxStarting: 2 });
    for (const key of ["a", "b", "c", "d"]) gate.request(key, 0);
    expect(gate.grant(0)).toEqual(["a", "b"]);
    expect(gate.grant(0)).toEqual([]);
    gate.release("a");
    expect(gate.grant(0)).toEqual(["c"]);
    expect([gate.starting, gate.waiting]).toEqual([2, 1]);
  });

  test("lets those who were no nuisance go first", () => {
    const gate = new Gate<string>({ maxStarting: 9 });
    gate.request("bad", 7);
    gate.request("new", 0);
    gate.request("worse", 8);
    gate.request("respawn", -1);
    gate.request("new too", 0);
    expect(gate.grant(0)).toEqual(["respawn", "new", "new too", "bad", "worse"]);
  });

  test("forgets who cancelled and replaces who asks again", () => {
    const gate = new Gate<string>({ maxStarting: 9 });
    gate.request("a", 0);
    gate.request("b", 0);
    gate.request("a", 5);
    gate.request("c", 9);
    gate.cancel("c");
    gate.cancel("never there");
    expect(gate.grant(0)).toEqual(["b", "a"]);
  });

  test("takes a slot back once, however often it is told", () => {
    const gate = new Gate<string>({ maxStarting: 1 });
    gate.request("a", 0);
    gate.grant(0);
    gate.release("a");
    gate.release("a");
    gate.release("never there");
    gate.request("b", 0);
    gate.request("c", 0);
    expect(gate.grant(0)).toEqual(["b"]);
  });

  test("gives nobody two slots: a grant that is on its way answers the next request, too", () => {
    const gate = new Gate<string>({ maxStarting: 2 });
    gate.request("a", 0);
    expect(gate.grant(0)).toEqual(["a"]);
    gate.cancel("a");
    gate.request("a", 0);
    expect(gate.grant(0)).toEqual([]);
    expect([gate.starting, gate.waiting]).toEqual([1, 0]);
  });

  test("has at least one slot", () => {
    const gate = new Gate<string>({ maxStarting: 0 });
    gate.request("a", 0);
    expect(gate.grant(0)).toEqual(["a"]);
  });
});

describe("the gate with an explicit throttle", () => {
  test("does not space the first scan", () => {
    const gate = new Gate<string>({ maxStarting: 9, spacingMs: 1000 });
    for (const key of ["a", "b", "c"]) gate.request(key, 0);
    gate.firstScanDone();
    expect(gate.grant(10)).toEqual(["a", "b", "c"]);
    expect(gate.nextAt).toBeUndefined();
    expect(gate.throttleLevelMs).toBe(0);
  });

  test("lets one start per pause and says when to ask again", () => {
    const gate = new Gate<string>({ maxStarting: 9, spacingMs: 1000 });
    gate.firstScanDone();
    for (const key of ["a", "b"]) gate.request(key, 0);
    expect(gate.grant(500)).toEqual([]);
    expect(gate.nextAt).toBe(1500);
    expect(gate.grant(1499)).toEqual([]);
    expect(gate.grant(1500)).toEqual(["a"]);
    expect(gate.nextAt).toBe(2500);
    expect(gate.grant(2500)).toEqual(["b"]);
    expect(gate.nextAt).toBeUndefined();
    expect(gate.throttleLevelMs).toBe(1000);
  });

  test("keeps the pause when its first in line leaves, and drops it with the last", () => {
    const gate = new Gate<string>({ maxStarting: 9, spacingMs: 1000 });
    gate.firstScanDone();
    gate.request("a", 0);
    gate.request("b", 0);
    gate.grant(0);
    gate.cancel("a");
    expect(gate.grant(1000)).toEqual(["b"]);
    gate.request("c", 0);
    gate.grant(1500);
    gate.cancel("c");
    expect(gate.grant(1600)).toEqual([]);
    expect(gate.nextAt).toBeUndefined();
    gate.request("d", 0);
    expect(gate.grant(9000)).toEqual([]);
    expect(gate.nextAt).toBe(10_000);
  });

  test("asks for no other look while all slots are taken", () => {
    const gate = new Gate<string>({ maxStarting: 1, spacingMs: 10 });
    gate.request("a", 0);
    gate.grant(0);
    gate.firstScanDone();
    gate.request("b", 0);
    expect(gate.grant(0)).toEqual([]);
    expect(gate.nextAt).toBeUndefined();
  });
});

type Move =
  | { readonly do: "request"; readonly key: number; readonly nuisance: number }
  | { readonly do: "cancel" | "release"; readonly key: number }
  | { readonly do: "grant" };

const key = fc.nat(40);
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("request" as const),
      key,
      nuisance: fc.integer({ min: -1, max: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("cancel" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("release" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("grant" as const) }) },
);

test("the gate does what a sorted list would do", () => {
  fc.assert(
    fc.property(
      fc.array(move, { maxLength: 400 }),
      fc.integer({ min: 1, max: 6 }),
      (moves, slots) => {
        const gate = new Gate<number>({ maxStarting: slots });
        let queue: { key: number; nuisance: number }[] = [];
        const holders = new Set<number>();
        for (const step of moves) {
          switch (step.do) {
            case "request":
              gate.request(step.key, step.nuisance);
              if (holders.has(step.key)) break;
              queue = queue.filter((entry) => entry.key !== step.key);
              queue.push({ key: step.key, nuisance: step.nuisance });
              break;
            case "cancel":
              gate.cancel(step.key);
              queue = queue.filter((entry) => entry.key !== step.key);
              break;
            case "release":
              gate.release(step.key);
              holders.delete(step.key);
              break;
            case "grant": {
              // Array.prototype.sort is stable: equals keep the order of arrival.
              queue.sort((a, b) => a.nuisance - b.nuisance);
              const expected = queue.splice(0, slots - holders.size).map((entry) => entry.key);
              for (const granted of expected) holders.add(granted);
              expect(gate.grant(0)).toEqual(expected);
              break;
            }
          }
          expect([gate.starting, gate.waiting]).toEqual([holders.size, queue.length]);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("a hundred thousand requests and grants are no matter of squares", () => {
  const gate = new Gate<number>({ maxStarting: 8 });
  const count = 100_000;
  for (let n = 0; n < count; n++) gate.request(n, n % 7);
  const granted: number[] = [];
  while (gate.waiting > 0) {
    for (const key of gate.grant(0)) {
      granted.push(key);
      gate.release(key);
    }
  }
  expect(granted).toHaveLength(count);
  expect(new Set(granted).size).toBe(count);
});
