import { describe, expect, test } from "vitest";
import { agedAt, diedHealthy, failed, nominalDelayMs, refused } from "./blacklist.ts";
import { POLICY } from "./life.fixture.ts";
import { CLEAN_HISTORY, type History } from "./vassal.ts";

function failures(count: number, policy = POLICY): { history: History; delays: number[] } {
  let history = CLEAN_HISTORY;
  const delays: number[] = [];
  for (let n = 1; n <= count; n++) {
    const penalty = failed(history, n, n * 1000, policy);
    history = penalty.history;
    delays.push(penalty.delayMs);
  }
  return { history, delays };
}

describe("the blacklist", () => {
  test("shows uWSGI's levels: 1, 1001, 2001 ms", () => {
    expect([1, 2, 3, 4].map((n) => nominalDelayMs(n, POLICY))).toEqual([1, 1001, 2001, 3001]);
  });

  test("waits 1 ms after the first death, then n - 1 times the throttle", () => {
    expect(failures(5).delays).toEqual([1, 1000, 2000, 3000, 4000]);
  });

  test("stays at the maximum, less at most a tenth, and not always the same", () => {
    const { delays, history } = failures(300);
    const atMaximum = delays.slice(200);
    expect(Math.max(...atMaximum)).toBeLessThanOrEqual(180_000);
    expect(Math.min(...atMaximum)).toBeGreaterThanOrEqual(162_000);
    expect(new Set(atMaximum).size).toBeGreaterThan(50);
    expect(history.delayMs).toBe(180_000);
  });

  test("remembers when it began and when it was raised last", () => {
    const { history } = failures(3);
    expect([history.failures, history.firstFailureAt, history.lastFailureAt]).toEqual([
      3, 1000, 3000,
    ]);
  });

  test("does not become a hot loop with a throttle or a maximum of 0", () => {
    expect(failures(8, { ...POLICY, throttleMs: 0 }).delays).toEqual([
      1, 1, 1, 1, 1, 100, 100, 100,
    ]);
    expect(failures(8, { ...POLICY, maxThrottleMs: 0 }).delays.slice(5)).toEqual([100, 100, 100]);
  });

  test("makes no entry when it is turned off, but the sixth death in a row waits", () => {
    const { history, delays } = failures(7, { ...POLICY, blacklist: false });
    expect(delays).toEqual([0, 0, 0, 0, 0, 100, 100]);
    expect(history.failures).toBe(0);
  });

  test("forgets after twice the maximum", () => {
    expect(agedAt(CLEAN_HISTORY, POLICY)).toBeUndefined();
    expect(agedAt(failures(3).history, POLICY)).toBe(3000 + 360_000);
  });
});

describe("quick deaths of healthy processes", () => {
  function quick(count: number): number[] {
    let history = CLEAN_HISTORY;
    return Array.from({ length: count }, () => {
      const penalty = diedHealthy(history, 100, POLICY);
      history = penalty.history;
      return penalty.delayMs;
    });
  }

  test("are free eight times and then cost one throttle more each", () => {
    expect(quick(11)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1000, 2000, 3000]);
  });

  test("never cost more than the maximum and are never listed", () => {
    expect(Math.max(...quick(400))).toBe(180_000);
    expect(diedHealthy(CLEAN_HISTORY, 0, POLICY).history.failures).toBe(0);
  });

  test("are made good by one long life", () => {
    const penalty = diedHealthy({ ...CLEAN_HISTORY, quickDeaths: 20 }, POLICY.quickDeathMs, POLICY);
    expect(penalty).toMatchObject({ kind: "none", delayMs: 0, history: { quickDeaths: 0 } });
  });
});

describe("refusals by the machine", () => {
  test("double up to their maximum and leave the blacklist alone", () => {
    let history = CLEAN_HISTORY;
    const delays = Array.from({ length: 9 }, () => {
      const refusal = refused(history, POLICY);
      history = refusal.history;
      return refusal.delayMs;
    });
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    expect(history).toEqual({ ...CLEAN_HISTORY, refusals: 9 });
  });

  test("stay exact after a million of them", () => {
    expect(refused({ ...CLEAN_HISTORY, refusals: 1_000_000 }, POLICY).delayMs).toBe(10_000);
  });
});
