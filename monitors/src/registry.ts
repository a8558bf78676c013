/**
 * Which imperial monitors exist. A monitor's code and its drivers are loaded when its scheme is used
 * and not before. Knows no vassal and no sink.
 */
import { readAddress } from "./address.ts";
import type { MonitorError } from "./errors.ts";
import type { ImperialMonitor, MonitorOptions } from "./monitor.ts";
import { validSuffixes } from "./names.ts";

/** Makes the monitor of one scheme from the text after `SCHEME://`. */
type MonitorMaker = (address: string, options: MonitorOptions) => Promise<ImperialMonitor>;

const MAKERS: Readonly<Record<string, MonitorMaker>> = {
  dir: async (address, options) =>
    (await import("./file-monitors.ts")).makeDirectoryMonitor(address, options),
  glob: async (address, options) =>
    (await import("./file-monitors.ts")).makeGlobMonitor(address, options),
};

/** The schemes of this build, for `--imperial-monitor-list`. */
export const MONITOR_SCHEMES: readonly string[] = Object.keys(MAKERS);

export type MonitorResult =
  | { readonly ok: true; readonly monitor: ImperialMonitor }
  | { readonly ok: false; readonly error: MonitorError };

/**
 * The monitor for one `emperor` argument, not yet started. A wrong argument is a value, so that all
 * of them can be reported at once; a directory that does not exist is none: it may appear.
 */
export async function makeMonitor(
  argument: string,
  options: MonitorOptions,
): Promise<MonitorResult> {
  const { systemEyes } = await import("./system-eyes.ts");
  const suffixes = validSuffixes(options.extraExtensions);
  const { startDirectory } = options;
  const read = readAddress(
    argument,
    { startDirectory, suffixes, schemes: MONITOR_SCHEMES },
    systemEyes,
  );
  if (!read.ok) return read;
  const maker = MAKERS[read.scheme];
  if (maker === undefined) throw new Error(`scheme ${read.scheme} was accepted and has no maker`);
  return { ok: true, monitor: await maker(read.address, options) };
}
