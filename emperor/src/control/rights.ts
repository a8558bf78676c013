/**
 * Who may do what at the control socket: root and the Emperor's user everything; in tyrant mode every
 * other user what is theirs; anybody else nothing. Pure.
 */

export interface Caller {
  readonly uid: number;
}

export interface RightsPolicy {
  readonly tyrant: boolean;
  /** The Emperor's own user id. */
  readonly ownUid: number;
}

export function isAdministrator({ uid }: Caller, { ownUid }: RightsPolicy): boolean {
  return uid === 0 || uid === ownUid;
}

/** May the caller speak to the socket at all? */
export function mayEnter(caller: Caller, policy: RightsPolicy): boolean {
  return policy.tyrant || isAdministrator(caller, policy);
}

/** May the caller see and govern a vassal of user `owner`? */
export function maySee(caller: Caller, owner: number | undefined, policy: RightsPolicy): boolean {
  if (isAdministrator(caller, policy)) return true;
  return policy.tyrant && owner !== undefined && owner === caller.uid;
}
