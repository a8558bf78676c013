/**
 * What the actions of hooks do. Each one is checked when the configuration is read and performed at its
 * time, in this process and without returning to the loop; a failure is thrown. Knows no phases.
 */
import * as fs from "node:fs";
import {
  MOUNT,
  SIGNALS,
  UMOUNT,
  close,
  mount,
  reap,
  setHostName,
  signalName,
  spawn,
  umount,
} from "@emperor/linux";
import { log } from "./log.ts";
import { assignments, findGroup, findUser } from "./platform.ts";
import { WAIT_ACTIONS, untilThere } from "./wait-actions.ts";

/** What an action may change beyond the file system. */
export interface HookSurroundings {
  /** `undefined` removes it. */
  setVariable(name: string, value: string | undefined): void;
}

interface Action {
  /** Fewest words; the text actions take the rest as it is. */
  readonly words: number;
  readonly usage: string;
  readonly check?: (words: readonly string[]) => string | undefined;
  perform(words: readonly string[], argument: string, surroundings: HookSurroundings): void;
}

const SHELL = "/bin/sh";

const MOUNT_WORDS: Readonly<Record<string, number>> = {
  ...MOUNT,
  defaults: 0,
  ro: MOUNT.rdonly,
  readonly: MOUNT.rdonly,
  recursive: MOUNT.rec,
};
/** A lazy unmount takes everything below along, which uWSGI's `rec` does one by one. */
const UMOUNT_WORDS: Readonly<Record<string, number>> = {
  force: UMOUNT.force,
  detach: UMOUNT.detach,
  rec: UMOUNT.detach,
  recursive: UMOUNT.detach,
};

function flagsOf(text: string, table: Readonly<Record<string, number>>): number | string {
  let flags = 0;
  for (const word of text.split(",")) {
    const flag = word === "" ? 0 : table[word];
    if (flag === undefined) return `${JSON.stringify(word)} is no flag`;
    flags |= flag;
  }
  return flags;
}

const badFlags =
  (index: number, table: Readonly<Record<string, number>>) =>
  (words: readonly string[]): string | undefined => {
    const flags = flagsOf(words[index] ?? "", table);
    return typeof flags === "string" ? flags : undefined;
  };

const numberOf = (flags: number | string): number => (typeof flags === "number" ? flags : 0);

/** The text after the first word, blanks included. */
const restOf = (argument: string): string => argument.replace(/^\s*\S+ ?/, "");

/** Between two looks while an action waits; nothing else of this process goes on meanwhile. */
const LOOK_AGAIN_MS = 20;

