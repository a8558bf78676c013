/**
 * Reads the actions of hooks (`exec:...`, `mount:...`) once, at start, so that a mistake is told
 * before any vassal runs. Owns the language of actions; it must not know who performs them.
 */
import type { SetupAction } from "@emperor/linux";
import type { HookAction } from "../options/settings.ts";
import { parseMountFlags, parseUmountFlags } from "./mount-flags.ts";
import { splitWords, takeWord, unquoteWhole } from "./words.ts";

/** What an action means, whoever performs it. */
export type Deed =
  /** A line for the administrator's shell. `tolerant`: its result does not count. */
  | { readonly kind: "command"; readonly line: string; readonly tolerant: boolean }
  | { readonly kind: "setup"; readonly setup: SetupAction }
  | { readonly kind: "log"; readonly text: string };

export interface ParsedAction {
  readonly deed: Deed;
  /** For messages: `exec:touch /x`, or the word for a private action. */
  readonly label: string;
  readonly origin: string;
}

export type ParsedActions =
  | { readonly ok: true; readonly actions: readonly ParsedAction[] }
  /** One full sentence for each action that cannot be performed. */
  | { readonly ok: false; readonly problems: readonly string[] };

type Reading =
  | { readonly ok: true; readonly deed: Deed }
  | { readonly ok: false; readonly problem: string };

function setup(action: SetupAction): Reading {
  return { ok: true, deed: { kind: "setup", setup: action } };
}

function wrong(problem: string): Reading {
  return { ok: false, problem };
}

type Reader = (argument: string) => Reading;

/** A reader for an action whose whole argument is one path. */
function pathReader(make: (path: string) => SetupAction): Reader {
  return (argument) => {
    const path = unquoteWhole(argument);
    return path === "" ? wrong("a path is missing") : setup(make(path));
  };
}

/** A reader for a fixed number of words. */
function wordReader(
  usage: string,
  least: number,
  most: number,
  read: (words: readonly string[]) => Reading,
): Reader {
  return (argument) => {
    const split = splitWords(argument);
    if (!split.ok) return wrong(split.problem);
    if (split.words.length < least || split.words.length > most) return wrong(`it wants: ${usage}`);
    return read(split.words);
  };
}

/** A file and a text that goes on to the end of the value. */
function textReader(
  newline: boolean,
  needsText: boolean,
  make: (path: string, text: string) => SetupAction,
): Reader {
  return (argument) => {
    const taken = takeWord(argument);
    if (!taken.ok) return wrong(taken.problem);
    if (taken.word === "") return wrong("a file is missing");
    if (needsText && taken.rest === undefined) return wrong("it wants: file text");
    return setup(make(taken.word, (taken.rest ?? "") + (newline ? "\n" : "")));
  };
}

const replaceWith = (path: string, text: string): SetupAction => ({
  kind: "write",
  path,
  text,
  append: false,
});

const appendTo = (path: string, text: string): SetupAction => ({
  kind: "write",
  path,
  text,
  append: true,
});

/**
 * A fifo without a reader is no failure: the one who should hear it is not there. Opened for reading
 * as well it neither waits for one nor fails. The script is constant; file and text are parameters.
 */
const tellFifo = (path: string, text: string): SetupAction => ({
  kind: "argv",
  argv: ["/bin/sh", "-c", 'test -p "$1" && printf %s "$2" 1<>"$1"', "writefifo", path, text],
  tolerant: false,
});

/**
 * File modes are octal: `644`, `0755`, `1777`. uWSGI reads three digits and, of four, ignores the
 * first, so that a sticky bit was silently lost; here it counts.
 */
function readMode(text: string): number | undefined {
  return /^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777
    ? Number.parseInt(text, 8)
    : undefined;
}

function readId(text: string): number | undefined {
  const id = Number(text);
  return /^\d+$/.test(text) && id < 0xffff_ffff ? id : undefined;
}

const readChmod = wordReader("file mode", 2, 2, ([path = "", text = ""]) => {
  const mode = readMode(text);
  return mode === undefined
    ? wrong(`"${text}" is no octal file mode such as 644 or 1777`)
    : setup({ kind: "chmod", path, mode });
});

/** Names are looked up by chown itself, in the child: only there is the right user database. */
const readChown = wordReader("file user group", 3, 3, ([path = "", user = "", group = ""]) =>
  setup({ kind: "argv", argv: ["/bin/chown", "--", `${user}:${group}`, path], tolerant: false }),
);

const readChown2 = wordReader(
  "file uid gid",
  3,
  3,
  ([path = "", userText = "", groupText = ""]) => {
    const uid = readId(userText);
    const gid = readId(groupText);
    return uid === undefined || gid === undefined
      ? wrong("uid and gid must be numbers; for names there is chown")
      : setup({ kind: "chown", path, uid, gid });
  },
);

const readMount = wordReader("fstype source target [flags [data]]", 3, 5, (words) => {
  const [fstype = "", source = "", target = "", flagWords = "", data = ""] = words;
  const parsed = parseMountFlags(flagWords);
  if (!parsed.ok) return wrong(`"${parsed.unknown}" is no mount flag`);
  return setup({ kind: "mount", fstype, source, target, flags: parsed.flags, data });
});

