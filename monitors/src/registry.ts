/**
 * Which imperial monitors exist. A monitor's code and its drivers are loaded when its scheme is used
 * and not before. Knows no vassal and no sink.
 */
import { readAddress } from "./address.ts";
import { MonitorError } from "./errors.ts";
import type { ImperialMonitor, MonitorOptions } from "./monitor.ts";
import { validSuffixes } from "./names.ts";
import type { RemoteSource } from "./remote.ts";

/** Makes the monitor of one scheme from the text after `SCHEME://`. */
type MonitorMaker = (address: string, options: MonitorOptions) => Promise<ImperialMonitor>;

const MAKERS: Readonly<Record<string, MonitorMaker>> = {
  dir: async (address, options) =>
    (await import("./file-monitors.ts")).makeDirectoryMonitor(address, options),
  glob: async (address, options) =>
    (await import("./file-monitors.ts")).makeGlobMonitor(address, options),
  zmq: async (address, options) =>
    remote(new (await import("./zmq/source.ts")).ZmqSource(address, options), options),
};

/** The core around a remote source; loaded with the first one. */
async function remote(source: RemoteSource, options: MonitorOptions): Promise<ImperialMonitor> {
  const { RemoteMonitor } = await import("./remote-monitor.ts");
  return new RemoteMonitor(source, options);
}

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
  try {
    return { ok: true, monitor: await maker(read.address, options) };
  } catch (error) {
    if (error instanceof MonitorError) return { ok: false, error };
    throw error;
  }
}
