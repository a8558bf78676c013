/**
 * The options by which a vassal locks itself up: namespaces, root directory, cgroups, capabilities, groups,
 * limits. Table and meaning; pure.
 */
import { allEntries, formatOrigin, parseFlag, parseInteger, parseOctal } from "@emperor/config";
import type { ConfigEntry, OptionDefinition } from "@emperor/config";
import { CLONE_NEW, RLIMIT, readCapabilities, readNamespaces } from "@emperor/linux";
import type { NamesRead } from "@emperor/linux";
import { flag, serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";

/** A value and where it was written. */
export interface Located {
  readonly text: string;
  readonly origin: string;
}

export interface LimitSetting {
  readonly option: "limit-as" | "limit-nproc" | "max-fd";
  readonly resource: number;
  /** Soft and hard; bytes for `limit-as`. */
  readonly value: number;
  readonly origin: string;
}

export interface JailSettings {
  /** Unix sockets that give namespaces, or files that are namespaces. */
  readonly setns: readonly Located[];
  /** `CLONE_NEW` flags, OR-ed; a pid namespace comes with a mount namespace. */
  readonly unshare: number;
  readonly unshare2: number;
  /** All that is left; undefined: no change. */
  readonly capabilities: readonly number[] | undefined;
  readonly chroot: Located | undefined;
  readonly pivotRoot: (Located & { readonly putOld: string }) | undefined;
  /** Post-jail hooks run even when nothing was unshared. */
  readonly jailed: boolean;
  readonly cgroups: readonly Located[];
  readonly cgroupOptions: readonly (Located & { readonly value: string })[];
  readonly cgroupMode: number;
  /** They replace the groups of the user. */
  readonly addGroups: readonly Located[];
  readonly initgroups: boolean;
  readonly limits: readonly LimitSetting[];
  /** -20 to 19. */
  readonly priority: number | undefined;
  readonly noNewPrivs: boolean;
}

const GROUP = "Isolation (when started as root)";
const LIMITS = "Limits of the process";
const several = { kind: "list", repeatable: true } as const;
const number = { kind: "integer" } as const;

/** Their part of the option table. */
export const JAIL_OPTIONS: readonly OptionDefinition[] = [
  serve(GROUP, "unshare", "enter new namespaces, before the post-jail hooks", {
    ...several,
    placeholder: "NAME,...",
  }),
  serve(GROUP, "unshare2", "the same, after chroot and pivot-root", {
    ...several,
    placeholder: "NAME,...",
  }),
  serve(GROUP, "setns", "join the namespaces that a setns-socket gives, or of a file", {
    ...several,
    placeholder: "SOCKET | FILE",
  }),
  serve(GROUP, "cap", "the capabilities that are left", { ...several, placeholder: "NAME,..." }),
  serve(GROUP, "chroot", "change the root directory", { kind: "path", placeholder: "DIRECTORY" }),
  serve(GROUP, "pivot-root", "change the root mount", {
    aliases: ["pivot_root"],
    placeholder: "NEW OLD",
  }),
  flag(GROUP, "jailed", "run the post-jail hooks although nothing was unshared"),
  serve(GROUP, "cgroup", "enter this cgroup, created if it is not there", {
    ...several,
    placeholder: "DIRECTORY",
  }),
  serve(GROUP, "cgroup-opt", "write a value into a file of the cgroups", {
    ...several,
    placeholder: "FILE=VALUE",
  }),
  serve(GROUP, "cgroup-dir-mode", "mode of a cgroup that is created", {
    kind: "octal",
    default: "700",
  }),
  serve(GROUP, "add-gid", "a group beside gid, instead of those of the user", {
    ...several,
    placeholder: "GROUP",
  }),
  flag(GROUP, "no-initgroups", "do not take the groups of the user"),
  flag(LIMITS, "no-new-privs", "no program that is started gains privileges (set-user-ID)"),
  serve(LIMITS, "limit-as", "address space in MB", number),
  serve(LIMITS, "limit-nproc", "processes and threads of the user", number),
  serve(LIMITS, "max-fd", "open descriptors", number),
  serve(LIMITS, "prio", "priority (nice)", number),
];

/** Reads them; undefined when none is set. Mistakes are noted in the reader. */
export function readJail(reader: SettingsReader): JailSettings | undefined {
  const names = new Set(JAIL_OPTIONS.map(({ name }) => name));
  if (
    !reader.entries.some(
      ({ option, placeholder }) => placeholder !== true && names.has(option?.name ?? ""),
    )
  )
    return undefined;
  const isOn = (name: string): boolean => {
    const entry = reader.last(name);
    return entry !== undefined && parseFlag(entry.value);
  };
  const namespaces = (name: string): number => {
    let flags = 0;
    for (const entry of allEntries(reader.entries, name))
      flags |= known(reader, entry, "namespace", readNamespaces(entry.value ?? "")) ?? 0;
    return withMounts(flags);
  };
  return {
    setns: list(reader, "setns"),
    unshare: namespaces("unshare"),
    unshare2: namespaces("unshare2"),
    capabilities: capabilities(reader),
    chroot: list(reader, "chroot").at(-1),
    pivotRoot: pivotRoot(reader),
    jailed: isOn("jailed"),
    cgroups: list(reader, "cgroup"),
    cgroupOptions: cgroupOptions(reader),
    cgroupMode: reader.take("cgroup-dir-mode", parseOctal) ?? 0o700,
    addGroups: list(reader, "add-gid"),
    initgroups: !isOn("no-initgroups"),
    limits: limits(reader),
    priority: reader.take("prio", (entry) => parseInteger(entry, { minimum: -20, maximum: 19 })),
    noNewPrivs: isOn("no-new-privs"),
  };
}

const { pid: NEW_PID, mount: NEW_MOUNT } = CLONE_NEW;

/** Whoever looks at processes needs a /proc that shows those of the own pid namespace. */
function withMounts(flags: number): number {
  return (flags & NEW_PID) === 0 ? flags : flags | NEW_MOUNT;
}

function known<Value>(
  reader: SettingsReader,
  entry: ConfigEntry,
  what: string,
  read: NamesRead<Value>,
): Value | undefined {
  if (read.ok) return read.value;
  reader.fail(
    "VASSAL_CONFIG",
    entry,
    `option "${entry.key}": there is no ${what} ${JSON.stringify(read.unknown)} (known: ${read.known.join(", ")})`,
  );
  return undefined;
}

function list(reader: SettingsReader, name: string): readonly Located[] {
  return allEntries(reader.entries, name).flatMap((entry): Located[] => {
    const text = (entry.value ?? "").trim();
    if (text !== "" && !text.includes("\0")) return [{ text, origin: formatOrigin(entry.origin) }];
    reader.fail("VASSAL_CONFIG", entry, `option "${entry.key}": it names nothing`);
    return [];
  });
}

function capabilities(reader: SettingsReader): readonly number[] | undefined {
  const entries = allEntries(reader.entries, "cap");
  if (entries.length === 0) return undefined;
  const found = entries.flatMap(
    (entry) => known(reader, entry, "capability", readCapabilities(entry.value ?? "")) ?? [],
  );
  return [...new Set(found)];
}

function pivotRoot(reader: SettingsReader): JailSettings["pivotRoot"] {
  const entry = reader.last("pivot-root");
  if (entry === undefined) return undefined;
  const words = (entry.value ?? "").trim().split(/\s+/);
  const [text, putOld] = words;
  if (words.length === 2 && text !== undefined && putOld !== undefined)
    return { text, putOld, origin: formatOrigin(entry.origin) };
  reader.fail(
    "VASSAL_CONFIG",
    entry,
    `option "${entry.key}" needs NEW OLD, two directories with a blank between them, not ${JSON.stringify(entry.value)}`,
  );
  return undefined;
}

function cgroupOptions(reader: SettingsReader): JailSettings["cgroupOptions"] {
  return allEntries(reader.entries, "cgroup-opt").flatMap((entry) => {
    const [, text, value] = /^\s*([^=/\0]+)=([^\0]*)$/.exec(entry.value ?? "") ?? [];
    if (text !== undefined && value !== undefined && ![".", ".."].includes(text))
      return [{ text, value, origin: formatOrigin(entry.origin) }];
    reader.fail(
      "VASSAL_CONFIG",
      entry,
      `option "cgroup-opt" needs FILE=VALUE with a file of the cgroup, not ${JSON.stringify(entry.value)}`,
    );
    return [];
  });
}

const MEGABYTE = 1024 * 1024;

function limits(reader: SettingsReader): readonly LimitSetting[] {
  const kinds = [
    ["limit-as", RLIMIT.as, MEGABYTE],
    ["limit-nproc", RLIMIT.nproc, 1],
    ["max-fd", RLIMIT.nofile, 1],
  ] as const;
  return kinds.flatMap(([option, resource, unit]): LimitSetting[] => {
    const value = reader.take(option, (entry) =>
      parseInteger(entry, { minimum: 1, maximum: 2 ** 31 - 1 }),
    );
    const entry = reader.last(option);
    if (value === undefined || entry === undefined) return [];
    return [{ option, resource, value: value * unit, origin: formatOrigin(entry.origin) }];
  });
}
