/**
 * Options of namespaces, capabilities and cgroups that uWSGI does not have: the table and the settings
 * made from it. Reads nothing itself.
 */
import type { OptionDefinition } from "@emperor/config";
import { CLONE_NEW, SECUREBITS } from "@emperor/linux";
import { readLimit } from "../cgroups/limits.ts";
import { readRange, type VethSettings } from "../spawn/addresses.ts";
import { OURS, under } from "./define.ts";
import { originOf, type EntryReader } from "./entry-reader.ts";
import { readCapabilities, readNamespaces, type NamesRead } from "./kernel-names.ts";
import type { HookAction } from "./settings.ts";

/** The kernel's largest id, and what one vassal gets at most. */
const LAST_ID = 0xffff_fffe;
const USUAL_RANGE = 65_536;
const USUAL_NETWORK = "10.97.0.0/16";

export interface IsolationSettings {
  /** Directory of the vassals' cgroups, as written; undefined: they get none. */
  readonly cgroup: string | undefined;
  /** `KEY=VALUE`, checked. */
  readonly cgroupLimits: readonly string[];
  readonly cgroupCeilings: readonly string[];
  readonly cgroupAttribute: string | undefined;
  readonly cloneAttribute: string | undefined;
  /** A pid namespace does not get its own /proc. */
  readonly keepProc: boolean;
  /** A uts namespace keeps the machine's name. */
  readonly keepHostname: boolean;
  /** First id outside of the ranges for user namespaces; undefined: /etc/subuid, if it has any. */
  readonly usernsBase: number | undefined;
  /** Ids for each vassal. */
  readonly usernsSize: number;
  readonly capabilitiesKept: readonly number[] | undefined;
  /** Undefined: in Tyrant mode. */
  readonly noNewPrivileges: boolean | undefined;
  readonly securebits: number | undefined;
  /** `emperor-veth`. */
  readonly veth: VethSettings | undefined;
  /** `hook-as-emperor-setns`, in order. */
  readonly setnsHooks: readonly SetnsHook[];
}

/** What the Emperor does in namespaces of a vassal. */
export interface SetnsHook {
  /** CLONE_NEW* flags, OR-ed. */
  readonly namespaces: number;
  readonly hook: HookAction;
}

function cgroupOptions(): OptionDefinition[] {
  const { list, value } = under("Control groups", OURS);
  return [
    value(
      "emperor-cgroup",
      "string",
      "DIR",
      "give each vassal a cgroup of its own in this directory",
    ),
    list(
      "vassal-cgroup",
      "KEY=VALUE",
      "limit of each vassal: memory.max=512M, cpu.max=50%, pids.max=200",
      {
        aliases: ["vassals-cgroup"],
      },
    ),
    list(
      "vassal-cgroup-max",
      "KEY=VALUE",
      "up to here a vassal's attribute may ask for more than vassal-cgroup",
      {
        aliases: ["vassals-cgroup-max"],
      },
    ),
    value(
      "emperor-cgroup-attr",
      "string",
      "NAME",
      "attribute of a vassal with limits of its own, KEY=VALUE",
    ),
  ];
}

function namespaceOptions(): OptionDefinition[] {
  const { flag, list, value } = under("Tyrant mode and isolation", OURS);
  return [
    value(
      "emperor-use-clone-attr",
      "string",
      "NAME",
      "attribute of a vassal that names further namespaces",
    ),
    flag("emperor-keep-proc", "do not mount /proc anew for vassals with pid and fs namespaces"),
    flag("emperor-keep-hostname", "vassals with a uts namespace keep the machine's name"),
    value(
      "emperor-userns-base",
      "integer",
      "ID",
      "first user and group id of the ranges for vassals with a user namespace",
    ),
    value("emperor-userns-size", "integer", "COUNT", "ids of each vassal with a user namespace", {
      default: String(USUAL_RANGE),
    }),
    value(
      "emperor-cap-keep",
      "capabilities",
      "NAMES",
      "vassals that are not root keep these capabilities",
      {
        aliases: ["vassal-cap-keep"],
      },
    ),
    value(
      "emperor-veth",
      "string",
      "BRIDGE",
      "vassals with a net namespace get an interface eth0 on this bridge, with an address",
    ),
    value(
      "emperor-veth-range",
      "string",
      "NETWORK",
      "addresses for emperor-veth; the first is the bridge's",
      {
        default: USUAL_NETWORK,
      },
    ),
    flag(
      "emperor-no-new-privs",
      "vassals gain no privileges by executing programs (always so in tyrant mode, unless set to false)",
    ),
    list(
      "emperor-securebits",
      "NAMES",
      "securebits of vassals: a comma list such as noroot,no-setuid-fixup",
    ),
  ];
}

