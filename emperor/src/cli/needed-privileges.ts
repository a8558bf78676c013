/**
 * What the Emperor was asked to do and cannot, for want of privileges: better said at the start, with the
 * reason, than at each vassal. Knows the system only through what it is given.
 */
import { EmperorError } from "../errors.ts";
import type { Settings } from "../options/settings.ts";

/** Numbers of capabilities, as in linux/capability.h. */
const CAPABILITY = { kill: 5, setgid: 6, setuid: 7 } as const;

export interface OwnPrivileges {
  readonly uid: number;
  /** Capability numbers in the effective set. */
  readonly effective: readonly number[];
}

/**
 * Tyrant mode needs the right to become other users: that of root, or the two capabilities that
 * `cap = setgid,setuid` keeps. Called after the Emperor dropped its own privileges.
 * @returns things that work less well, each a full sentence
 * @throws EmperorError `privileges-missing`
 */
export function checkPrivileges(
  settings: Pick<Settings, "tyrant">,
  own: OwnPrivileges,
): readonly string[] {
  if (!settings.tyrant) return [];
  const missing = (["setgid", "setuid"] as const).filter(
    (name) => !own.effective.includes(CAPABILITY[name]),
  );
  if (missing.length > 0) {
    throw new EmperorError(
      "privileges-missing",
      `emperor-tyrant: user ${own.uid} cannot run vassals as other users without the ${missing.length === 1 ? "capability" : "capabilities"} ${missing.join(" and ")}: start the Emperor as root, and to leave root give it uid, gid and cap = setgid,setuid; nothing is started`,
    );
  }
  return [];
}
