/**
 * What the actions of hooks do. Each one is checked when the configuration is read and performed at its
 * time, in this process and without returning to the loop; a failure is thrown. Knows no phases.
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { MOUNT, UMOUNT, mount, setHostName, umount } from "@emperor/linux";
import { log } from "./log.ts";
import { findGroup, findUser } from "./platform.ts";

/** What an action may change beyond the file system. */
export interface HookSurroundings {
  setVariable(name: string, value: string): void;
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

function shell(line: string, tolerant: boolean): void {
  const { error, signal, status } = spawnSync(SHELL, ["-c", line], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (tolerant) return;
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Error(
      signal === null ? `it exited with ${status ?? 1}` : `it was ended by ${signal}`,
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

/** Without a reader nobody is to be told, which is no failure. */
function writeFifo(path: string, text: string): void {
  let fd: number;
  try {
    fd = fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENXIO") return;
    throw error;
  }
  try {
    fs.writeSync(fd, text);
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
    perform: ([path = ""], argument) => writeFifo(path, restOf(argument)),
  },
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

/** Why it cannot be performed; undefined when it can. */
export function checkAction(name: string, argument: string): string | undefined {
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
