import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FileFacts } from "./file-facts.ts";
import { consider, judge } from "./settle.ts";
import type { Candidate, HintKind, Instant } from "./settle.ts";

const RULES = { quietMs: 40 };
const WALL = 1_700_000_000_000;

function at(ms: number): Instant {
  return { monotonicMs: ms, wallMs: WALL + ms };
}

/** A file whose times are given in ms on the scale of `at`. */
function file(mtimeMs: number, ctimeMs: number, more: Partial<FileFacts> = {}): FileFacts {
  const seconds = (ms: number): number => Math.floor((WALL + ms) / 1000);
  const nanoseconds = (ms: number): number => ((WALL + ms) % 1000) * 1e6;
  return {
    name: "a.ini",
    dev: 1,
    ino: 1,
    size: 10,
    mtimeSec: seconds(mtimeMs),
    mtimeNsec: nanoseconds(mtimeMs),
    ctimeSec: seconds(ctimeMs),
    ctimeNsec: nanoseconds(ctimeMs),
    uid: 0,
    gid: 0,
    nlink: 1,
    isLink: false,
    ...more,
  };
}

describe("age by the wall clock", () => {
  test.each([
    [file(-40, -40), true],
    [file(-40, -39), false],
    [file(-39, -40), false],
    [file(60_000, -40), false],
    [file(-40, 60_000), false],
  ])("%#", (facts, take) => {
    expect(judge(consider(undefined, facts, undefined, at(0)), at(0), RULES).take).toBe(take);
  });

  test("counts at first sight only: a jump of the clock settles nothing", () => {
    const first = consider(undefined, file(0, 0), undefined, at(0));
    const jumped: Instant = { monotonicMs: 1, wallMs: WALL + 3_600_000 };
    expect(judge(consider(first, file(0, 0), undefined, jumped), jumped, RULES).take).toBe(false);
  });
});

describe("renamed into place", () => {
  const twice = (facts: FileFacts, gapMs: number, between?: HintKind): boolean => {
    const first = consider(undefined, facts, "rename", at(0));
    expect(judge(first, at(0), RULES).take).toBe(false);
    return judge(consider(first, facts, between, at(gapMs)), at(gapMs), RULES).take;
  };

  test.each([
    ["written before it was renamed", file(-3, 0), 0, undefined, true],
    ["mtime set by hand, in the future", file(5000, 0), 0, undefined, true],
    ["same tick, too early", file(0, 0), 1, undefined, false],
    ["same tick, 2 ms later", file(0, 0), 2, undefined, true],
    ["same tick, but more than one write", file(0, 0, { size: 65_537 }), 2, undefined, false],
    ["a write came between", file(-3, 0), 5, "change", false],
    ["renamed again", file(-3, 0), 5, "rename", false],
    ["empty", file(-3, 0, { size: 0 }), 5, undefined, false],
    ["a link", file(-3, 0, { isLink: true }), 5, undefined, false],
  ] as const)("%s", (_what, facts, gapMs, between, take) => {
    expect(twice(facts, gapMs, between)).toBe(take);
  });
});

test("an empty file waits five times as long", () => {
  const empty = file(0, 0, { size: 0 });
  const candidate = consider(undefined, empty, "change", at(0));
  expect(judge(consider(candidate, empty, undefined, at(199)), at(199), RULES).take).toBe(false);
  expect(judge(consider(candidate, empty, undefined, at(200)), at(200), RULES).take).toBe(true);
});

describe("whatever happens", () => {
  const step = fc.record({
    gapMs: fc.integer({ min: 0, max: 50 }),
    write: fc.boolean(),
    hint: fc.constantFrom<(HintKind | undefined)[]>(undefined, "rename", "change"),
  });

  test("a file written with its hints is never taken within the quiet time of its last write", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        let now = 0;
        let facts = file(0, 0, { size: 1 });
        let candidate: Candidate | undefined;
        let lastWriteAt = 0;
        for (const { gapMs, write } of steps) {
          now += gapMs;
          if (write) {
            facts = file(now, now, { size: facts.size + 1 });
            lastWriteAt = now;
          }
          candidate = consider(
            candidate,
            facts,
            write || candidate === undefined ? "change" : undefined,
            at(now),
          );
          const verdict = judge(candidate, at(now), RULES);
          if (verdict.take) expect(now - lastWriteAt).toBeGreaterThanOrEqual(40);
        }
      }),
    );
  });

  test("a wait always ends: looking when told to, a file left alone is taken within the quiet time", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), (steps) => {
        let now = 0;
        let facts = file(0, 0, { size: 1 });
        let candidate: Candidate | undefined;
        for (const { gapMs, write, hint } of steps) {
          now += gapMs;
          if (write) facts = file(now, now, { size: facts.size + 1 });
          candidate = consider(candidate, facts, hint, at(now));
        }
        const leftAloneAt = now;
        for (let looks = 0; ; looks += 1) {
          candidate = consider(candidate, facts, undefined, at(now));
          const verdict = judge(candidate, at(now), RULES);
          if (verdict.take) break;
          expect(looks).toBeLessThan(5);
          now = Math.max(now, verdict.againAtMs);
        }
        expect(now - leftAloneAt).toBeLessThanOrEqual(40);
      }),
    );
  });
});
