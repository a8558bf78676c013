/** The command line of `emperorctl`: words in, one request or a complaint out. Pure. */

export const COMMANDS = {
  list: { names: "none", help: "all vassals, one a line" },
  show: { names: "one", help: "everything about one: state, events, sockets, config with origins" },
  start: { names: "some", help: "start it, also if it was stopped or waits" },
  stop: { names: "some", help: "stop it; it stays stopped until it is started" },
  reload: { names: "some", help: "reload it; with --wait until the new generation accepts" },
  pardon: { names: "any", help: "forgive past failures, of all without a name" },
  rescan: { names: "none", help: "look at every source of vassals now" },
  freeze: { names: "some", help: "stop all its processes where they are" },
  thaw: { names: "some", help: "let them go on" },
  events: { names: "none", help: "transitions with their reasons; -f: follow" },
  check: { names: "one", help: "is this config file one that would start? Needs no Emperor" },
  completions: { names: "one", help: "print completions for bash, zsh or fish" },
} as const satisfies Record<string, { names: "none" | "one" | "some" | "any"; help: string }>;

export type CommandName = keyof typeof COMMANDS;

export interface Invocation {
  readonly command: CommandName;
  readonly names: readonly string[];
  readonly socket: string | undefined;
  readonly json: boolean;
  readonly wait: boolean;
  readonly all: boolean;
  readonly follow: boolean;
  readonly monitor: string | undefined;
  /** Seconds, as written. */
  readonly timeout: string | undefined;
  readonly since: string | undefined;
  readonly concurrency: number;
}

export type Parsed =
  | { readonly kind: "run"; readonly invocation: Invocation }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly problem: string };

/** Orders given to so many vassals at one time, unless told. */
const DEFAULT_CONCURRENCY = 4;

/** With a value; the rest are switches. */
const VALUES = ["socket", "monitor", "timeout", "since", "concurrency"] as const;
const SWITCHES = ["json", "wait", "all", "follow", "help"] as const;
const SHORT: Readonly<Record<string, string>> = {
  "-s": "--socket",
  "-f": "--follow",
  "-w": "--wait",
  "-h": "--help",
};

export function parseArguments(argv: readonly string[]): Parsed {
  const values = new Map<string, string>();
  const switches = new Set<string>();
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const written = argv[index] ?? "";
    if (written === "--") {
      words.push(...argv.slice(index + 1));
      break;
    }
    if (!written.startsWith("-") || written === "-") {
      words.push(written);
      continue;
    }
    const long = SHORT[written] ?? written;
    const equals = long.indexOf("=");
    const name = long.slice(2, equals < 0 ? undefined : equals);
    if (isOneOf(SWITCHES, name) && equals < 0) switches.add(name);
    else if (isOneOf(VALUES, name)) {
      const value = equals < 0 ? argv[++index] : long.slice(equals + 1);
      if (value === undefined || value === "") return wrong(`--${name} needs a value`);
      values.set(name, value);
    } else return wrong(`there is no option ${written}`);
  }
  if (switches.has("help")) return { kind: "help" };
  return complete(words, values, switches);
}

function complete(
  words: readonly string[],
  values: ReadonlyMap<string, string>,
  switches: ReadonlySet<string>,
): Parsed {
  const [command = "", ...names] = words;
  if (!isCommand(command))
    return wrong(command === "" ? "a command is missing" : `there is no command "${command}"`);
  const all = switches.has("all");
  const problem = namesProblem(command, names, all);
  if (problem !== undefined) return wrong(problem);
  const concurrency = Number(values.get("concurrency") ?? DEFAULT_CONCURRENCY);
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 32)
    return wrong("--concurrency needs a whole number from 1 to 32");
  const timeout = values.get("timeout");
  if (timeout !== undefined && !(Number(timeout) > 0))
    return wrong("--timeout needs a number of seconds");
  return {
    kind: "run",
    invocation: {
      command,
      names,
      all,
      socket: values.get("socket"),
      json: switches.has("json"),
      wait: switches.has("wait"),
      follow: switches.has("follow"),
      monitor: values.get("monitor"),
      timeout,
      since: values.get("since"),
      concurrency,
    },
  };
}

function namesProblem(
  command: CommandName,
  names: readonly string[],
  all: boolean,
): string | undefined {
  const wanted = COMMANDS[command].names;
  if (all && (wanted !== "some" || names.length > 0))
    return wanted === "some" ? "give names, or --all" : `${command} has no --all`;
  if (all) return undefined;
  if (wanted === "none" && names.length > 0) return `${command} takes no name`;
  if (wanted === "one" && names.length !== 1) return `${command} needs exactly one name`;
  if (wanted === "some" && names.length === 0) return `${command} needs a name, or --all`;
  return undefined;
}

function wrong(problem: string): Parsed {
  return { kind: "wrong", problem };
}

function isCommand(text: string): text is CommandName {
  return Object.hasOwn(COMMANDS, text);
}

function isOneOf<Names extends readonly string[]>(
  names: Names,
  text: string,
): text is Names[number] {
  return names.includes(text);
}

export function helpText(defaultSocket: string): string {
  const commands = Object.entries(COMMANDS).map(
    ([name, { names, help }]) => `  ${`${name} ${PLACEHOLDER[names]}`.padEnd(22)} ${help}`,
  );
  return [
    "Usage: emperorctl COMMAND [NAME...] [options]",
    "",
    ...commands,
    "",
    `  -s, --socket PATH      control socket; default: $EMPEROR_CONTROL, else ${defaultSocket}`,
    "  --json                 print what the Emperor answers",
    "  -w, --wait             start, stop, reload: until it is done, or known why not",
    "  --timeout SECONDS      how long --wait waits (60)",
    "  --all                  start, stop, reload, freeze, thaw: every vassal",
    "  --concurrency N        so many vassals at one time (4)",
    "  --monitor ADDRESS      which one, where two monitors have the name",
    "  -f, --follow           events: go on; --since ID: only what came after it",
    "",
    "Exit codes: 0 done, 1 refused or failed, 4 no such vassal, 100 wrong use, 111 no Emperor to speak to.",
    "",
  ].join("\n");
}

const PLACEHOLDER = { none: "", one: "NAME", some: "NAME...", any: "[NAME...]" } as const;