function nap(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/**
 * Waits for the line to end. It is killed when this process is, as in uWSGI: an Emperor that loses its patience with
 * a hook that hangs ends both.
 */
function shell(line: string, tolerant: boolean): void {
  const started = spawn({
    programs: [{ path: SHELL, argv0: "sh" }],
    args: ["-c", line],
    env: assignments(process.env as Record<string, string>),
    fds: [
      { from: -1, to: 0 },
      { from: 1, to: 1 },
      { from: 2, to: 2 },
    ],
    session: false,
    parentDeathSignal: SIGNALS["SIGKILL"] ?? 9,
    mode: "shared",
  });
  if (!started.ok) {
    if (tolerant) return;
    const what = started.stage === "descriptors" ? "/dev/null cannot be opened" : started.stage;
    throw new Error(`${SHELL} cannot be executed: ${what}: ${started.code}`);
  }
  let end = reap(started.pidfd);
  for (let pause = 1; end === undefined; pause = Math.min(pause * 2, LOOK_AGAIN_MS)) {
    nap(pause);
    end = reap(started.pidfd);
  }
  close(started.pidfd);
  if (tolerant || end.code === 0) return;
  throw new Error(
    end.signal === null
      ? `it exited with ${end.code ?? 1}`
      : `it was ended by ${signalName(end.signal)}`,
  );
}

function chown(path: string, user: string, group: string): void {
  const uid = findUser(user)?.uid;
  const gid = findGroup(group)?.gid;
  if (uid === undefined) throw new Error(`there is no user ${JSON.stringify(user)}`);
  if (gid === undefined) throw new Error(`there is no group ${JSON.stringify(group)}`);
  fs.chownSync(path, uid, gid);
}

const writer = (flag: "w" | "a", end: string): Action => ({
  words: 1,
  usage: "FILE TEXT",
  perform: ([path = ""], argument) => fs.writeFileSync(path, restOf(argument) + end, { flag }),
});

/** False: the fifo has no reader, or `patient` and there is no fifo. */
function writeFifo(path: string, text: string, patient = false): boolean {
  let fd: number;
  try {
    fd = fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "";
    if (code === "ENXIO" || (patient && code === "ENOENT")) return false;
    throw error;
  }
  try {
    fs.writeSync(fd, text);
    return true;
  } finally {
    fs.closeSync(fd);
  }
}

const changeDirectory: Action = {
  words: 1,
  usage: "DIRECTORY",
  perform: (_, argument) => process.chdir(argument.trim()),
};
const create: Action = {
  words: 1,
  usage: "FILE",
  perform: ([path = ""]) => fs.writeFileSync(path, ""),
};
const print: Action = { words: 0, usage: "TEXT", perform: (_, argument) => log(argument) };

const OCTAL = /^[0-7]{1,5}$/;

const ACTIONS: Readonly<Record<string, Action>> = {
  exec: { words: 1, usage: "LINE", perform: (_, line) => shell(line, false) },
  safeexec: { words: 1, usage: "LINE", perform: (_, line) => shell(line, true) },
  cd: changeDirectory,
  chdir: changeDirectory,
  mkdir: { words: 1, usage: "DIRECTORY", perform: ([path = ""]) => fs.mkdirSync(path) },
  unlink: { words: 1, usage: "FILE", perform: ([path = ""]) => fs.unlinkSync(path) },
  create,
  creat: create,
  write: writer("w", ""),
  append: writer("a", ""),
  writen: writer("w", "\n"),
  appendn: writer("a", "\n"),
  writefifo: {
    words: 2,
    usage: "FIFO TEXT",
    // Without a reader nobody is to be told, which is no failure.
    perform: ([path = ""], argument) => void writeFifo(path, restOf(argument)),
  },
  spinningfifo: {
    words: 2,
    usage: "FIFO TEXT",
    perform: ([path = ""], argument) => {
      while (!writeFifo(path, restOf(argument), true)) nap(LOOK_AGAIN_MS);
    },
  },
  ...Object.fromEntries(
    Object.entries(WAIT_ACTIONS).map(([name, kind]): [string, Action] => [
      name,
      {
        words: 1,
        usage: kind === "socket" ? "ADDRESS" : "PATH",
        perform: (_, argument) => untilThere(kind, argument.trim(), nap),
      },
    ]),
  ),
  chmod: {
    words: 2,
    usage: "FILE MODE",
    check: ([, mode = ""]) => (OCTAL.test(mode) ? undefined : `${JSON.stringify(mode)} is no mode`),
    perform: ([path = "", mode = ""]) => fs.chmodSync(path, Number.parseInt(mode, 8)),
  },
  chown: {
    words: 3,
    usage: "FILE USER GROUP",
    perform: ([path = "", user = "", group = ""]) => chown(path, user, group),
  },
  chown2: {
    words: 3,
    usage: "FILE UID GID",
    check: ([, uid = "", gid = ""]) =>
      /^\d{1,10}$/.test(uid) && /^\d{1,10}$/.test(gid) ? undefined : "uid and gid are numbers",
    perform: ([path = "", uid = "", gid = ""]) => fs.chownSync(path, Number(uid), Number(gid)),
  },
  sticky: {
    words: 1,
    usage: "FILE",
    perform: ([path = ""]) => fs.chmodSync(path, (fs.statSync(path).mode & 0o7777) | 0o1000),
  },
  mount: {
    words: 3,
    usage: "TYPE SOURCE TARGET [FLAGS [DATA]]",
    check: badFlags(3, MOUNT_WORDS),
    perform: ([fstype = "", source = "", target = "", flags = "", data = ""]) =>
      mount({ fstype, source, target, flags: numberOf(flagsOf(flags, MOUNT_WORDS)), data }),
  },
  umount: {
    words: 1,
    usage: "TARGET [FLAGS]",
    check: badFlags(1, UMOUNT_WORDS),
    perform: ([target = "", flags = ""]) => umount(target, numberOf(flagsOf(flags, UMOUNT_WORDS))),
  },
  hostname: { words: 1, usage: "NAME", perform: ([name = ""]) => setHostName(name) },
  putenv: {
    words: 1,
    usage: "NAME=VALUE",
    check: ([first = ""]) => (first.indexOf("=") > 0 ? undefined : "it needs NAME=VALUE"),
    perform: (_, argument, surroundings) => {
      const equals = argument.indexOf("=");
      surroundings.setVariable(argument.slice(0, equals), argument.slice(equals + 1));
    },
  },
  unsetenv: {
    words: 1,
    usage: "NAME",
    perform: ([name = ""], _, surroundings) => surroundings.setVariable(name, undefined),
  },
  exit: {
    words: 0,
    usage: "[CODE]",
    check: ([code = "0"]) => (/^\d{1,3}$/.test(code) ? undefined : "it needs a number"),
    perform: ([code = "0"]) => process.exit(Number(code)),
  },
  print,
  log: print,
};

const wordsOf = (argument: string): string[] => argument.split(/\s+/).filter((word) => word !== "");

const NO_SYMBOLS = "there are no C symbols to be called in this program";
/** Those of uWSGI's that make no sense here. */
const REFUSED: Readonly<Record<string, string>> = {
  call: NO_SYMBOLS,
  callret: NO_SYMBOLS,
  callint: NO_SYMBOLS,
  callintret: NO_SYMBOLS,
  unix_signal: NO_SYMBOLS,
  alarm: "there are no alarms; use exec",
  rpc: "there are no RPC functions; use exec",
  retryrpc: "there are no RPC functions; use exec",
};

/** Why it cannot be performed; undefined when it can. */
export function checkAction(name: string, argument: string): string | undefined {
  if (Object.hasOwn(REFUSED, name))
    return `the action ${JSON.stringify(name)} is not served: ${REFUSED[name]}`;
  if (!Object.hasOwn(ACTIONS, name))
    return `the action ${JSON.stringify(name)} is not served (served: ${Object.keys(ACTIONS).join(", ")})`;
  const action = ACTIONS[name];
  const words = wordsOf(argument);
  if (action === undefined || words.length < action.words)
    return `the action ${name} needs ${action?.usage ?? "more"}`;
  return argument.includes("\0") ? "it contains a NUL" : action.check?.(words);
}

/** Performs an action that was checked; throws when it fails. */
export function performAction(
  name: string,
  argument: string,
  surroundings: HookSurroundings,
): void {
  ACTIONS[name]?.perform(wordsOf(argument), argument, surroundings);
}
