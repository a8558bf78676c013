/**
 * The process's own user, group, directory and environment, changed as the configuration says. Order
 * as in uWSGI: the user is left before sockets are bound and before the directory is entered.
 */
import { readFileSync } from "node:fs";
import { RuntimeError, reasonOf } from "./errors.ts";
import { log, quote } from "./log.ts";
import type { RuntimeSettings } from "./settings.ts";

type Environment = Record<string, string>;

/** A copy of `base` with the changes applied in order. */
export function applyEnvironment(base: Readonly<Environment>, changes: RuntimeSettings["environment"]): Environment {
  const environment: Environment = { ...base };
  for (const [name, value] of changes) {
    if (value === undefined) delete environment[name];
    else environment[name] = value;
  }
  return environment;
}

/** The same for this process. */
export function changeOwnEnvironment(changes: RuntimeSettings["environment"]): void {
  for (const [name, value] of changes) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

/** Enters the working directory of the app. */
export function enterDirectory(directory: string | undefined): void {
  if (directory === undefined) return;
  try {
    process.chdir(directory);
  } catch (error) {
    throw new RuntimeError("VASSAL_CREDENTIALS", `chdir = ${JSON.stringify(directory)} is not possible: ${reasonOf(error)}`, {}, { cause: error });
  }
}

/**
 * Becomes the configured user and group, with the user's supplementary groups. Where only `uid` is set
 * the group becomes the user's own: uWSGI stays in root's group then, which nobody wants. Without root
 * nothing can change: a number that is not ours is an error and a name is ignored with a warning, as in
 * uWSGI.
 */
export function dropPrivileges(uid: string | undefined, gid: string | undefined): void {
  if (uid === undefined && gid === undefined) return;
  if (process.geteuid?.() !== 0) {
    checkUnprivileged("uid", uid, process.geteuid?.());
    checkUnprivileged("gid", gid, process.getegid?.());
    return;
  }
  const user = uid === undefined ? undefined : lookUp("/etc/passwd", uid);
  const group = gid ?? user?.group;
  try {
    if (group !== undefined) process.setgid?.(asId(group));
    if (user !== undefined && group !== undefined) process.initgroups?.(user.name, asId(group));
    else process.setgroups?.([]);
    if (uid !== undefined) process.setuid?.(asId(uid));
  } catch (error) {
    const what = [uid === undefined ? "" : `uid = ${quote(uid)}`, gid === undefined ? "" : `gid = ${quote(gid)}`].filter(Boolean).join(", ");
    throw new RuntimeError("VASSAL_CREDENTIALS", `${what}: ${reasonOf(error)}`, {}, { cause: error });
  }
}

function checkUnprivileged(option: "uid" | "gid", wanted: string | undefined, current: number | undefined): void {
  if (wanted === undefined || wanted === String(current)) return;
  if (/^\d+$/.test(wanted)) {
    throw new RuntimeError("VASSAL_CREDENTIALS", `cannot set${option}() as non-root user: ${option} = ${wanted}, but this process runs with ${current}`);
  }
  const name = lookUp(option === "uid" ? "/etc/passwd" : "/etc/group", wanted);
  if (name?.id !== String(current)) log(`warning: ${option} = ${quote(wanted)} has no effect: this process is not root (${option} ${current})`);
}

function asId(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}

/** A line of /etc/passwd or /etc/group by name or number. Users of other sources are found by Node itself. */
function lookUp(file: string, wanted: string): { readonly name: string; readonly id: string; readonly group: string | undefined } | undefined {
  let lines: string[];
  try {
    lines = readFileSync(file, "utf8").split("\n");
  } catch {
    return undefined;
  }
  for (const line of lines) {
    const [name, , id, group] = line.split(":");
    if (name === undefined || id === undefined) continue;
    if (name === wanted || id === wanted) return { name, id, group: /^\d+$/.test(group ?? "") ? group : undefined };
  }
  return undefined;
}
