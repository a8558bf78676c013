import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  answerBrood,
  BROOD_FRESH_MS,
  BROOD_LONGEST_MS,
  BROOD_SPACING_MS,
  broodAsked,
  broodLost,
  NEW_BROOD,
  type BroodCensus,
} from "./brood.ts";

const POLICY = { most: 4, cooldownMs: 3000 };
const ROOM: BroodCensus = { all: 0, ofVassal: 0, mostOfVassal: 4, gateIsShort: false };

describe("a request", () => {
  test("is answered at once, and the next one a moment later", () => {
    const first = answerBrood(broodAsked(NEW_BROOD, 10), ROOM, 10, POLICY);
    expect(first.answer).toEqual({ kind: "start" });
    const again = broodAsked(first.brood, 20);
    const second = answerBrood(again, ROOM, 20, POLICY);
    expect(second.answer).toEqual({ kind: "wait", until: 10 + BROOD_SPACING_MS });
    const third = answerBrood(second.brood, ROOM, 10 + BROOD_SPACING_MS, POLICY);
    expect(third.answer).toEqual({ kind: "start" });
  });

  test("counts once, however often it was made", () => {
    let brood = NEW_BROOD;
    for (let now = 0; now < 1000; now++) brood = broodAsked(brood, now);
    const { brood: after, answer } = answerBrood(brood, ROOM, 1000, POLICY);
    expect(answer.kind).toBe("start");
    expect(answerBrood(after, ROOM, 5000, POLICY).answer).toEqual({ kind: "nothing" });
  });

  test("is forgotten when nobody repeats it", () => {
    const asked = broodAsked({ ...NEW_BROOD, notBefore: 9000 }, 0);
    expect(answerBrood(asked, ROOM, 9000, POLICY).answer).toEqual({ kind: "nothing" });
    const repeated = broodAsked(asked, 9000 - BROOD_FRESH_MS);
    expect(answerBrood(repeated, ROOM, 9000, POLICY).answer).toEqual({ kind: "start" });
  });

  test.each([
    [{ ...ROOM, all: 4 }, "all"],
    [{ ...ROOM, all: 2, ofVassal: 2, mostOfVassal: 2 }, "vassal"],
    [{ ...ROOM, gateIsShort: true }, "gate"],
  ] as const)("is refused where there is no room: %o", (census, why) => {
    const { answer, brood } = answerBrood(broodAsked(NEW_BROOD, 0), census, 0, POLICY);
    expect(answer).toEqual({ kind: "refuse", why });
    expect(brood.askedAt).toBeUndefined();
  });
});

describe("the cool-down", () => {
  test("doubles while zergs leave soon, up to a minute, and begins anew after one that was worth it", () => {
    let brood = NEW_BROOD;
    const pauses = Array.from({ length: 7 }, () => {
      brood = broodLost({ ...brood, notBefore: 0 }, "left", 500, 0, POLICY);
      return brood.notBefore;
    });
    expect(pauses).toEqual([3000, 6000, 12_000, 24_000, 48_000, 60_000, 60_000]);
    expect(broodLost(brood, "left", 30_000, 100_000, POLICY)).toMatchObject({
      shortLives: 0,
      notBefore: 103_000,
    });
  });

  test("is a second at least after a failure, and none where somebody wanted it gone", () => {
    const off = { ...POLICY, cooldownMs: 0 };
    expect(broodLost(NEW_BROOD, "left", 500, 0, off).notBefore).toBe(0);
    expect(broodLost(NEW_BROOD, "failed", 500, 0, off).notBefore).toBe(1000);
    expect(broodLost(NEW_BROOD, "taken", 500, 0, POLICY)).toBe(NEW_BROOD);
  });

  test("bounds how often a vassal whose demand goes up and down is reinforced", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            wait: fc.integer({ min: 0, max: 3000 }),
            how: fc.constantFrom("left" as const, "failed" as const),
          }),
        ),
        (happenings) => {
          let brood = NEW_BROOD;
          let now = 0;
          let starts = 0;
          for (const { how, wait } of happenings) {
            now += wait;
            const { answer, brood: next } = answerBrood(broodAsked(brood, now), ROOM, now, POLICY);
            brood = next;
            if (answer.kind !== "start") continue;
            starts += 1;
            brood = broodLost(brood, how, 0, now, POLICY);
          }
          // Every zerg here is gone at once, so the pauses double: 3 + 6 + 12 + 24 + 48, then a minute each.
          expect(starts).toBeLessThanOrEqual(6 + now / BROOD_LONGEST_MS);
        },
      ),
    );
  });
});
