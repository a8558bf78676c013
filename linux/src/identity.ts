/**
 * Users, groups, credentials, capabilities. Look-ups ask the machine's name services and block for as
 * long as those take.
 */
import { native, withoutNul } from "./native.ts";

export interface UserEntry {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly home: string;
  readonly shell: string;
}

export interface GroupEntry {
  readonly gid: number;
  readonly name: string;
}

/** A number or a string of digits is an id, as in uWSGI's `uid` and `gid` options; all else a name. */
function keyOf(nameOrId: string | number): readonly [string | undefined, number] {
  if (typeof nameOrId === "number") return [undefined, nameOrId];
  if (/^[0-9]{1,10}$/.test(nameOrId)) return [undefined, Number(nameOrId)];
  return [withoutNul(nameOrId, "getpw"), 0];
}

/** `undefined`: nobody of that name or number. Throws when the name service fails. */
export function lookupUser(nameOrId: string | number): UserEntry | undefined {
  const entry = native.lookupUser(...keyOf(nameOrId));
  if (entry === undefined) return undefined;
  const [uid, gid, name, home, shell] = entry;
  return { uid, gid, name, home, shell };
}

export function lookupGroup(nameOrId: string | number): GroupEntry | undefined {
  const entry = native.lookupGroup(...keyOf(nameOrId));
  return entry === undefined ? undefined : { gid: entry[0], name: entry[1] };
}

/** All groups of a user, `gid` among them: what initgroups would set. */
export function userGroups(name: string, gid: number): number[] {
  return Array.from(native.userGroups(withoutNul(name, "getgrouplist"), gid));
}

/** Changes all ids and the groups of this whole process, every thread of it, for good. */
export function setCredentials(credentials: {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}): void {
  native.setCredentials(credentials.uid, credentials.gid, Float64Array.from(credentials.groups));
}

/** Capability numbers, see `CAPABILITY_NAMES`. */
export interface CapabilitySets {
  readonly effective: readonly number[];
  readonly permitted: readonly number[];
  readonly inheritable: readonly number[];
  readonly ambient: readonly number[];
  readonly bounding: readonly number[];
}

/** Of the calling thread. */
export function getCapabilities(): CapabilitySets {
  const [effective, permitted, inheritable, ambient, bounding] = native.getCapabilities();
  return {
    effective: Array.from(effective),
    permitted: Array.from(permitted),
    inheritable: Array.from(inheritable),
    ambient: Array.from(ambient),
    bounding: Array.from(bounding),
  };
}

/**
 * Of the calling thread and whatever it starts; Node's other threads keep theirs, so this protects
 * children, not this process from itself.
 */
export function setCapabilities(
  sets: Pick<CapabilitySets, "effective" | "permitted" | "inheritable">,
): void {
  native.setCapabilities(
    Float64Array.from(sets.effective),
    Float64Array.from(sets.permitted),
    Float64Array.from(sets.inheritable),
  );
}

/** Leaves only the given capabilities in the calling thread's bounding set. */
export function limitBoundingSet(kept: readonly number[]): void {
  for (const capability of getCapabilities().bounding)
    if (!kept.includes(capability)) native.dropBoundingCapability(capability);
}

/**
 * Changes all ids as `setCredentials` does, and keeps these capabilities, which a change from root to
 * another user otherwise takes away. They are the calling thread's; programs that it starts lose them
 * at exec unless they are made ambient.
 */
export function setCredentialsKeeping(
  credentials: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] },
  capabilities: readonly number[],
): void {
  native.keepCapabilities(true);
  setCredentials(credentials);
  setCapabilities({ effective: capabilities, permitted: capabilities, inheritable: [] });
}

/**
 * These are all that the calling thread has from now on, and programs that it executes have them too, whoever
 * they run as. Those of `setCredentialsKeeping`, made to last.
 */
export function holdCapabilities(capabilities: readonly number[]): void {
  const set = capabilities;
  setCapabilities({ effective: set, permitted: set, inheritable: set });
  for (const capability of set) native.raiseAmbient(capability);
}
