/** The options by which vassals share listening sockets: zerg server, zerg, zerg pool. Table and meaning; pure. */
import { formatOrigin, parseFlag, parseOctal } from "@emperor/config";
import type { ConfigEntry, OptionDefinition } from "@emperor/config";
import { parseAddress } from "./address.ts";
import { flag, serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";

/** A unix socket at which listening sockets are handed out, or fetched. */
export interface ZergAddress {
  readonly text: string;
  /** NUL in front: abstract. */
  readonly path: string;
  readonly origin: string;
}

export interface ZergPool {
  readonly server: ZergAddress;
  /** What is bound for it, as in `socket`. */
  readonly addresses: readonly string[];
}

export interface ZergSettings {
  /** Where to fetch listening sockets. */
  readonly attachTo: readonly ZergAddress[];
  /** `zerg-fallback`: where none can be fetched, the own sockets are bound. */
  readonly fallback: boolean;
  /** Where the vassal's sockets are handed out. */
  readonly server: ZergAddress | undefined;
  /** `zerg-server-mode`; undefined: 600, and only for the own user and root. */
  readonly serverMode: number | undefined;
  readonly pools: readonly ZergPool[];
}

const GROUP = "Zerg: shared listening sockets";
const SOCKET = { kind: "address", placeholder: "PATH | @NAME" } as const;

/** Their part of the option table. */
export const ZERG_OPTIONS: readonly OptionDefinition[] = [
  serve(GROUP, "zerg-server", "hand out the listening sockets of this vassal here", SOCKET),
  serve(GROUP, "zerg-server-mode", "mode of that unix socket; 600 without it", {
    kind: "octal",
    since: "0.1",
  }),
  serve(GROUP, "zerg", "take the listening sockets of a zerg server or pool", {
    ...SOCKET,
    repeatable: true,
  }),
  flag(GROUP, "zerg-fallback", "bind the own sockets when no zerg server answers"),
  serve(GROUP, "zergpool", "own sockets only to hand them out", {
    aliases: ["zerg-pool"],
    kind: "list",
    repeatable: true,
    placeholder: "PATH:ADDRESS[,ADDRESS]",
  }),
];

/** All of it; undefined when none of the options is set. Mistakes are noted in the reader. */
export function readZerg(reader: SettingsReader): ZergSettings | undefined {
  const entries = reader.entries.filter((entry) => entry.placeholder !== true);
  const named = (name: string): ConfigEntry[] =>
    entries.filter((entry) => entry.option?.name === name);
  const attachTo = named("zerg").flatMap((entry) => unixAddress(reader, entry, entry.value) ?? []);
  const pools = named("zergpool").flatMap((entry) => poolOf(reader, entry) ?? []);
  const serverEntry = reader.last("zerg-server");
  const server =
    serverEntry === undefined ? undefined : unixAddress(reader, serverEntry, serverEntry.value);
  if (server === undefined && attachTo.length + pools.length === 0) return undefined;
  const fallback = reader.last("zerg-fallback");
  return {
    attachTo,
    fallback: fallback !== undefined && parseFlag(fallback.value),
    server,
    serverMode: reader.take("zerg-server-mode", parseOctal),
    pools,
  };
}

function unixAddress(
  reader: SettingsReader,
  entry: ConfigEntry,
  value: string | undefined,
): ZergAddress | undefined {
  const text = value?.trim() ?? "";
  const parsed = parseAddress(text);
  if (parsed.ok && parsed.address.kind === "unix")
    return { text, path: parsed.address.path, origin: formatOrigin(entry.origin) };
  const reason = parsed.ok ? "descriptors travel over unix sockets only" : parsed.reason;
  reader.fail(
    "VASSAL_CONFIG",
    entry,
    `option "${entry.key}" needs a path or @name, not ${JSON.stringify(text)}: ${reason}`,
  );
  return undefined;
}

/** As in uWSGI the first colon ends the path. */
function poolOf(reader: SettingsReader, entry: ConfigEntry): ZergPool | undefined {
  const text = entry.value?.trim() ?? "";
  const colon = text.indexOf(":");
  const addresses = text
    .slice(colon + 1)
    .split(",")
    .map((address) => address.trim());
  if (colon > 0 && addresses.every((address) => address !== "")) {
    const server = unixAddress(reader, entry, text.slice(0, colon));
    return server === undefined ? undefined : { server, addresses };
  }
  reader.fail(
    "VASSAL_CONFIG",
    entry,
    `option "${entry.key}" needs PATH:ADDRESS[,ADDRESS], not ${JSON.stringify(text)}`,
  );
  return undefined;
}
