/** From the administrator's settings to the numbers that the life-cycle decides with. Pure. */
import type { Policy } from "../lifecycle/index.ts";
import type { Settings } from "../options/settings.ts";

/** A loyal process that lived shorter than this died quickly. */
const QUICK_DEATH_MS = 3000;
/** So many quick deaths in a row are respawned at once, as uWSGI does with all of them. */
const QUICK_DEATHS_FREE = 8;
/** Between the stop after a missed heartbeat and the kill: whoever hangs will not obey anyway. */
const HEARTBEAT_GRACE_MS = 2000;
/** A program that never speaks frees its place among the starting ones after this. */
const START_GRACE_MS = 1000;
const SYSTEM_RETRY_MS = 100;
const SYSTEM_RETRY_MAX_MS = 10_000;

export function policyOf(settings: Settings): Policy {
  return {
    throttleMs: settings.throttleMs,
    maxThrottleMs: settings.maxThrottleMs,
    blacklist: settings.blacklist,
    healthyAfterMs: settings.healthyAfterMs,
    quickDeathMs: QUICK_DEATH_MS,
    quickDeathsFree: QUICK_DEATHS_FREE,
    heartbeatMs: settings.requiredHeartbeatMs,
    curseToleranceMs: settings.curseToleranceMs,
    heartbeatGraceMs: HEARTBEAT_GRACE_MS,
    startGraceMs: START_GRACE_MS,
    waitForCommand: false,
    systemRetryMs: SYSTEM_RETRY_MS,
    systemRetryMaxMs: SYSTEM_RETRY_MAX_MS,
    startTimeoutMs: 0,
    gracefulStop: settings.gracefulShutdown,
  };
}
