/**
 * The Linux calls that Node lacks. Functions either do what they are told or throw a `LinuxError`
 * with step and errno; only starts give their failures as values. Holds no policy.
 */
export * from "./constants.ts";
export { enterNamespaces } from "./enter.ts";
export type { EnterOptions } from "./enter.ts";
export { LinuxError } from "./errors.ts";
export * from "./identity.ts";
export * from "./names.ts";
export * from "./namespaces.ts";
export { SPAWN_STAGES } from "./plan.ts";
export * from "./process.ts";
export { readFiles } from "./files.ts";
export { fileDigest, scanDirectory, statEntries } from "./scan.ts";
export * from "./sockets.ts";
export { spawn, spawnAsync } from "./spawn.ts";
export type * from "./types.ts";
export { createWatcher } from "./watcher.ts";
export * from "./programs.ts";
