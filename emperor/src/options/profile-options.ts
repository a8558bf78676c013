/**
 * Options of profiles and of what a vassal sees of the file system: the table and the settings made from
 * it. A profile is a file of such options; which are offered to vassals is read by `read-settings.ts`.
 */
import { RLIMIT } from "@emperor/linux";
import type { OptionDefinition } from "@emperor/config";
import { OURS, under } from "./define.ts";
import type { EntryReader } from "./entry-reader.ts";
import { readCapabilities, readNamespaces } from "./kernel-names.ts";

export const PROFILE_NAMES = ["default", "container", "strict"] as const;

export interface Sandbox {
  /** /tmp, /var/tmp and /dev/shm of its own. */
  readonly privateTmp: boolean;
  readonly readOnly: boolean;
  readonly hidePid: boolean;
  readonly hide: readonly string[];
  readonly write: readonly string[];
}

export interface Rlimit {
  readonly resource: number;
  /** `Infinity`: unlimited. */
  readonly limit: number;
}

/** What a profile takes from a vassal. More of any of it is stricter. */
export interface Profile {
  /** CLONE_NEW* flags. */
  readonly cloneFlags: number;
  /** Undefined: untouched. */
  readonly capabilities: readonly number[] | undefined;
  readonly noNewPrivileges: boolean;
  readonly sandbox: Sandbox;
  readonly rlimits: readonly Rlimit[];
}

export interface ProfileSettings {
  /** For every vassal. */
  readonly base: Profile;
  /** Attribute by which a vassal asks for a further profile. */
  readonly attribute: string | undefined;
  /** What it may ask for, by name. */
  readonly offered: Readonly<Record<string, Profile>>;
}

export function profileOptions(): OptionDefinition[] {
  const { flag, list, value } = under("Profiles and what vassals see", OURS);
  return [
    value(
      "vassal-profile",
      "string",
      "default|container|strict|FILE",
      "take these options of isolation first; what is given beside it counts more",
      { aliases: ["vassals-profile"] },
    ),
    value(
      "vassal-profile-attr",
      "string",
      "NAME",
      "attribute of a vassal that names a profile which it gets in addition",
    ),
    flag(
      "vassal-private-tmp",
      "vassals have a /tmp, /var/tmp and /dev/shm of their own, in memory",
    ),
    flag(
      "vassal-read-only",
      "vassals can write nothing but their home, vassal-write and a private /tmp",
    ),
    list("vassal-hide", "DIR", "vassals find this directory empty, but for their home and config"),
    list(
      "vassal-write",
      "DIR",
      "vassals can write here in spite of vassal-read-only, and see it in spite of vassal-hide",
    ),
    flag("vassal-hide-pid", "/proc shows vassals only processes of their own user"),
    list(
      "vassal-rlimit",
      "NAME=VALUE",
      "resource limit of vassals: nproc=512, core=0, fsize=1000000, or unlimited",
    ),
  ];
}

function readRlimit(text: string): Rlimit | undefined {
  const match = /^\s*([a-z]+)\s*=\s*(\d{1,15}|unlimited)\s*$/.exec(text);
  const resource = Object.entries(RLIMIT).find(([name]) => name === match?.[1])?.[1];
  if (match === null || resource === undefined) return undefined;
  return { resource, limit: match[2] === "unlimited" ? Infinity : Number(match[2]) };
}

function rlimits(reader: EntryReader): readonly Rlimit[] {
  const byResource = new Map<number, Rlimit>();
  for (const entry of reader.all("vassal-rlimit")) {
    const one = readRlimit(entry.value ?? "");
    if (one !== undefined) byResource.set(one.resource, one);
    else {
      reader.reject(
        entry,
        `needs NAME=VALUE with one of ${Object.keys(RLIMIT).join(", ")} and a number or "unlimited", not "${entry.value}"`,
      );
    }
  }
  return [...byResource.values()];
}

function directories(reader: EntryReader, name: string): readonly string[] {
  for (const entry of reader.all(name)) {
    if (entry.value?.startsWith("/") !== true)
      reader.reject(entry, `needs an absolute path, not "${entry.value}"`);
  }
  return reader.list(name);
}

/** The profile that these options make. */
export function buildProfile(reader: EntryReader): Profile {
  return {
    cloneFlags:
      reader.names("emperor-use-clone", readNamespaces, (before = 0, value) => before | value) ?? 0,
    capabilities: reader.names("emperor-cap", readCapabilities, (_before, value) => value),
    noNewPrivileges: reader.flag("emperor-no-new-privs"),
    sandbox: {
      privateTmp: reader.flag("vassal-private-tmp"),
      readOnly: reader.flag("vassal-read-only"),
      hidePid: reader.flag("vassal-hide-pid"),
      hide: directories(reader, "vassal-hide"),
      write: directories(reader, "vassal-write"),
    },
    rlimits: rlimits(reader),
  };
}

export function buildProfiles(reader: EntryReader): ProfileSettings {
  return { base: buildProfile(reader), attribute: reader.text("vassal-profile-attr"), offered: {} };
}
