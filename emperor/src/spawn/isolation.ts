/**
 * What keeps vassals apart: namespaces, capabilities, privileges. Turns settings and a vassal's own
 * wishes into fields of a spawn; it must not know how they are carried out.
 */
import type { SpawnOptions } from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import { quoteName } from "../log/quoting.ts";
import { readNamespaces } from "../options/kernel-names.ts";
import type { Settings } from "../options/settings.ts";
import type { Credentials } from "./tyrant.ts";
import { mapText, type UserRange, type UserRanges } from "./user-ranges.ts";

/** CLONE_NEW* flags, as in linux/sched.h. */
export const CLONE = {
  newTime: 0x0000_0080,
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
/** HOST_NAME_MAX is 64, one label of a name at most 63. */
const HOST_NAME_CHARACTERS = 63;

export type IsolationFields = {
  -readonly [
    Field in
      | "namespaces"
      | "makeMountsPrivate"
      | "mountProc"
      | "hostName"
      | "loopback"
      | "userMap"
      | "credentials"
      | "capabilityBound"
      | "capabilityAmbient"
      | "noNewPrivs"
      | "securebits"
  ]?: NonNullable<SpawnOptions[Field]>;
};

export type IsolationSettings = Pick<
  Settings,
  "cloneFlags" | "capabilities" | "isolation" | "tyrant"
>;

export type IsolationAnswer =
  | { readonly ok: true; readonly fields: Readonly<IsolationFields> }
  /** For the moment: another vassal has to end first. */
  | { readonly ok: false; readonly detail: string; readonly cause: "system" };

type Subject = Pick<VassalSpec, "name" | "monitor" | "attributes">;

/**
 * The host name of a vassal: its name without the extension, with what is no letter, digit, dot or dash
 * as a dash. `vassal` where nothing is left.
 */
export function hostNameOf(vassal: string): string {
  const name = vassal.slice(vassal.lastIndexOf("/") + 1).replace(/(?<=.)\.[a-z0-9]+$/i, "");
  const safe = name
    .replaceAll(/[^A-Za-z0-9.-]/g, "-")
    .slice(0, HOST_NAME_CHARACTERS)
    .replaceAll(/^[-.]+|[-.]+$/g, "");
  return safe === "" ? "vassal" : safe;
}

export class Isolation {
  readonly #settings: IsolationSettings;
  readonly #ids: { readonly uid: number; readonly gid: number };
  readonly #ranges: UserRanges | undefined;
  readonly #warn: (message: string) => void;
  readonly #said = new Set<string>();
  /** What is the same for all vassals, and all there is for most Emperors. */
  readonly #common: Readonly<IsolationFields>;

  constructor(
    settings: IsolationSettings,
    ids: { readonly uid: number; readonly gid: number },
    ranges: UserRanges | undefined,
    warn: (message: string) => void,
  ) {
    this.#settings = settings;
    this.#ids = ids;
    this.#ranges = ranges;
    this.#warn = warn;
    this.#common = this.#privileges();
  }

  /**
   * Fields for one start. `credentials`: the user that Tyrant mode gives it; `more`: namespaces
   * (CLONE_NEW* flags) that its profile wants.
   *
   * - A vassal with its own mount namespace gets private mounts, so that what its hooks mount stays with
   *   it (uWSGI leaves them shared where the system has shared mounts).
   * - With its own pid namespace too it gets its own /proc: in uWSGI's the old one stays, where it sees
   *   everybody and itself under a wrong number.
   * - A uts namespace is named after the vassal; a net namespace gets its loopback up.
   * - In a user namespace the vassal is root over a range of its own; without ranges it stands for the
   *   Emperor's user, or, under root, for everybody, as in uWSGI.
   */
  of(spec: Subject, credentials: Credentials | undefined, more = 0): IsolationAnswer {
    const flags = this.#settings.cloneFlags | this.#wishOf(spec) | more;
    if (flags === 0) return { ok: true, fields: this.#common };
    const { keepProc, keepHostname } = this.#settings.isolation;
    const has = (flag: number): boolean => (flags & flag) !== 0;
    const fields: IsolationFields = { ...this.#common, namespaces: flags };
    if (has(CLONE.newMount)) fields.makeMountsPrivate = true;
    if (has(CLONE.newMount) && has(CLONE.newPid) && !keepProc) fields.mountProc = true;
    if (has(CLONE.newUts) && !keepHostname) fields.hostName = hostNameOf(spec.name);
    if (has(CLONE.newNet)) fields.loopback = true;
    if (!has(CLONE.newUser)) return { ok: true, fields };
    if (this.#ranges === undefined) {
      fields.userMap = this.#wholeMap();
      return { ok: true, fields };
    }
    const range = this.#ranges.of(rangeKey(spec));
    if (range === undefined)
      return {
        ok: false,
        cause: "system",
        detail: "no range of ids is left for its user namespace",
      };
    Object.assign(fields, rangeFields(range, credentials));
    return { ok: true, fields };
  }

  #privileges(): IsolationFields {
    const { capabilities, tyrant, isolation } = this.#settings;
    const { capabilitiesKept, noNewPrivileges, securebits } = isolation;
    const fields: IsolationFields = {};
    if (capabilities !== undefined) {
      // What is to be kept must not be dropped before.
      fields.capabilityBound = [
        ...new Set([...capabilities, ...(capabilitiesKept ?? []), CAP_SETPCAP]),
      ];
    }
    if (capabilitiesKept !== undefined) fields.capabilityAmbient = capabilitiesKept;
    if (noNewPrivileges ?? tyrant) fields.noNewPrivs = true;
    if (securebits !== undefined) fields.securebits = securebits;
    return fields;
  }

  /** Namespaces that the vassal wants beside those that it gets anyway: there is no way to have fewer. */
  #wishOf(spec: Subject): number {
    const { cloneAttribute } = this.#settings.isolation;
    if (cloneAttribute === undefined) return 0;
    let flags = 0;
    // Each word by itself: one that is wrong must not take the others along.
    const words = (spec.attributes[cloneAttribute] ?? []).flatMap((text) => text.split(/[\s,]+/));
    for (const word of words.slice(0, 32)) {
      const reading = readNamespaces(word);
      if (reading.ok) flags |= reading.value;
      else this.#sayUnknown(spec.name, reading.unknown, reading.known);
    }
    return flags;
  }

  #sayUnknown(vassal: string, unknown: string, known: readonly string[]): void {
    const key = `${vassal}\0${unknown}`;
    if (this.#said.has(key) || this.#said.size >= 1000) return;
    this.#said.add(key);
    this.#warn(
      `[emperor] vassal ${quoteName(vassal)} asks for the namespace ${quoteName(unknown)}, ignored; known are ${known.join(", ")}`,
    );
  }

  #wholeMap(): NonNullable<IsolationFields["userMap"]> {
    const { uid, gid } = this.#ids;
    return uid === 0
      ? { uidMap: "0 0 4294967295\n", gidMap: "0 0 4294967295\n", denySetgroups: false }
      : { uidMap: `0 ${uid} 1\n`, gidMap: `0 ${gid} 1\n`, denySetgroups: true };
  }
}

/** Under which name a vassal has its range. */
export function rangeKey({ monitor, name }: Pick<VassalSpec, "monitor" | "name">): string {
  return `${monitor}\0${name}`;
}

function rangeFields(
  { uidBase, gidBase, size }: UserRange,
  credentials: Credentials | undefined,
): Pick<IsolationFields, "userMap" | "credentials"> {
  return {
    userMap: {
      uidMap: mapText(uidBase, size, credentials?.uid),
      gidMap: mapText(gidBase, size, credentials?.gid),
      denySetgroups: false,
    },
    // The Emperor's own user is not in the map: until it becomes somebody in it the child is nobody.
    // Its other groups are not in the map either.
    credentials: { uid: credentials?.uid ?? 0, gid: credentials?.gid ?? 0, groups: [] },
  };
}
