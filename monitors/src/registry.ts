/**
 * Which imperial monitors exist. A monitor's code and its drivers are loaded when its scheme is used
 * and not before. Knows no vassal and no sink.
 */
import { readAddress } from "./address.ts";
import { MonitorError } from "./errors.ts";
import type { ImperialMonitor, MonitorOptions } from "./monitor.ts";
import { quoteName, validSuffixes } from "./names.ts";
import type { MonitorPackage } from "./packages.ts";
import { reasonOf } from "./reason.ts";
import type { RemoteSource } from "./remote.ts";
import { maskAddress } from "./secrets.ts";

/** Makes the monitor of one scheme from the text after `SCHEME://`. */
type MonitorMaker = (address: string, options: MonitorOptions) => Promise<ImperialMonitor>;

const MAKERS: Readonly<Record<string, MonitorMaker>> = {
  dir: async (address, options) =>
    (await import("./file-monitors.ts")).makeDirectoryMonitor(address, options),
  glob: async (address, options) =>
    (await import("./file-monitors.ts")).makeGlobMonitor(address, options),
  pg: async (address, options) =>
    remote(new (await import("./pg/pg-source.ts")).PgSource(address, options), options),
  amqp: (address, options) => makeAmqp("amqp", address, options),
  amqps: (address, options) => makeAmqp("amqps", address, options),
  http: (address, options) => makeHttp("http", address, options),
  https: (address, options) => makeHttp("https", address, options),
  mongodb: async (address, options) =>
    remote(
      new (await import("./mongodb/mongo-source.ts")).MongoSource("mongodb", address, options),
      options,
    ),
  mongodb2: async (address, options) =>
    remote(
      new (await import("./mongodb/mongo-source.ts")).MongoSource("mongodb2", address, options),
      options,
    ),
  zmq: async (address, options) =>
    remote(new (await import("./zmq/source.ts")).ZmqSource(address, options), options),
};

/** The core around a remote source; loaded with the first one. */
async function remote(source: RemoteSource, options: MonitorOptions): Promise<ImperialMonitor> {
  const { RemoteMonitor } = await import("./remote-monitor.ts");
  return new RemoteMonitor(source, options);
}

async function makeHttp(
  scheme: "http" | "https",
  address: string,
  options: MonitorOptions,
): Promise<ImperialMonitor> {
  const { HttpSource } = await import("./http/source.ts");
  return remote(new HttpSource(scheme, address, options), options);
}

async function makeAmqp(
  scheme: "amqp" | "amqps",
  address: string,
  options: MonitorOptions,
): Promise<ImperialMonitor> {
  const { AmqpSource } = await import("./amqp/source.ts");
  const makeOther = async (argument: string, more: MonitorOptions): Promise<ImperialMonitor> => {
    const made = await makeMonitor(argument, more);
    if (made.ok) return made.monitor;
    throw made.error;
  };
  return remote(new AmqpSource(scheme, address, options, makeOther), options);
}

/** The monitor of a scheme that a package brought. What it throws is a wrong address. */
function packagedMaker(
  packages: readonly MonitorPackage[],
  scheme: string,
): MonitorMaker | undefined {
  const found = packages.find((one) => one.scheme === scheme);
  if (found === undefined) return undefined;
  return async (address, options) => {
    const shown = maskAddress(`${scheme}://${address}`);
    try {
      return await remote(await found.source(address, options), options);
    } catch (error) {
      const what = `monitor address ${quoteName(shown)}: ${maskAddress(reasonOf(error))}`;
      throw new MonitorError("invalid-address", shown, what, { cause: error });
    }
  };
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
  const { startDirectory, packages: packaged = [] } = options;
  const read = readAddress(
    argument,
    {
      startDirectory,
      suffixes,
      schemes: [...MONITOR_SCHEMES, ...packaged.map(({ scheme }) => scheme)],
    },
    systemEyes,
  );
  if (!read.ok) return read;
  const maker = MAKERS[read.scheme] ?? packagedMaker(packaged, read.scheme);
  if (maker === undefined) throw new Error(`scheme ${read.scheme} was accepted and has no maker`);
  try {
    return { ok: true, monitor: await maker(read.address, options) };
  } catch (error) {
    if (error instanceof MonitorError) return { ok: false, error };
    throw error;
  }
}
