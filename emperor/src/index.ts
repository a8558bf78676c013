/** What other programs may build on: reading settings, and an Emperor over hands and monitors of choice. */
export { createEmperor } from "./court/emperor.ts";
export type { EmperorParts, VassalHooks } from "./court/emperor.ts";
export type {
  Hands,
  HandsListener,
  ProcessHandle,
  ReapedProcess,
  SpawnFailureReport,
} from "./court/hands.ts";
export type { CourtRecord, Observer, Publication } from "./court/record.ts";
export type { RunningEmperor } from "./court/running-emperor.ts";
export { EmperorError } from "./errors.ts";
export type { Logger } from "./log/logger.ts";
export { readSettings } from "./options/read-settings.ts";
export type { Settings } from "./options/settings.ts";
export { createEmperorHooks, createHands } from "./spawn/create-hands.ts";
