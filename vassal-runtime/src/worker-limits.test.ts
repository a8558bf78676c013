import { expect, it } from "vitest";
import { exhausted } from "./worker-limits.ts";
import type { LimitSettings } from "./worker-limits.ts";

const NONE: LimitSettings = {
  maxRequests: undefined,
  maxRequestsDelta: 0,
  maxLifetimeMs: undefined,
  maxLifetimeDeltaMs: 0,
  minLifetimeMs: 60_000,
  reloadOnRssBytes: undefined,
};
const MB = 1024 * 1024;
const use = (ageMs: number, requests = 0, rss = 0) => ({ ageMs, requests, rssBytes: () => rss });

it("has no limits unless they are set, and does not ask for memory then", () => {
  const rssBytes = (): number => {
    throw new Error("asked");
  };
  expect(exhausted(NONE, 1, { ageMs: 1e12, requests: 1e9, rssBytes })).toBeUndefined();
});

it("ends a life, later for later workers", () => {
  const limits = { ...NONE, maxLifetimeMs: 10_000, maxLifetimeDeltaMs: 1000 };
  expect(exhausted(limits, 1, use(9999))).toBeUndefined();
  expect(exhausted(limits, 1, use(10_000))).toBe("it lived 10 s (max-worker-lifetime)");
  expect(exhausted(limits, 3, use(11_999))).toBeUndefined();
  expect(exhausted(limits, 3, use(12_000))).toMatch(/lived 12 s/);
});

it("counts requests and memory only after min-worker-lifetime", () => {
  const limits = { ...NONE, maxRequests: 5, maxRequestsDelta: 2, reloadOnRssBytes: 100 * MB };
  expect(exhausted(limits, 1, use(59_999, 1000, 1000 * MB))).toBeUndefined();
  expect(exhausted(limits, 1, use(60_000, 4, 99 * MB))).toBeUndefined();
  expect(exhausted(limits, 1, use(60_000, 5, 0))).toBe("it served 5 requests (max-requests)");
  expect(exhausted(limits, 2, use(60_000, 6, 0))).toBeUndefined();
  expect(exhausted(limits, 1, use(60_000, 0, 100 * MB))).toBe(
    "it uses 100 MB of memory (reload-on-rss = 100)",
  );
});
