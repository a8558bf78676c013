/**
 * The arithmetic of failures: what a death or a refused start costs, and when that is forgotten.
 * Pure numbers in, pure numbers out; it must not know phases, events or effects.
 *
 * uWSGI 2.0 adds an entry with T microseconds (T = `emperor-throttle`), then T milliseconds more for
 * each death, and halves the delay when it passes the maximum, so that it rises and falls for ever.
 * Ours rises the same way and stays at the maximum, with a little jitter so that a herd that failed
 * together does not come back together. Entries age; uWSGI's never do.
 */
import type { Policy } from "./event.ts";
import type { History, Instant } from "./vassal.ts";

/** The first delay of the blacklist, ms: uWSGI's default in practice (1000 microseconds). */
const FIRST_DELAY_MS = 1;
/** Deaths that nothing else slows down: so many in a row cost nothing ... */
const UNDAMPED_DEATHS = 5;
/** ... and each further one waits so long, so that no setting makes a hot loop. */
const DAMPED_DELAY_MS = 100;
/** Share of the maximum that the jitter may take away. */
const JITTER = 0.1;
/** Failures are remembered at least so long, whatever the maximum is. */
const SHORTEST_MEMORY_MS = 1000;

/** What a death costs. `kind`: which list the vassal waits on; `none` = it may start at once. */
export interface Penalty {
  readonly history: History;
  readonly kind: "none" | "blacklist" | "damped";
  readonly delayMs: number;
}

/**
 * The nominal delay of the n-th failure in a row, ms: 1, 1 + T, 1 + 2T ... held at the maximum. This is
 * uWSGI's `throttle_level` in the blacklist of the stats.
 */
export function nominalDelayMs(failures: number, policy: Policy): number {
  return Math.min(FIRST_DELAY_MS + (failures - 1) * policy.throttleMs, policy.maxThrottleMs);
}

/** One more death without health at `now`, of the process number `generation`. */
export function failed(
  history: History,
  generation: number,
  now: Instant,
  policy: Policy,
): Penalty {
  if (!policy.blacklist) return diedUnlisted(history);
  const failures = history.failures + 1;
  const nominal = nominalDelayMs(failures, policy);
  const waits =
    nominal >= policy.maxThrottleMs
      ? Math.round(policy.maxThrottleMs * (1 - JITTER * spread(generation, failures)))
      : // The nominal delay counts from 1 so that an entry never shows 0; the wait itself needs no such offset.
        Math.max(FIRST_DELAY_MS, nominal - FIRST_DELAY_MS);
  return {
    history: {
      ...history,
      failures,
      delayMs: nominal,
      firstFailureAt: history.failures === 0 ? now : history.firstFailureAt,
      lastFailureAt: now,
    },
    kind: "blacklist",
    delayMs: Math.max(waits, failures > UNDAMPED_DEATHS ? DAMPED_DELAY_MS : 0),
  };
}

/** With `emperor-no-blacklist` there is no entry, but a crash loop is no hot loop either (uWSGI: 20 starts in 4 s). */
function diedUnlisted(history: History): Penalty {
  const quickDeaths = history.quickDeaths + 1;
  const delayMs = quickDeaths > UNDAMPED_DEATHS ? DAMPED_DELAY_MS : 0;
  return { history: { ...history, quickDeaths }, kind: delayMs > 0 ? "damped" : "none", delayMs };
}

/**
 * A process that had been healthy died after `uptimeMs`. Nothing is held against it, as in uWSGI; but
 * if it goes on dying quickly the machine is protected, because uWSGI's would respawn it 170 times a
 * second. One life longer than `quickDeathMs` makes that good.
 */
export function diedHealthy(history: History, uptimeMs: number, policy: Policy): Penalty {
  if (uptimeMs >= policy.quickDeathMs) {
    return { history: { ...history, quickDeaths: 0 }, kind: "none", delayMs: 0 };
  }
  const quickDeaths = history.quickDeaths + 1;
  const beyond = quickDeaths - policy.quickDeathsFree;
  if (beyond <= 0) return { history: { ...history, quickDeaths }, kind: "none", delayMs: 0 };
  const delayMs = Math.max(
    DAMPED_DELAY_MS,
    Math.min(beyond * policy.throttleMs, policy.maxThrottleMs),
  );
  return { history: { ...history, quickDeaths }, kind: "damped", delayMs };
}

/** The machine refused the start once more: wait, twice as long each time, nothing held against the vassal. */
export function refused(
  history: History,
  policy: Policy,
): { readonly history: History; readonly delayMs: number } {
  const refusals = history.refusals + 1;
  // 2^30 is beyond any maximum that makes sense and keeps the product exact.
  const delayMs = Math.min(
    policy.systemRetryMs * 2 ** Math.min(refusals - 1, 30),
    policy.systemRetryMaxMs,
  );
  return { history: { ...history, refusals }, delayMs };
}

/** Off the blacklist. The count of quick deaths stays: only a long life or a pardon makes those good. */
export function unlisted(history: History): History {
  return { ...history, failures: 0, delayMs: 0, firstFailureAt: 0, lastFailureAt: 0 };
}

/** When the failures are so long ago that they are forgotten; undefined: there are none. */
export function agedAt(history: History, policy: Policy): Instant | undefined {
  if (history.failures === 0) return undefined;
  return history.lastFailureAt + Math.max(2 * policy.maxThrottleMs, SHORTEST_MEMORY_MS);
}

/** A number in [0, 1) that looks like chance and is the same in every run: chance would make runs differ. */
function spread(generation: number, failures: number): number {
  let hash =
    Math.imul(generation ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(failures + 0x7f4a7c15, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash ^= hash >>> 13;
  return (hash >>> 0) / 2 ** 32;
}
