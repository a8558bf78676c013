/**
 * Tyrant mode: every vassal runs as the user that its source reports, never as root. Owns that rule;
 * it must not know how ids are changed.
 */
import { readFileSync } from "node:fs";
import type { VassalSpec } from "@emperor/monitors";
import type { Settings } from "../options/settings.ts";
import { quoteName } from "../log/quoting.ts";

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

export type TyrantAnswer =
  /** `credentials` undefined: not in Tyrant mode, ids stay as they are. */
  | { readonly ok: true; readonly credentials: Credentials | undefined }
  | { readonly ok: false; readonly detail: string };

/** The two text databases of users and groups, as they are now. */
export interface UserDatabase {
  readonly passwd: string;
  readonly group: string;
}

/** Reads `/etc/passwd` and `/etc/group`; a missing one is empty. */
export function readUserDatabase(): UserDatabase {
  const read = (path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return "";
    }
  };
  return { passwd: read("/etc/passwd"), group: read("/etc/group") };
}

/**
 * What initgroups(3) would set for the user `uid`: the groups that list the user, and the group of
 * the user's own entry (as uWSGI 2.1 does, although the process runs with the gid of the file).
 * Only the text databases are asked. Undefined: there is no such user.
 */
export function supplementaryGroups(
  database: UserDatabase,
  uid: number,
): readonly number[] | undefined {
  const user = database.passwd
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields.length >= 4 && fields[2] !== "" && Number(fields[2]) === uid);
  if (user === undefined) return undefined;
  const [name = "", , , ownGroup = ""] = user;
  const groups = new Set<number>();
  if (/^\d+$/.test(ownGroup)) groups.add(Number(ownGroup));
  for (const line of database.group.split("\n")) {
    const [, , gid = "", members = ""] = line.split(":");
    if (/^\d+$/.test(gid) && members.split(",").includes(name)) groups.add(Number(gid));
  }
  return [...groups];
}

/**
 * The ids a vassal gets. Refuses root's uid and gid, and a source that names no owner, as uWSGI does;
 * only another owner can change that answer, so a refused vassal rests until its source changes.
 */
export function tyrantCredentials(
  settings: Pick<Settings, "tyrant" | "tyrantInitgroups">,
  spec: Pick<VassalSpec, "name" | "uid" | "gid">,
  database: () => UserDatabase = readUserDatabase,
): TyrantAnswer {
  if (!settings.tyrant) return { ok: true, credentials: undefined };
  const { uid, gid } = spec;
  if (uid === undefined || gid === undefined || uid === 0 || gid === 0) {
    const owner =
      uid === undefined || gid === undefined ? "its source names no owner" : `owner ${uid}:${gid}`;
    return {
      ok: false,
      detail: `[emperor-tyrant] invalid permissions for vassal ${quoteName(spec.name)}: ${owner}, and no vassal runs as root`,
    };
  }
  if (!settings.tyrantInitgroups) return { ok: true, credentials: { uid, gid, groups: [] } };
  const groups = supplementaryGroups(database(), uid);
  if (groups === undefined) {
    return {
      ok: false,
      detail: `[emperor-tyrant] the owner ${uid} of vassal ${quoteName(spec.name)} is no known user, so emperor-tyrant-initgroups finds no groups`,
    };
  }
  return { ok: true, credentials: { uid, gid, groups } };
}

/** Why Tyrant mode does not let this vassal run, or undefined: for those who ask before any start. */
export function tyrantRefusal(
  settings: Pick<Settings, "tyrant" | "tyrantInitgroups">,
  spec: Pick<VassalSpec, "name" | "uid" | "gid">,
): string | undefined {
  const answer = tyrantCredentials(settings, spec);
  return answer.ok ? undefined : answer.detail;
}
