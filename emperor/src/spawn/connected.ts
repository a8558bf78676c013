/**
 * Who is connected to which listening address, as the kernel tells in /proc/net. Pure: texts come in.
 * (The kernel's sock_diag tells the same; these files need no privilege and no code of our own.)
 */
import type { SocketAddress } from "@emperor/linux";

/** The files of /proc/net that tell of an address's connections. */
export type ConnectionFile = "unix" | "tcp" | "tcp6";

/** Of a unix connection: accepted (03), or still in the queue (02). */
const UNIX_CONNECTED: ReadonlySet<string> = new Set(["02", "03"]);
/** ESTABLISHED, also in the queue; and CLOSE_WAIT: the client has said all and may wait for an answer. */
const TCP_CONNECTED: ReadonlySet<string> = new Set(["01", "08"]);
const ACCEPTS = 0x10000;

export function fileOfAddress(address: SocketAddress): ConnectionFile {
  return address.family === "unix" ? "unix" : address.family === "ipv4" ? "tcp" : "tcp6";
}

/** A word for every local address that somebody is connected to, for `isConnected`. */
export function connectedAddresses(file: ConnectionFile, text: string): ReadonlySet<string> {
  return file === "unix" ? connectedPaths(text) : connectedPorts(file, text);
}

/** Is the address among those? One that means every address of the machine matches by its port. */
export function isConnected(address: SocketAddress, connected: ReadonlySet<string>): boolean {
  if (address.family === "unix") return connected.has(address.path.replaceAll("\0", "@"));
  const file = fileOfAddress(address);
  const port = hex(address.port, 4);
  const host = address.family === "ipv4" ? hexOfIPv4(address.host) : hexOfIPv6(address.host);
  return connected.has(`${file} ${/^0+$/.test(host) ? "*" : host}:${port}`);
}

/** `Num: RefCount Protocol Flags Type St Inode Path`; an accepted connection has its listener's path. */
function connectedPaths(text: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const line of text.split("\n")) {
    const fields = /^\S+: \S+ \S+ (\S+) \S+ (\S+) +\d+ (.+)$/.exec(line);
    if (fields === null) continue;
    const [, flags = "0", state = "", path = ""] = fields;
    if (UNIX_CONNECTED.has(state) && (Number.parseInt(flags, 16) & ACCEPTS) === 0) found.add(path);
  }
  return found;
}

/** `sl: LOCAL:PORT REMOTE:PORT st ...` */
function connectedPorts(file: ConnectionFile, text: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const line of text.split("\n")) {
    const [, local = "", , state = ""] = line.trim().split(/ +/, 4);
    if (!TCP_CONNECTED.has(state)) continue;
    found.add(`${file} ${local}`);
    found.add(`${file} *${local.slice(local.lastIndexOf(":"))}`);
  }
  return found;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

/** As the kernel prints the 32 bits of it on a little-endian machine. */
function hexOfIPv4(host: string): string {
  return host
    .split(".")
    .reverse()
    .map((part) => hex(Number(part), 2))
    .join("");
}

function hexOfIPv6(host: string): string {
  const [before = "", after = ""] = withoutDots(host.replace(/%.*$/, "")).split("::");
  const head = before === "" ? [] : before.split(":");
  const tail = after === "" ? [] : after.split(":");
  const groups = [...head, ...Array<string>(8 - head.length - tail.length).fill("0"), ...tail];
  const bytes = groups.map((group) => group.padStart(4, "0")).join("");
  return (bytes.match(/.{8}/g) ?? [])
    .map((word) => (word.match(/../g) ?? []).reverse().join(""))
    .join("")
    .toUpperCase();
}

/** `::ffff:127.0.0.1` with its last 32 bits as two groups. */
function withoutDots(host: string): string {
  return host.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${hex(a * 256 + b, 4)}:${hex(c * 256 + d, 4)}`;
  });
}
