/** Puts the monitors of `dir` and `glob` together with the real file system, hints and readers. */
import { resolve } from "node:path";
import { DirectoryFinder } from "./directory.ts";
import { FileMonitor } from "./file-monitor.ts";
import type { FileMonitorTools } from "./file-monitor.ts";
import { GlobFinder } from "./glob.ts";
import type { ImperialMonitor, MonitorOptions } from "./monitor.ts";
import { validSuffixes } from "./names.ts";
import { systemEyes } from "./system-eyes.ts";
import { openChokidarHints } from "./watch.ts";

const SYSTEM_TOOLS: FileMonitorTools = {
  eyes: systemEyes,
  openHints: openChokidarHints,
  soon: (callback) => void setImmediate(callback),
  loadAttributeReader: async () => (await import("@emperor/config")).readIniAttributes,
};

/** Every config directly in `directory`; a relative one is resolved against the start directory. */
export function makeDirectoryMonitor(
  directory: string,
  options: MonitorOptions,
  tools: FileMonitorTools = SYSTEM_TOOLS,
): ImperialMonitor {
  const suffixes = validSuffixes(options.extraExtensions);
  const path = resolve(options.startDirectory, directory);
  const finder = new DirectoryFinder(path, { suffixes, nofollow: options.nofollow }, tools.eyes);
  return new FileMonitor(finder, options, tools);
}

/** Every config whose path matches `pattern`. */
export function makeGlobMonitor(
  pattern: string,
  options: MonitorOptions,
  tools: FileMonitorTools = SYSTEM_TOOLS,
): ImperialMonitor {
  const { nofollow, startDirectory, clock } = options;
  const suffixes = validSuffixes(options.extraExtensions);
  const rules = { suffixes, nofollow, startDirectory, wallNow: () => clock.wallNow() };
  return new FileMonitor(new GlobFinder(pattern, rules, tools.eyes), options, tools);
}
