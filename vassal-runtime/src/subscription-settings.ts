/** The options by which a vassal announces itself to routers. Table and meaning; pure: opens no file. */
import { formatOrigin, parseFlag, parseInteger, parseSeconds } from "@emperor/config";
import type { ConfigEntry, OptionDefinition } from "@emperor/config";
import { parseAddress } from "./address.ts";
import type { ListenAddress } from "./address.ts";
import { parseKeyValues } from "./key-values.ts";
import { flag, serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";

/** One line of `subscribe-to` or `subscribe2`. */
export interface SubscriptionSetting {
  readonly server: ListenAddress;
  readonly serverText: string;
  /** A key, usually a domain name; `@FILE`: one key a line, which may have `,MODIFIER1` behind it. */
  readonly key: string;
  /** Where requests shall go; undefined: the first socket of the vassal. `=N`: its N-th. */
  readonly address: string | undefined;
  readonly modifier1: number | undefined;
  readonly modifier2: number;
  readonly weight: number | undefined;
  /** Digest, then the file of a private key in PEM. */
  readonly sign: { readonly digest: string; readonly keyFile: string } | undefined;
  /** Announced only while this file is there. */
  readonly check: string | undefined;
  /** Passed on as they are: `sni_key`, `sni_crt`, `sni_ca`, `algo`, `proto`, `backup`. */
  readonly more: readonly (readonly [key: string, value: string])[];
  readonly origin: string;
}

export interface SubscriptionSettings {
  readonly subscriptions: readonly SubscriptionSetting[];
  readonly everyMs: number;
  readonly unsubscribeOnReload: boolean;
  readonly startUnsubscribed: boolean;
  /** Unix socket at which routers may answer. */
  readonly notifySocket: string | undefined;
  /** `weight`, or with `auto-weight` the number of workers. */
  readonly weight: number;
}

const GROUP = "Subscription: announce the vassal to a router";
const MOST_WEIGHT = 1_000_000;
const PASSED_ON = ["sni_key", "sni_crt", "sni_ca", "algo", "proto", "backup"];
const KNOWN = ["server", "key", "addr", "socket", "modifier1", "modifier2", "weight", "sign"];

/** Their part of the option table. */
export const SUBSCRIPTION_OPTIONS: readonly OptionDefinition[] = [
  serve(GROUP, "subscribe-to", "send requests for KEY, of the router at SERVER, to this vassal", {
    aliases: ["subscribe", "st"],
    kind: "list",
    repeatable: true,
    placeholder: "[SOCKET=]SERVER:KEY[,MODIFIER1]",
  }),
  serve(GROUP, "subscribe2", "the same with key=value: server, key, addr, weight, sign, check...", {
    kind: "list",
    repeatable: true,
    placeholder: "KEY=VALUE,...",
  }),
  serve(GROUP, "subscribe-freq", "seconds between announcements", {
    kind: "seconds",
    default: "10",
  }),
  serve(GROUP, "subscribe-with-modifier1", "announce this modifier1", { kind: "integer" }),
  serve(GROUP, "subscription-notify-socket", "unix socket for the router's answers, for the log", {
    kind: "path",
    aliases: ["subscription-notify"],
  }),
  flag(GROUP, "unsubscribe-on-graceful-reload", "take no new requests while a reload lasts"),
  flag(GROUP, "start-unsubscribed", "announce only after S in the master-fifo"),
  serve(GROUP, "weight", "share of the requests among vassals of one key", {
    kind: "integer",
    default: "1",
  }),
  flag(GROUP, "auto-weight", "the number of workers as the weight"),
];

/** All of it; undefined when nothing is subscribed. Mistakes are noted in the reader. */
export function readSubscriptions(
  reader: SettingsReader,
  processes: number,
): SubscriptionSettings | undefined {
  const isSet = (name: string): boolean => {
    const entry = reader.last(name);
    return entry !== undefined && parseFlag(entry.value);
  };
  const forced = reader.take("subscribe-with-modifier1", (entry) =>
    parseInteger(entry, { minimum: 0, maximum: 255 }),
  );
  const subscriptions = reader.entries.flatMap((entry) => {
    if (entry.placeholder === true) return [];
    const { name } = entry.option ?? {};
    const found =
      name === "subscribe-to"
        ? plain(reader, entry)
        : name === "subscribe2"
          ? detailed(reader, entry)
          : undefined;
    return found === undefined
      ? []
      : [{ ...found, modifier1: found.modifier1 ?? forced } satisfies SubscriptionSetting];
  });
  if (subscriptions.length === 0) return undefined;
  const limits = { minimum: 1, maximum: MOST_WEIGHT };
  return {
    subscriptions,
    everyMs: reader.take("subscribe-freq", parseSeconds) || 10_000,
    unsubscribeOnReload: isSet("unsubscribe-on-graceful-reload"),
    startUnsubscribed: isSet("start-unsubscribed"),
    notifySocket: reader.last("subscription-notify-socket")?.value?.trim(),
    weight: isSet("auto-weight")
      ? processes
      : (reader.take("weight", (entry) => parseInteger(entry, limits)) ?? 1),
  };
}

function refuse(reader: SettingsReader, entry: ConfigEntry, reason: string): undefined {
  reader.fail(
    "VASSAL_CONFIG",
    entry,
    `option "${entry.key}" cannot be read from ${JSON.stringify(entry.value ?? "")}: ${reason}`,
  );
  return undefined;
}

const EMPTY = {
  address: undefined,
  modifier1: undefined,
  modifier2: 0,
  weight: undefined,
  sign: undefined,
  check: undefined,
  more: [],
} as const;

/** `[SOCKET=]HOST:PORT:KEY[,MODIFIER1]`, or a path instead of HOST:PORT. */
function plain(reader: SettingsReader, entry: ConfigEntry): SubscriptionSetting | undefined {
  const text = entry.value?.trim() ?? "";
  const own = /^(=\d+|[^=]+)=(?=.)/.exec(text);
  const rest = own === null ? text : text.slice(own[0].length);
  const isUnix = rest.startsWith("/") || rest.startsWith("@");
  const parts = isUnix ? /^([^:]+):(.+)$/ : /^((?:\[[^\]]+\]|[^:]+):\d+):(.+)$/;
  const [, serverText = "", target = ""] = parts.exec(rest) ?? [];
  if (serverText === "")
    return refuse(reader, entry, "it needs SERVER:KEY, as 127.0.0.1:4000:example.com");
  const isFile = target.startsWith("@");
  const comma = isFile ? -1 : target.indexOf(",");
  const modifier = comma < 0 ? undefined : byte(target.slice(comma + 1));
  if (comma >= 0 && modifier === undefined)
    return refuse(reader, entry, "behind the comma there is a modifier1, 0 to 255");
  const server = parseAddress(serverText);
  if (!server.ok) return refuse(reader, entry, server.reason);
  return {
    ...EMPTY,
    server: server.address,
    serverText,
    key: comma < 0 ? target : target.slice(0, comma),
    address: own?.[1],
    modifier1: modifier,
    origin: formatOrigin(entry.origin),
  };
}

