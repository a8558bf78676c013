/** Imperial monitors: sources of vassal definitions. They report what is wanted and govern nothing. */
export * from "./monitor.ts";
export * from "./remote.ts";
export { systemClock } from "./clock.ts";
export { MONITOR_ERROR_CODES, MonitorError } from "./errors.ts";
export type { MonitorErrorCode } from "./errors.ts";
export { CONFIG_SUFFIXES, MAX_NAME_BYTES, hasValidSuffix, validSuffixes } from "./names.ts";
export { MONITOR_SCHEMES, makeMonitor } from "./registry.ts";
export type { MonitorResult } from "./registry.ts";
export { maskAddress } from "./secrets.ts";
export { loadMonitorPackages } from "./packages.ts";
export type { MonitorPackage } from "./packages.ts";