/** Fresh objects at each call, so that nothing of the table stays in memory once the options are read. */
export function isolationOptions(): OptionDefinition[] {
  return [...namespaceOptions(), ...cgroupOptions()];
}

/** `noroot,noroot-locked` -> bits, OR-ed. */
export function readSecurebits(text: string): NamesRead<number> {
  let bits = 0;
  for (const word of text.split(/[\s,]+/).filter((one) => one !== "")) {
    const name = word.toLowerCase().replaceAll("_", "-");
    const bit = Object.entries(SECUREBITS).find(([known]) => known === name)?.[1];
    if (bit === undefined) return { ok: false, unknown: word, known: Object.keys(SECUREBITS) };
    bits |= bit;
  }
  return { ok: true, value: bits };
}

function limits(reader: EntryReader, name: string): readonly string[] {
  const texts = reader.list(name);
  for (const entry of reader.all(name)) {
    // A percentage of any memory is as right or wrong as that of this machine's.
    const reading = readLimit(entry.value ?? "", { memoryBytes: 2 ** 40 });
    if (!reading.ok) reader.reject(entry, reading.problem);
  }
  return texts;
}

/** `net,mnt exec:ip addr add 10.0.0.2/24 dev eth0` */
function setnsHooks(reader: EntryReader): readonly SetnsHook[] {
  const hooks: SetnsHook[] = [];
  for (const entry of reader.all("hook-as-emperor-setns")) {
    const value = entry.value ?? "";
    const match = /^\s*(\S+)\s+([a-z0-9_-]+)\s*:([^]*)$/.exec(value);
    const reading = match === null ? undefined : readNamespaces(match[1] ?? "");
    if (match === null || reading === undefined) {
      reader.reject(entry, `needs NAMES ACTION:ARGUMENT, such as net exec:ip link, not "${value}"`);
    } else if (!reading.ok) {
      reader.reject(
        entry,
        `does not know "${reading.unknown}"; known are ${reading.known.join(", ")}`,
      );
    } else {
      const [, , action = "", argument = ""] = match;
      hooks.push({
        namespaces: reading.value,
        hook: { action, argument, origin: originOf(entry) },
      });
    }
  }
  return hooks;
}

function veth(reader: EntryReader): VethSettings | undefined {
  const bridge = reader.text("emperor-veth");
  const entry = reader.last("emperor-veth");
  const range = reader.text("emperor-veth-range") ?? USUAL_NETWORK;
  const last = reader.last("emperor-veth-range");
  if (last !== undefined && readRange(range) === undefined)
    reader.reject(last, `needs an IPv4 network such as ${USUAL_NETWORK}, not "${range}"`);
  if (bridge === undefined || entry === undefined) return undefined;
  // What the kernel takes for a name, and no word that ip(8) could take for an option.
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(bridge))
    reader.reject(entry, `needs the name of a bridge, not "${bridge}"`);
  const clone = reader.names(
    "emperor-use-clone",
    readNamespaces,
    (before = 0, value) => before | value,
  );
  if (((clone ?? 0) & CLONE_NEW.net) === 0 && reader.last("emperor-use-clone-attr") === undefined)
    reader.reject(entry, "means nothing without net in emperor-use-clone");
  return { bridge, range };
}

export function buildIsolation(reader: EntryReader): IsolationSettings {
  const cgroup = reader.text("emperor-cgroup");
  for (const name of ["vassal-cgroup", "vassal-cgroup-max", "emperor-cgroup-attr"]) {
    const entry = reader.last(name);
    if (cgroup === undefined && entry !== undefined)
      reader.reject(entry, "means nothing without emperor-cgroup");
  }
  const isSet = (name: string): boolean => reader.last(name) !== undefined;
  return {
    cgroup,
    cgroupLimits: limits(reader, "vassal-cgroup"),
    cgroupCeilings: limits(reader, "vassal-cgroup-max"),
    cgroupAttribute: reader.text("emperor-cgroup-attr"),
    cloneAttribute: reader.text("emperor-use-clone-attr"),
    keepProc: reader.flag("emperor-keep-proc"),
    keepHostname: reader.flag("emperor-keep-hostname"),
    usernsBase: reader.optionalInteger("emperor-userns-base", { minimum: 1, maximum: LAST_ID }),
    usernsSize: reader.integer("emperor-userns-size", USUAL_RANGE, {
      minimum: 1,
      maximum: LAST_ID,
    }),
    capabilitiesKept: reader.names("emperor-cap-keep", readCapabilities, (_before, value) => value),
    noNewPrivileges: isSet("emperor-no-new-privs")
      ? reader.flag("emperor-no-new-privs")
      : undefined,
    securebits: reader.names(
      "emperor-securebits",
      readSecurebits,
      (before = 0, value) => before | value,
    ),
    veth: veth(reader),
    setnsHooks: setnsHooks(reader),
  };
}
