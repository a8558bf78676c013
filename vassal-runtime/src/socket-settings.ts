/**
 * The options about sockets: the part of the table, and what their values mean. Pure: opens nothing.
 */
import { formatOrigin, parseFlag, parseInteger, parseOctal } from "@emperor/config";
import type { ConfigEntry, OptionDefinition } from "@emperor/config";
import { parseAddress } from "./address.ts";
import type { ListenAddress } from "./address.ts";
import { flag, serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";
import type { ZergSettings } from "./zerg-settings.ts";

/** What is spoken on a socket; `none`: a shared socket that nothing refers to. */
export type SocketProtocol = "http" | "uwsgi" | "https" | "none";

/** Files of a certificate (with its chain) and of its key, in PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** One socket. `text` is the address as the user wrote it; it names the socket over reloads. */
export interface SocketSetting {
  readonly text: string;
  readonly address: ListenAddress;
  readonly origin: string;
  readonly protocol: SocketProtocol;
  /** Only for `https`. Paths start at the directory in which the vassal was started. */
  readonly tls?: Certificate;
  /** Bound before `uid` is taken. */
  readonly early?: boolean;
  readonly keepAlive?: boolean;
}

export interface SocketSettings {
  readonly sockets: readonly SocketSetting[];
  readonly backlog: number;
  readonly socketMode: number | undefined;
  /** `chown-socket`: names or numbers. */
  readonly socketOwner: { readonly user: string; readonly group: string | undefined } | undefined;
  readonly reusePort: boolean;
  /** Unix sockets that this vassal made are removed when it ends. */
  readonly vacuum: boolean;
  /** Spoken on sockets that were handed over and that no option names. */
  readonly inheritedProtocol: "http" | "uwsgi";
  /** `zerg-fallback`: the sockets are bound only where no zerg server gave any. */
  readonly onlyFallback: boolean;
}

const SOCKETS = "Sockets";
const ADDRESS = {
  kind: "address",
  repeatable: true,
  placeholder: "HOST:PORT | PATH | @NAME | =N",
} as const;

/** The part of the option table. */
export const SOCKET_OPTIONS: readonly OptionDefinition[] = [
  serve(SOCKETS, "http-socket", "serve HTTP on this address", ADDRESS),
  serve(SOCKETS, "socket", "serve the uwsgi protocol (nginx: uwsgi_pass)", {
    ...ADDRESS,
    aliases: ["uwsgi-socket"],
    short: "s",
  }),
  serve(SOCKETS, "https-socket", "serve HTTPS; both files are read again by a reload", {
    ...ADDRESS,
    placeholder: "ADDRESS,CERTIFICATE,KEY",
  }),
  serve(SOCKETS, "shared-socket", "bind before uid is taken; others refer to it as =0, =1...", {
    ...ADDRESS,
    placeholder: "HOST:PORT | PATH | @NAME",
  }),
  serve(SOCKETS, "protocol", "what `socket`, and a socket that was handed over, speaks", {
    aliases: ["socket-protocol"],
    placeholder: "uwsgi | http",
  }),
  serve(SOCKETS, "listen", "connections that may wait in the queue of a socket", {
    kind: "integer",
    short: "l",
    default: "511",
  }),
  {
    ...serve(SOCKETS, "chmod-socket", "mode of unix sockets, 666 without a value", {
      kind: "octal",
      short: "C",
    }),
    argument: "optional",
  },
  serve(SOCKETS, "chown-socket", "owner of unix sockets (only when started as root)", {
    placeholder: "USER[:GROUP]",
  }),
  flag(SOCKETS, "reuse-port", "let several vassals listen on the same TCP port"),
  flag(SOCKETS, "so-keepalive", "notice TCP clients that are gone without a word"),
  flag(SOCKETS, "vacuum", "remove the vassal's own unix sockets when it ends"),
];

/**
 * Reads them all; mistakes are noted in `reader`, remarks in `notes`. A command gets its sockets as they
 * are, so what is about connections cannot be done for it.
 */
export function readSocketSettings(
  reader: SettingsReader,
  notes: string[],
  isCommand: boolean,
  zerg?: ZergSettings,
): SocketSettings {
  const isSet = (name: string): boolean => {
    const entry = reader.last(name);
    return entry !== undefined && parseFlag(entry.value);
  };
  const protocol = readProtocol(reader);
  const mode = reader.last("chmod-socket");
  const socketOwner = readOwner(reader);
  const keepAlive = isSet("so-keepalive");
  const sockets = new SocketReader(reader, notes, {
    socketProtocol: protocol ?? "uwsgi",
    early: socketOwner !== undefined,
    keepAlive,
    isCommand,
  }).read();
  if (keepAlive && isCommand)
    notes.push('"so-keepalive" has no effect on a command, which takes the connections itself');
  return {
    sockets,
    backlog:
      reader.take("listen", (entry) => parseInteger(entry, { minimum: 1, maximum: 65_535 })) ?? 511,
    socketMode:
      mode !== undefined && (mode.value ?? "") === ""
        ? 0o666
        : reader.take("chmod-socket", parseOctal),
    socketOwner,
    reusePort: isSet("reuse-port"),
    vacuum: isSet("vacuum"),
    // A zerg speaks what `socket` of its server speaks, as in uWSGI.
    inheritedProtocol: protocol ?? ((zerg?.attachTo.length ?? 0) > 0 ? "uwsgi" : "http"),
    onlyFallback: zerg?.fallback === true,
  };
}

function readProtocol(reader: SettingsReader): "http" | "uwsgi" | undefined {
  const entry = reader.last("protocol");
  const value = entry?.value?.trim();
  if (entry === undefined) return undefined;
  if (value === "http" || value === "uwsgi") return value;
  reader.fail(
    "VASSAL_CONFIG",
    entry,
    `option "protocol" is "uwsgi" or "http" here, not ${JSON.stringify(value ?? "")}`,
  );
  return undefined;
}

function readOwner(reader: SettingsReader): SocketSettings["socketOwner"] {
  const entry = reader.last("chown-socket");
  if (entry === undefined) return undefined;
  const [user = "", group, ...more] = (entry.value ?? "").trim().split(":");
  if (user !== "" && group !== "" && more.length === 0) return { user, group };
  reader.fail("VASSAL_CONFIG", entry, 'option "chown-socket" needs USER or USER:GROUP');
  return undefined;
}

interface SocketDefaults {
  readonly socketProtocol: "http" | "uwsgi";
  readonly early: boolean;
  readonly keepAlive: boolean;
  readonly isCommand: boolean;
}

/** Collects the sockets of a configuration in their order. */
class SocketReader {
  readonly #reader: SettingsReader;
  readonly #notes: string[];
  readonly #defaults: SocketDefaults;
  readonly #sockets: SocketSetting[] = [];
  readonly #shared: SocketSetting[] = [];

  constructor(reader: SettingsReader, notes: string[], defaults: SocketDefaults) {
    this.#reader = reader;
    this.#notes = notes;
    this.#defaults = defaults;
  }

  read(): readonly SocketSetting[] {
    const { socketProtocol } = this.#defaults;
    const entries = this.#reader.entries.filter((entry) => entry.placeholder !== true);
    // A reference may stand before what it refers to.
    for (const entry of entries) {
      const text = entry.value?.trim() ?? "";
      if (entry.option?.name === "shared-socket") {
        const socket = this.#parse(entry, text, "none");
        if (socket !== undefined) this.#shared.push({ ...socket, early: true });
      }
    }
    for (const entry of entries) {
      const text = entry.value?.trim() ?? "";
      if (entry.option?.name === "http-socket") this.#add(entry, text, "http");
      else if (entry.option?.name === "socket") this.#add(entry, text, socketProtocol);
      else if (entry.option?.name === "https-socket") this.#addHttps(entry, text);
    }
    for (const [index, shared] of this.#shared.entries()) {
      if (this.#sockets.some(({ text }) => text === shared.text)) continue;
      this.#sockets.push(shared);
      if (this.#defaults.isCommand) continue;
      this.#notes.push(
        `${shared.origin}: no socket refers to shared-socket ${index}: it is open, but not served by a node-app; write http-socket = =${index}`,
      );
    }
    return this.#sockets;
  }

  #addHttps(entry: ConfigEntry, text: string): void {
    const [address = "", certificate = "", key = "", ...more] = text
      .split(",")
      .map((part) => part.trim());
    if (certificate === "" || key === "" || more.length > 0) {
      this.#reader.fail(
        "VASSAL_CONFIG",
        entry,
        `option "https-socket" needs ADDRESS,CERTIFICATE,KEY, not ${JSON.stringify(text)}`,
      );
    } else if (this.#defaults.isCommand) {
      this.#reader.fail(
        "VASSAL_CONFIG",
        entry,
        'option "https-socket" needs a node-app: a command has to speak TLS itself, on a socket of http-socket',
      );
    } else this.#add(entry, address, "https", { certificate, key });
  }

  #add(entry: ConfigEntry, text: string, protocol: SocketProtocol, tls?: Certificate): void {
    const found = text.startsWith("=")
      ? this.#reference(entry, text)
      : this.#parse(entry, text, protocol);
    if (found === undefined) return;
    const same = this.#sockets.find((socket) => socket.text === found.text);
    if (same === undefined)
      this.#sockets.push({ ...found, protocol, ...(tls === undefined ? {} : { tls }) });
    else if (same.protocol !== protocol) {
      this.#reader.fail(
        "VASSAL_CONFIG",
        entry,
        `${JSON.stringify(found.text)} is a socket for ${same.protocol} already (${same.origin}): one address speaks one protocol`,
      );
    }
  }

  #reference(entry: ConfigEntry, text: string): SocketSetting | undefined {
    const shared = /^=\d+$/.test(text) ? this.#shared[Number(text.slice(1))] : undefined;
    if (shared !== undefined) return { ...shared, origin: formatOrigin(entry.origin) };
    this.#reader.fail(
      "VASSAL_CONFIG",
      entry,
      `option "${entry.key}" refers to shared socket ${JSON.stringify(text)}, but there are only ${this.#shared.length}, counted from =0`,
    );
    return undefined;
  }

  #parse(entry: ConfigEntry, text: string, protocol: SocketProtocol): SocketSetting | undefined {
    const parsed = parseAddress(text);
    if (!parsed.ok) {
      this.#reader.fail(
        "VASSAL_CONFIG",
        entry,
        `option "${entry.key}" has no address in ${JSON.stringify(text)}: ${parsed.reason}`,
      );
      return undefined;
    }
    const { address } = parsed;
    return {
      text,
      address,
      origin: formatOrigin(entry.origin),
      protocol,
      ...(this.#defaults.early && address.kind === "unix" ? { early: true } : {}),
      ...(this.#defaults.keepAlive && address.kind === "tcp" ? { keepAlive: true } : {}),
    };
  }
}