function detailed(reader: SettingsReader, entry: ConfigEntry): SubscriptionSetting | undefined {
  const parsed = parseKeyValues(entry.value?.trim() ?? "");
  if (!parsed.ok) return refuse(reader, entry, parsed.reason);
  const { values } = parsed;
  const unknown = [...values.keys()].find(
    (key) => !KNOWN.includes(key) && !PASSED_ON.includes(key) && key !== "check",
  );
  if (unknown !== undefined)
    return refuse(reader, entry, `there is no key ${JSON.stringify(unknown)}`);
  const serverText = values.get("server")?.trim() ?? "";
  const key = values.get("key")?.trim() ?? "";
  if (serverText === "" || key === "") return refuse(reader, entry, "it needs server= and key=");
  const server = parseAddress(serverText);
  if (!server.ok) return refuse(reader, entry, server.reason);
  const number = (name: string, most: number): number | undefined => {
    const text = values.get(name)?.trim();
    if (text === undefined) return undefined;
    if (/^\d{1,7}$/.test(text) && Number(text) <= most) return Number(text);
    refuse(reader, entry, `${name} is a number from 0 to ${most}`);
    return undefined;
  };
  const signText = values.get("sign");
  const [, digest = "", keyFile = ""] = /^([^:]+):(.+)$/.exec(signText?.trim() ?? "") ?? [];
  if (signText !== undefined && keyFile === "")
    return refuse(reader, entry, "sign needs DIGEST:FILE, as SHA1:/etc/keys/me.pem");
  const socket = values.get("socket")?.trim();
  return {
    server: server.address,
    serverText,
    key,
    address: values.get("addr")?.trim() ?? (socket === undefined ? undefined : `=${socket}`),
    modifier1: number("modifier1", 255),
    modifier2: number("modifier2", 255) ?? 0,
    weight: number("weight", MOST_WEIGHT),
    sign: signText === undefined ? undefined : { digest, keyFile },
    check: values.get("check")?.trim(),
    more: PASSED_ON.flatMap((name) => {
      const value = values.get(name);
      return value === undefined ? [] : [[name, value] as const];
    }),
    origin: formatOrigin(entry.origin),
  };
}

function byte(text: string): number | undefined {
  return /^\d{1,3}$/.test(text.trim()) && Number(text) <= 255 ? Number(text) : undefined;
}
