/**
 * Addresses of the statistics' sockets as options write them. Pure.
 */
import { resolve } from "node:path";
import { EmperorError } from "../errors.ts";

export type StatsAddress =
  /** `host` is a name or an IP address of either family. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly text: string }
  | { readonly kind: "unix"; readonly path: string; readonly text: string }
  /** Abstract name space; `name` without the NUL in front. */
  | { readonly kind: "abstract"; readonly name: string; readonly text: string };

/** Bytes of a unix socket's path, without the NUL at its end. */
const UNIX_PATH_BYTES = 107;

export interface AddressContext {
  /** Relative paths are meant from there. */
  readonly workingDirectory: string;
  /** `abstract-socket`: paths are names in the abstract name space. */
  readonly abstractSocket: boolean;
}

/**
 * Reads `host:port`, `:port` (every IPv4 address, as in uWSGI), `[v6]:port`, a path, or `@name`. As
 * in uWSGI an address with a `:` is TCP, unless it has a slash.
 * @param option that the address is of, for the message
 * @throws EmperorError `bad-address`
 */
export function parseStatsAddress(
  text: string,
  context: AddressContext,
  option = "emperor-stats",
): StatsAddress {
  try {
    return parseAddress(text, context);
  } catch (error) {
    if (!(error instanceof BadAddress)) throw error;
    throw new EmperorError(
      "bad-address",
      `${option} = ${text}: ${error.message}; nothing is started`,
    );
  }
}

/** What is wrong with an address, for a sentence that names the option. */
class BadAddress extends Error {}

function parseAddress(text: string, context: AddressContext): StatsAddress {
  const colon = text.lastIndexOf(":");
  if (colon >= 0 && !text.includes("/") && !text.startsWith("@")) return tcpAddress(text, colon);
  const name = text.startsWith("@") ? text.slice(1) : context.abstractSocket ? text : undefined;
  if (name !== undefined) {
    if (name === "") throw new BadAddress("the name after @ is missing");
    tooLong(name);
    return { kind: "abstract", name, text };
  }
  const path = resolve(context.workingDirectory, text);
  tooLong(path);
  return { kind: "unix", path, text };
}

function tcpAddress(text: string, colon: number): StatsAddress {
  const portText = text.slice(colon + 1);
  const port = Number(portText);
  if (!/^\d{1,5}$/.test(portText) || port > 65_535) {
    throw new BadAddress(`"${portText}" is no port number from 0 to 65535`);
  }
  const written = text.slice(0, colon);
  const bracketed = /^\[(.*)\]$/.exec(written)?.[1];
  return { kind: "tcp", host: (bracketed ?? written) || "0.0.0.0", port, text };
}

function tooLong(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > UNIX_PATH_BYTES) {
    throw new BadAddress(
      `the path of a unix socket has at most ${UNIX_PATH_BYTES} bytes, this one ${bytes}`,
    );
  }
}
