/**
 * How this process was started, kept as it was before anything changed it: a reload starts the same
 * program with the same arguments, directory and environment again.
 */
import { basename } from "node:path";
import { ENVIRONMENT } from "@emperor/protocol/environment";

/** Variables by which the runtime speaks to its own later self and to its workers; no app sees them. */
export const LAUNCH_VARIABLES = {
  /** JSON of `InheritedSocket[]`: listening sockets that survived a re-execution. */
  sockets: "VASSAL_SOCKETS",
  /** JSON of a worker's orders. */
  worker: "VASSAL_WORKER",
  /** Base64 of a pushed configuration that an earlier life of this process, or its parent, has read. */
  config: "VASSAL_CONFIG",
  /** Name of the board on which a worker tells its numbers. */
  board: "VASSAL_BOARD",
  /** This process only tries whether config and app can be loaded. */
  trial: "VASSAL_TRIAL",
  /** JSON: which Node this process was executed with on behalf of its configuration, and before that. */
  node: "VASSAL_NODE",
  /** JSON of a `LaunchStage`: this process goes on with its start in other namespaces. */
  stage: "VASSAL_STAGE",
} as const;

/** How far an earlier life of this process has come with the start. */
export interface LaunchStage {
  /** 1: joined namespaces; 2: made its own, and gave up capabilities; 3: those after the change of the root. */
  readonly passed: 1 | 2 | 3;
  /** Where it was then; hooks may have gone elsewhere. */
  readonly directory: string;
}

export interface InheritedSocket {
  readonly fd: number;
  readonly text: string;
  /** Whoever started this process has handed it over: it is served even if no option names it. */
  readonly given?: boolean;
  /** It came from a zerg server. */
  readonly zerg?: boolean;
  /** The unix socket that this vassal has made for it. */
  readonly file?: SocketFile;
}

/** A unix socket in the file system, known again by its numbers. */
export interface SocketFile {
  readonly path: string;
  readonly dev: number;
  readonly ino: number;
}

/** A Node and flags. `binary` undefined: the one that the runtime was started with. */
export interface NodeChoice {
  readonly binary: string | undefined;
  readonly options: readonly string[];
}

/** The Node that the runtime was started with, before its configuration asked for another. */
export interface BaseNode {
  readonly path: string;
  readonly flags: readonly string[];
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
  /** Undefined: the start begins. */
  readonly stage: LaunchStage | undefined;
  /** Orders of a master; this process is a worker. */
  readonly worker: string | undefined;
  readonly base: BaseNode;
  /** What an earlier life of this process has chosen. */
  readonly node: NodeChoice;
  /** Where a worker tells its numbers, if anybody wants to know. */
  readonly board: string | undefined;
  /** Name for the log. */
  readonly label: string;
}

const FILE_OPTIONS = /^--(?:ini|xml|xmlconfig|yaml|yml|json|js|config)$/;

/** Takes stock and removes the runtime's own variables from `process.env`. */
export function readLaunch(): Launch {
  const own = { ...LAUNCH_VARIABLES };
  const sockets = takeVariable(own.sockets);
  const activated = takeActivation();
  const worker = takeVariable(own.worker);
  const config = takeVariable(own.config);
  const board = takeVariable(own.board);
  const trial = takeVariable(own.trial) !== undefined;
  const node = takeVariable(own.node);
  const stage = takeVariable(own.stage);
  const reloads = process.env[ENVIRONMENT.reloads];
  const argv = process.argv.slice(2);
  return {
    script: process.argv[1] ?? "",
    argv,
    cwd: process.cwd(),
    environment: { ...process.env } as Record<string, string>,
    reloads: Number(reloads ?? 0) || 0,
    isReload: reloads !== undefined,
    inherited: sockets === undefined ? activated : (JSON.parse(sockets) as InheritedSocket[]),
    pushedConfig: config === undefined ? undefined : Buffer.from(config, "base64"),
    trial,
    stage: stage === undefined ? undefined : (JSON.parse(stage) as LaunchStage),
    worker,
    ...nodeOf(node),
    board,
    label: labelOf(argv),
  };
}

function nodeOf(text: string | undefined): Pick<Launch, "base" | "node"> {
  if (text !== undefined) {
    const { base, choice } = JSON.parse(text) as { base: BaseNode; choice: Partial<NodeChoice> };
    return { base, node: { binary: choice.binary, options: choice.options ?? [] } };
  }
  return {
    base: { path: process.execPath, flags: process.execArgv },
    node: { binary: undefined, options: [] },
  };
}

/** Was this process executed with the Node that is wanted? */
export function isSameNode(a: NodeChoice, b: NodeChoice): boolean {
  return (
    a.binary === b.binary &&
    a.options.length === b.options.length &&
    a.options.every((option, index) => option === b.options[index])
  );
}

/** First descriptor of systemd's socket activation. */
const FIRST_ACTIVATED_FD = 3;

/** The sockets of `LISTEN_FDS`, if they are meant for this process; nobody below it is to believe so. */
function takeActivation(): InheritedSocket[] {
  const pid = takeVariable("LISTEN_PID");
  const count = Number(takeVariable("LISTEN_FDS") ?? 0);
  delete process.env["LISTEN_FDNAMES"];
  if (pid !== String(process.pid) || !(count > 0 && count < 1000)) return [];
  return Array.from({ length: count }, (_, index) => {
    const fd = FIRST_ACTIVATED_FD + index;
    return { fd, text: `descriptor ${fd}`, given: true };
  });
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
