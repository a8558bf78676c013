/**
 * Addresses of on-demand sockets as configs, commands and columns write them. Pure: it binds nothing
 * and resolves no names, since whoever answers a name would decide where a vassal listens.
 */
import type { SocketAddress } from "@emperor/linux";
import { isIPv4, isIPv6 } from "node:net";
import { resolve } from "node:path";

/** Bytes of a unix socket's path, without the NUL at its end; abstract names may have one more. */
const UNIX_PATH_BYTES = 107;
/** More sockets than this are no vassal but a mistake. */
const MOST_SOCKETS = 64;

export interface OnDemandAddress {
  /** As written. */
  readonly text: string;
  readonly address: SocketAddress;
}

export type AddressReading =
  | { readonly ok: true; readonly addresses: readonly OnDemandAddress[] }
  /** Full sentence part: which address, what is wrong with it. */
  | { readonly ok: false; readonly problem: string };

/**
 * One address a line: `a.b.c.d:PORT`, `:PORT` (every IPv4 address), `[v6]:PORT`, `@NAME` (abstract) or
 * a path, relative to `directory`. uWSGI 2.0 knows IPv4 and paths only, takes `@NAME` for a path, and
 * cuts a path that is too long; here that is an error.
 */
export function readAddresses(text: string, directory: string): AddressReading {
  const addresses: OnDemandAddress[] = [];
  for (const line of text.split("\n")) {
    const written = line.trim();
    if (written === "" || addresses.some((known) => known.text === written)) continue;
    const address = readAddress(written, directory);
    if (typeof address === "string")
      return { ok: false, problem: `the socket "${shown(written)}" ${address}` };
    addresses.push({ text: written, address });
  }
  if (addresses.length > MOST_SOCKETS) {
    const problem = `${addresses.length} sockets are asked for, a vassal has at most ${MOST_SOCKETS}`;
    return { ok: false, problem };
  }
  return { ok: true, addresses };
}

/** The address, or what is wrong with it. */
function readAddress(text: string, directory: string): SocketAddress | string {
  if (/[\p{Cc}]/u.test(text)) return "has a control character in it";
  if (text.startsWith("@")) {
    if (text.length === 1) return "has no name behind the @";
    return tooLong(text) ?? { family: "unix", path: `\0${text.slice(1)}` };
  }
  const colon = text.lastIndexOf(":");
  if (colon >= 0 && !text.includes("/")) return readInternet(text, colon);
  const path = resolve(directory, text);
  return tooLong(path) ?? { family: "unix", path };
}

function readInternet(text: string, colon: number): SocketAddress | string {
  const written = text.slice(colon + 1);
  const port = Number(written);
  if (!/^\d{1,5}$/.test(written) || port < 1 || port > 65_535)
    return "has no port number from 1 to 65535 behind the last colon";
  const host = text.slice(0, colon);
  if (host === "" || host === "*") return { family: "ipv4", host: "0.0.0.0", port };
  if (isIPv4(host)) return { family: "ipv4", host, port };
  const bracketed = /^\[(.*)\]$/.exec(host)?.[1];
  if (bracketed !== undefined && isIPv6(bracketed))
    return { family: "ipv6", host: bracketed, port };
  if (isIPv6(host)) return "is an IPv6 address without brackets: write [ADDRESS]:PORT";
  return "has a host that is no IP address; names are not looked up";
}

function tooLong(path: string): string | undefined {
  const bytes = Buffer.byteLength(path);
  if (bytes <= UNIX_PATH_BYTES) return undefined;
  return `is too long: a unix socket has at most ${UNIX_PATH_BYTES} bytes, this one ${bytes}`;
}

function shown(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}...`;
}