const readUmount = wordReader("target [flags]", 1, 2, ([target = "", flagWords = ""]) => {
  const parsed = parseUmountFlags(flagWords);
  if (!parsed.ok) return wrong(`"${parsed.unknown}" is no umount flag`);
  return setup({ kind: "umount", target, flags: parsed.flags });
});

const readPutenv: Reader = (argument) =>
  argument.indexOf("=") > 0
    ? setup({ kind: "putenv", assignment: argument })
    : wrong("it wants: NAME=VALUE");

const readHostname: Reader = (argument) =>
  argument === ""
    ? wrong("a name is missing")
    : setup({ kind: "hostname", name: unquoteWhole(argument) });

/** uWSGI takes a code of one character for 0; here every number from 0 to 255 is itself. */
const readExit: Reader = (argument) => {
  const text = argument.trim();
  const code = text === "" ? 0 : Number(text);
  return /^\d*$/.test(text) && code <= 255
    ? setup({ kind: "exit", code })
    : wrong(`"${text}" is no exit code from 0 to 255`);
};

function commandReader(tolerant: boolean): Reader {
  return (line) =>
    line.trim() === ""
      ? wrong("a command is missing")
      : { ok: true, deed: { kind: "command", line, tolerant } };
}

const readLog: Reader = (text) => ({ ok: true, deed: { kind: "log", text } });

const READERS: Readonly<Record<string, Reader>> = {
  exec: commandReader(false),
  safeexec: commandReader(true),
  cd: pathReader((path) => ({ kind: "chdir", path })),
  chdir: pathReader((path) => ({ kind: "chdir", path })),
  mkdir: pathReader((path) => ({ kind: "mkdir", path, mode: 0o777 })),
  unlink: pathReader((path) => ({ kind: "unlink", path })),
  create: pathReader((path) => ({ kind: "write", path, text: "", append: false })),
  creat: pathReader((path) => ({ kind: "write", path, text: "", append: false })),
  sticky: pathReader((path) => ({
    kind: "argv",
    argv: ["/bin/chmod", "--", "+t", path],
    tolerant: false,
  })),
  putenv: readPutenv,
  chmod: readChmod,
  chown: readChown,
  chown2: readChown2,
  write: textReader(false, true, replaceWith),
  writen: textReader(true, true, replaceWith),
  append: textReader(false, true, appendTo),
  appendn: textReader(true, false, appendTo),
  writefifo: textReader(false, true, tellFifo),
  mount: readMount,
  umount: readUmount,
  hostname: readHostname,
  exit: readExit,
  print: readLog,
  log: readLog,
};

/** Actions of uWSGI that need its own code in the process, with what to do instead. */
const FOREIGN: Readonly<Record<string, string>> = {
  call: "it calls a C function of uWSGI; use exec",
  callret: "it calls a C function of uWSGI; use exec",
  callint: "it calls a C function of uWSGI; use exec",
  callintret: "it calls a C function of uWSGI; use exec",
  rpc: "it calls a function inside of uWSGI; use exec",
  retryrpc: "it calls a function inside of uWSGI; use exec",
  alarm: "it needs uWSGI's alarms; use exec",
  unix_signal: "it installs a C function of uWSGI; there is nothing instead",
  spinningfifo: "it would wait without a limit; use writefifo, or exec with a limit of its own",
  wait_for_fs: "it would wait inside of the start; use exec with a limit of its own",
  wait_for_file: "it would wait inside of the start; use exec with a limit of its own",
  wait_for_dir: "it would wait inside of the start; use exec with a limit of its own",
  wait_for_socket: "it would wait inside of the start; use exec with a limit of its own",
};

function readAction(hook: HookAction): ParsedAction | string {
  // A leading "!" keeps the argument, which may hold a secret, out of the log.
  const isPrivate = hook.action.startsWith("!");
  const action = isPrivate ? hook.action.slice(1) : hook.action;
  const label = isPrivate ? "--- PRIVATE HOOK ---" : `${action}:${hook.argument}`;
  const foreign = Object.hasOwn(FOREIGN, action) ? FOREIGN[action] : undefined;
  if (foreign !== undefined) {
    return `${hook.origin}: the action "${action}" does not exist here: ${foreign}`;
  }
  const reader = Object.hasOwn(READERS, action) ? READERS[action] : undefined;
  if (reader === undefined) {
    return `${hook.origin}: unknown action "${action}"; known are ${Object.keys(READERS).join(", ")}`;
  }
  const reading = reader(hook.argument);
  if (!reading.ok)
    return `${hook.origin}: the action "${label}" cannot be read: ${reading.problem}`;
  return { deed: reading.deed, label, origin: hook.origin };
}

/** Reads the actions of one hook, in order; or says what is wrong with each that is. */
export function parseHookActions(hooks: readonly HookAction[]): ParsedActions {
  const actions: ParsedAction[] = [];
  const problems: string[] = [];
  for (const hook of hooks) {
    const read = readAction(hook);
    if (typeof read === "string") problems.push(read);
    else actions.push(read);
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, actions };
}

/** The same deed as a step of the child's set-up; undefined for what is only said, not done. */
export function asSetupAction(action: ParsedAction, shell: string): SetupAction | undefined {
  switch (action.deed.kind) {
    case "command":
      return { kind: "shell", shell, line: action.deed.line, tolerant: action.deed.tolerant };
    case "setup":
      return action.deed.setup;
    case "log":
      return undefined;
  }
}
