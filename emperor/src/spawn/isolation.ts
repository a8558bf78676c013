/**
 * What keeps vassals apart: namespaces and the capability bounding set. Turns settings into fields of
 * a spawn, once; it must not know a single vassal.
 */
import type { SpawnOptions } from "@emperor/linux";
import type { Settings } from "../options/settings.ts";

/** CLONE_NEW* flags, as in linux/sched.h. */
export const CLONE = {
  newMount: 0x0002_0000,
  newCgroup: 0x0200_0000,
  newUts: 0x0400_0000,
  newIpc: 0x0800_0000,
  newUser: 0x1000_0000,
  newPid: 0x2000_0000,
  newNet: 0x4000_0000,
} as const;

/** CAP_SETPCAP: uWSGI always leaves it, so that a vassal can narrow the set further. */
const CAP_SETPCAP = 8;

export type Isolation = Pick<
  SpawnOptions,
  "namespaces" | "makeMountsPrivate" | "userMap" | "capabilityBound"
>;

/**
 * Fields for `emperor-use-clone` and `emperor-cap`.
 *
 * A vassal with its own mount namespace gets private mounts, so that what its hooks mount stays with
 * it (uWSGI leaves them shared where the system has shared mounts). /proc is not mounted anew: uWSGI
 * does not do it either, and the documented way is a hook, `mount-as-vassal = proc none /proc`.
 *
 * In a user namespace the vassal is root, standing for the Emperor's user `uid`:`gid` outside.
 */
export function isolationOf(
  settings: Pick<Settings, "cloneFlags" | "capabilities">,
  ids: { readonly uid: number; readonly gid: number },
): Isolation {
  const { cloneFlags, capabilities } = settings;
  const isolation: { -readonly [Field in keyof Isolation]: Isolation[Field] } = {};
  if (cloneFlags !== 0) isolation.namespaces = cloneFlags;
  if ((cloneFlags & CLONE.newMount) !== 0) isolation.makeMountsPrivate = true;
  if ((cloneFlags & CLONE.newUser) !== 0) {
    isolation.userMap =
      ids.uid === 0
        ? { uidMap: "0 0 4294967295\n", gidMap: "0 0 4294967295\n", denySetgroups: false }
        : { uidMap: `0 ${ids.uid} 1\n`, gidMap: `0 ${ids.gid} 1\n`, denySetgroups: true };
  }
  if (capabilities !== undefined) {
    isolation.capabilityBound = [...new Set([...capabilities, CAP_SETPCAP])];
  }
  return isolation;
}
