/**
 * The process's own user, group, directory and environment, changed as the configuration says. Order
 * as in uWSGI: the user is left before sockets are bound and before the directory is entered.
 */
import { RuntimeError, reasonOf } from "./errors.ts";
import { log, quote } from "./log.ts";
import type { JailSettings } from "./jail-settings.ts";
import { become, findGroup, findUser, groupsOf } from "./platform.ts";
import type { RuntimeSettings } from "./settings.ts";

type Environment = Record<string, string>;

/** A copy of `base` with the changes applied in order. */
export function applyEnvironment(
  base: Readonly<Environment>,
  changes: RuntimeSettings["environment"],
): Environment {
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
    throw new RuntimeError(
      "VASSAL_CREDENTIALS",
      `chdir = ${JSON.stringify(directory)} is not possible: ${reasonOf(error)}`,
      {},
      { cause: error },
    );
  }
}

/** What the isolation of a vassal adds to the change of its user. */
export type GroupSettings = Pick<JailSettings, "addGroups" | "capabilities" | "initgroups">;

/**
 * Becomes the configured user and group, with the user's supplementary groups, or those of `add-gid` instead of
 * them, as in uWSGI. Where only `uid` is set the group becomes the user's own: uWSGI stays in root's group then,
 * which nobody wants. Without root nothing can change: a number that is not ours is an error and a name is ignored
 * with a warning, as in uWSGI.
 */
export function dropPrivileges(
  uid: string | undefined,
  gid: string | undefined,
  jail?: GroupSettings,
): void {
  const added = jail?.addGroups ?? [];
  if (uid === undefined && gid === undefined && added.length === 0) return;
  const isRoot = process.geteuid?.() === 0;
  const user = uid === undefined ? undefined : findUser(uid);
  const wantedUid = uid === undefined ? undefined : idOf("uid", uid, user?.uid, isRoot);
  const wantedGid = gid === undefined ? user?.gid : idOf("gid", gid, findGroup(gid)?.gid, isRoot);
  const more = added.map(({ text }) => idOf("add-gid", text, findGroup(text)?.gid, isRoot));
  if (!isRoot) {
    if (uid !== undefined) checkUnprivileged("uid", uid, wantedUid, process.geteuid?.());
    if (gid !== undefined) checkUnprivileged("gid", gid, wantedGid, process.getegid?.());
    if (more.length > 0) log("warning: add-gid has no effect: this process is not root");
    return;
  }
  if (wantedGid === undefined && uid !== undefined)
    log(
      `warning: uid = ${quote(uid)} is nobody's in the user database and gid is not set: the group stays ${process.getegid?.()}`,
    );
  const group = wantedGid ?? process.getegid?.() ?? 0;
  const ofUser = user === undefined || jail?.initgroups === false ? [] : groupsOf(user.name, group);
  try {
    become(
      {
        uid: wantedUid ?? 0,
        gid: group,
        groups: more.length > 0 ? more.filter((id) => id !== undefined) : ofUser,
      },
      (wantedUid ?? 0) === 0 ? undefined : jail?.capabilities,
    );
  } catch (error) {
    throw new RuntimeError(
      "VASSAL_CREDENTIALS",
      `user ${uid ?? "root"} and group ${group} cannot be taken: ${reasonOf(error)}`,
      {},
      { cause: error },
    );
  }
}

/** The number behind a name. A number needs no entry in the user database. */
function idOf(
  option: "uid" | "gid" | "add-gid",
  text: string,
  found: number | undefined,
  isRoot: boolean,
): number | undefined {
  // The largest number stands for "no change" in the kernel.
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1) return Number(text);
  if (found === undefined && isRoot) {
    throw new RuntimeError(
      "VASSAL_CREDENTIALS",
      `${option} = ${quote(text)}: there is no such ${option === "uid" ? "user" : "group"}; nothing was started`,
    );
  }
  return found;
}

function checkUnprivileged(
  option: "uid" | "gid",
  text: string,
  wanted: number | undefined,
  current: number | undefined,
): void {
  if (wanted === current) return;
  if (/^\d+$/.test(text)) {
    throw new RuntimeError(
      "VASSAL_CREDENTIALS",
      `cannot set${option}() as non-root user: ${option} = ${text}, but this process runs with ${current}`,
    );
  }
  log(
    `warning: ${option} = ${quote(text)} has no effect: this process is not root (its ${option} is ${current})`,
  );
}
