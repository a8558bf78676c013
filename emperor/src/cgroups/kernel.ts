/**
 * The few things one does to a cgroup's directory: make, write, list, kill, remove. Every failure is a
 * value (the errno's name); decides nothing about when.
 */
import {
  closeSync,
  constants as fileConstants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeSync,
} from "node:fs";
import { constants } from "node:os";
import { close, openPidfd, signalProcess } from "@emperor/linux";
import { errnoOf } from "../errors.ts";

/** What the kernel refused; undefined: done. */
export type Refusal = string | undefined;

function attempt(deed: () => void): Refusal {
  try {
    deed();
    return undefined;
  } catch (error) {
    return errnoOf(error) || String(error);
  }
}

export function makeGroup(path: string): Refusal {
  return attempt(() => mkdirSync(path, 0o755));
}

/** One write to a file that is there: nothing is ever created, whatever file system this is. */
export function writeValue(path: string, value: string): Refusal {
  return attempt(() => {
    const fd = openSync(path, fileConstants.O_WRONLY | fileConstants.O_NOCTTY);
    try {
      writeSync(fd, value);
    } finally {
      closeSync(fd);
    }
  });
}

/** `""` where there is nothing to read. */
export function readValue(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

export function membersOf(path: string): readonly number[] {
  return readValue(`${path}/cgroup.procs`)
    .split("\n")
    .filter((line) => line !== "" && line !== "0")
    .map(Number);
}

/** Names of the cgroups in a cgroup. */
export function groupsIn(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

/**
 * Kills whatever is in a cgroup of version 1 and below it, once: what is born meanwhile needs another
 * call. Members are looked up again after their pidfd is there, so no other process that was given the
 * number of one that ended is ever signalled.
 */
export function killMembers(path: string): void {
  for (const name of groupsIn(path)) killMembers(`${path}/${name}`);
  const held = new Map<number, number>();
  for (const pid of membersOf(path)) attempt(() => held.set(pid, openPidfd(pid)));
  if (held.size === 0) return;
  const still = new Set(membersOf(path));
  for (const [pid, pidfd] of held) {
    if (still.has(pid)) attempt(() => signalProcess(pidfd, constants.signals.SIGKILL));
    close(pidfd);
  }
}

/** A cgroup and those that its members made below it. ENOENT counts as done. */
export function removeGroup(path: string): Refusal {
  const refusal = attempt(() => rmdirSync(path));
  if (refusal === undefined || refusal === "ENOENT") return undefined;
  let below: Refusal;
  for (const name of groupsIn(path)) below ??= removeGroup(`${path}/${name}`);
  if (below !== undefined) return below;
  const again = attempt(() => rmdirSync(path));
  return again === "ENOENT" ? undefined : again;
}
