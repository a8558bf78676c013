/**
 * Who the Emperor runs as: names to ids, and the drop of root. Knows no option file; it gets the
 * settings' texts.
 */
import { EmperorError, reasonOf } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import type { System } from "./system.ts";

export interface WantedIdentity {
  readonly uid: string | undefined;
  readonly gid: string | undefined;
  readonly addGids: readonly string[];
  /** Take over the user's supplementary groups. */
  readonly initgroups: boolean;
  /** Capability numbers that survive. */
  readonly capabilities: readonly number[] | undefined;
}

export interface OwnIds {
  readonly uid: number;
  readonly gid: number;
}

type Accounts = Pick<System, "lookupUser" | "lookupGroup" | "groupsOf" | "setCredentials">;

const ID = /^\d{1,10}$/;
/** (uid_t)-1 means "leave it as it is" to the kernel. */
const NO_ID = 0xffff_ffff;

/**
 * A number is an id; anything else is a name.
 * @throws EmperorError `unknown-group`
 */
export function resolveGroup(text: string, option: string, accounts: Accounts): number {
  if (ID.test(text) && Number(text) < NO_ID) return Number(text);
  const group = accounts.lookupGroup(text);
  if (group === undefined) {
    throw new EmperorError(
      "unknown-group",
      `${option} = ${text}: there is no such group; nothing is started`,
    );
  }
  return group.gid;
}

/**
 * A number is an id; anything else is a name. `name` is undefined for an id without an account.
 * @throws EmperorError `unknown-user`
 */
export function resolveUser(
  text: string,
  option: string,
  accounts: Accounts,
): { readonly uid: number; readonly name: string | undefined } {
  if (ID.test(text) && Number(text) < NO_ID) {
    const uid = Number(text);
    return { uid, name: accounts.lookupUser(uid)?.name };
  }
  const user = accounts.lookupUser(text);
  if (user === undefined) {
    throw new EmperorError(
      "unknown-user",
      `${option} = ${text}: there is no such user; nothing is started`,
    );
  }
  return { uid: user.uid, name: user.name };
}

/**
 * Becomes the wanted user and group. The rules are uWSGI's: without `gid` the group stays; the
 * supplementary groups are those of `add-gid`, else the user's, else none. Where a process that is
 * not root is told to become somebody else, uWSGI ignores names; here both are errors.
 * @throws EmperorError `unknown-user`, `unknown-group`, `credentials-failed`
 */
export function dropPrivileges(
  wanted: WantedIdentity,
  own: OwnIds,
  accounts: Accounts,
  logger: Logger,
): void {
  if (wanted.uid === undefined && wanted.gid === undefined && wanted.addGids.length === 0) return;
  const gid = wanted.gid === undefined ? own.gid : resolveGroup(wanted.gid, "gid", accounts);
  const user = wanted.uid === undefined ? undefined : resolveUser(wanted.uid, "uid", accounts);
  const uid = user?.uid ?? own.uid;
  if (own.uid !== 0) {
    if (uid === own.uid && gid === own.gid) return;
    throw new EmperorError(
      "credentials-failed",
      `the Emperor runs as user ${own.uid} and group ${own.gid}, so it cannot become user ${uid} and group ${gid}: that needs root; nothing is started`,
    );
  }
  const added = wanted.addGids.map((text) => resolveGroup(text, "add-gid", accounts));
  const groups = added.length > 0 ? added : supplementaryGroups(wanted, user?.name, gid, accounts);
  if (user !== undefined && uid !== 0 && wanted.gid === undefined && gid === 0) {
    logger.warning(
      `[emperor] uid without gid: the Emperor and its vassals keep the group ${gid} (root's), as with uWSGI`,
    );
  }
  try {
    accounts.setCredentials({ uid, gid, groups }, uid === 0 ? undefined : wanted.capabilities);
  } catch (error) {
    throw new EmperorError(
      "credentials-failed",
      `cannot become user ${uid} and group ${gid}: ${reasonOf(error)}; nothing is started`,
      { cause: error },
    );
  }
}

function supplementaryGroups(
  wanted: WantedIdentity,
  userName: string | undefined,
  gid: number,
  accounts: Accounts,
): readonly number[] {
  if (userName === undefined || !wanted.initgroups) return [];
  return accounts.groupsOf(userName, gid);
}

/**
 * `immediate-uid` and `immediate-gid`: before anything else, and never root.
 * @throws EmperorError as `dropPrivileges`
 */
export function dropAtOnce(
  wanted: { readonly uid: string | undefined; readonly gid: string | undefined },
  own: OwnIds,
  accounts: Accounts,
  logger: Logger,
): void {
  if (wanted.uid === undefined && wanted.gid === undefined) return;
  const uid =
    wanted.uid === undefined ? own.uid : resolveUser(wanted.uid, "immediate-uid", accounts).uid;
  const gid =
    wanted.gid === undefined ? own.gid : resolveGroup(wanted.gid, "immediate-gid", accounts);
  if ((wanted.uid !== undefined && uid === 0) || (wanted.gid !== undefined && gid === 0)) {
    throw new EmperorError(
      "credentials-failed",
      `immediate-uid and immediate-gid never make root, but they name user ${uid} and group ${gid}; nothing is started`,
    );
  }
  const texts = { uid: wanted.uid, gid: wanted.gid };
  dropPrivileges(
    { ...texts, addGids: [], initgroups: true, capabilities: undefined },
    own,
    accounts,
    logger,
  );
}
