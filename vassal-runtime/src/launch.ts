/**
 * How this process was started, kept as it was before anything changed it: a reload starts the same
 * program with the same arguments, directory and environment again.
 */
import { basename } from "node:path";
import { ENVIRONMENT } from "@emperor/protocol";

/** Variables by which the runtime speaks to its own later self and to its workers; no app sees them. */
export const LAUNCH_VARIABLES = {
  /** JSON of `InheritedSocket[]`: listening sockets that survived a re-execution. */
  sockets: "VASSAL_SOCKETS",
  /** JSON of a worker's orders. */
  worker: "VASSAL_WORKER",
  /** Base64 of a pushed configuration that an earlier life of this process, or its parent, has read. */
  config: "VASSAL_CONFIG",
  /** This process only tries whether config and app can be loaded. */
  trial: "VASSAL_TRIAL",
} as const;

export interface InheritedSocket {
  readonly fd: number;
  readonly text: string;
}

export interface Launch {
  /** Program, then its script and arguments. */
  readonly script: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  /** Without the variables above. */
  readonly environment: Readonly<Record<string, string>>;
  /** Number of re-executions so far. */
  readonly reloads: number;
  readonly isReload: boolean;
  readonly inherited: readonly InheritedSocket[];
  /** Taken from the config pipe already; counts for the first reading of the configuration. */
  readonly pushedConfig: Buffer | undefined;
  readonly trial: boolean;
  /** Orders of a master; this process is a worker. */
  readonly worker: string | undefined;
  /** Name for the log. */
  readonly label: string;
}

const FILE_OPTIONS = /^--(?:ini|xml|xmlconfig|yaml|yml|json|js|config)$/;

/** Takes stock and removes the runtime's own variables from `process.env`. */
export function readLaunch(): Launch {
  const own = { ...LAUNCH_VARIABLES };
  const sockets = takeVariable(own.sockets);
  const worker = takeVariable(own.worker);
  const config = takeVariable(own.config);
  const trial = takeVariable(own.trial) !== undefined;
  const reloads = process.env[ENVIRONMENT.reloads];
  const argv = process.argv.slice(2);
  return {
    script: process.argv[1] ?? "",
    argv,
    cwd: process.cwd(),
    environment: { ...process.env } as Record<string, string>,
    reloads: Number(reloads ?? 0) || 0,
    isReload: reloads !== undefined,
    inherited: sockets === undefined ? [] : (JSON.parse(sockets) as InheritedSocket[]),
    pushedConfig: config === undefined ? undefined : Buffer.from(config, "base64"),
    trial,
    worker,
    label: labelOf(argv),
  };
}

function takeVariable(name: string): string | undefined {
  const value = process.env[name];
  delete process.env[name];
  return value;
}

function labelOf(argv: readonly string[]): string {
  const option = argv.findIndex((argument) => FILE_OPTIONS.test(argument));
  const file = option < 0 ? argv.find((argument) => !argument.startsWith("-")) : argv[option + 1];
  return file === undefined ? "-" : basename(file);
}
