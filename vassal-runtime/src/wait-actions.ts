/**
 * The actions `wait_for_...` of hooks: they hold up everything until something is there, as in uWSGI. The options
 * `wait-for-...` do the same and hear the Emperor meanwhile.
 */
import { readFileSync, statSync } from "node:fs";
import { close, connect, localAddress, socketError } from "@emperor/linux";
import { isIP } from "node:net";
import { parseAddress } from "./address.ts";

/** Their names, and what they wait for. */
export const WAIT_ACTIONS = {
  wait_for_fs: "fs",
  wait_for_file: "file",
  wait_for_dir: "dir",
  wait_for_interface: "interface",
  wait_for_socket: "socket",
} as const;

type Kind = (typeof WAIT_ACTIONS)[keyof typeof WAIT_ACTIONS];

type Nap = (milliseconds: number) => void;

const CONNECT_MS = 1000;
const ASK_AGAIN_MS = 100;
/** The limit of the options. */
const WITHIN_MS = 60_000;

/** Throws when it was not there within a minute. `nap` waits for so many milliseconds. */
export function untilThere(kind: Kind, what: string, nap: Nap): void {
  const deadline = performance.now() + WITHIN_MS;
  while (!isThere(kind, what, nap)) {
    if (performance.now() >= deadline)
      throw new Error(`it was not there within ${WITHIN_MS / 1000} s`);
    nap(ASK_AGAIN_MS);
  }
}

function isThere(kind: Kind, what: string, nap: Nap): boolean {
  if (kind === "socket") return accepts(what, nap);
  const path = kind === "interface" ? `/sys/class/net/${what}` : what;
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (kind === "file") return found.isFile();
  return kind === "dir" ? found.isDirectory() : true;
}

/** What the kernel says of the connection: the socket itself tells only when it is written to. */
function isEstablished(fd: number): boolean {
  const address = localAddress(fd);
  if (address === undefined || address.family === "unix") return false;
  const port = address.port.toString(16).toUpperCase().padStart(4, "0");
  const table = address.family === "ipv6" ? "tcp6" : "tcp";
  return readFileSync(`/proc/self/net/${table}`, "utf8")
    .split("\n")
    .some((line) =>
      new RegExp(`^\\s*\\d+: [0-9A-F]+:${port} [0-9A-F]+:[0-9A-F]{4} 01 `).test(line),
    );
}

function accepts(text: string, nap: Nap): boolean {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  const { address } = parsed;
  if (address.kind === "tcp" && isIP(address.host) === 0)
    throw new Error(`${JSON.stringify(text)} has to be a path or have a numeric host`);
  let fd: number | undefined;
  try {
    const connection = connect(
      address.kind === "unix"
        ? { family: "unix", path: address.path }
        : {
            family: isIP(address.host) === 6 ? "ipv6" : "ipv4",
            host: address.host,
            port: address.port,
          },
    );
    fd = connection.fd;
    if (connection.finished) return true;
    for (let left = 10; left > 0 && !isEstablished(fd); left--) {
      if (socketError(fd) !== undefined) return false;
      nap(CONNECT_MS / 10);
    }
    return isEstablished(fd);
  } catch {
    return false;
  } finally {
    if (fd !== undefined) close(fd);
  }
}
