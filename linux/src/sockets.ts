/**
 * Sockets: pairs, listening without accepting, bytes, descriptors, datagrams. Nothing here blocks and
 * nothing unlinks a path: whether an old socket file may go is the caller's decision.
 */
import { constants } from "node:os";
import { native } from "./native.ts";
import type { NativeAddress } from "./native.ts";
import type { ListenOptions, SocketAddress } from "./types.ts";

export interface SocketPairOptions {
  readonly type: "stream" | "dgram" | "seqpacket";
  /** Which end does not block: `first` (the default: ours), `both` or `none`. */
  readonly nonBlocking?: "first" | "both" | "none";
}

const PAIR_TYPES = ["stream", "dgram", "seqpacket"] as const;

/** Two connected unix sockets, both close-on-exec. */
export function socketpair(options: SocketPairOptions): [number, number] {
  const nonBlocking = options.nonBlocking ?? "first";
  const [first = -1, second = -1] = native.socketpair(
    PAIR_TYPES.indexOf(options.type),
    nonBlocking !== "none",
    nonBlocking === "both",
  );
  return [first, second];
}

function hostAndPort(address: SocketAddress): readonly [string, number] {
  return address.family === "unix" ? [address.path, 0] : [address.host, address.port];
}

function makeAddress([family, host, port]: NativeAddress): SocketAddress {
  if (family === "unix") return { family, path: host };
  return { family: family === "ipv6" ? "ipv6" : "ipv4", host, port };
}

/**
 * Binds and listens; nobody accepts. TCP gets SO_REUSEADDR. A unix path that exists is never removed
 * here (EADDRINUSE); one that is too long is an ENAMETOOLONG that says by how much. `mode`, `uid` and
 * `gid` are set on the bound path itself, never on what a link points to; abstract names have none.
 */
export function listen(address: SocketAddress, options: ListenOptions): number {
  const [host, port] = hostAndPort(address);
  const { backlog, mode = -1, uid = -1, gid = -1, reusePort = false, as } = options;
  const [asUid, asGid] = [as?.uid ?? -1, as?.gid ?? -1];
  const owner = [mode, uid, gid] as const;
  return native.listen(address.family, host, port, backlog, ...owner, reusePort, asUid, asGid);
}

/** One waiting connection (non-blocking, close-on-exec), or `undefined` when nobody waits. */
export function accept(fd: number): number | undefined {
  return native.accept(fd);
}

/**
 * Starts to connect a stream socket. `finished: false` (TCP): it is connected, or failed, when it
 * becomes writable; ask `socketError`.
 */
export function connect(address: SocketAddress): { fd: number; finished: boolean } {
  const [fd = -1, finished] = native.connect(address.family, ...hostAndPort(address));
  return { fd, finished: finished === 1 };
}

/** errno of a connection's pending error, `undefined` when there is none. Reading clears it. */
export function socketError(fd: number): number | undefined {
  const errno = native.socketError(fd);
  return errno === 0 ? undefined : errno;
}

/** Where a socket is bound; `undefined` for what is no socket, or a family other than these. */
export function localAddress(fd: number): SocketAddress | undefined {
  const address = native.localAddress(fd);
  return address === undefined ? undefined : makeAddress(address);
}

/** Connections that wait to be accepted, and how many may. EINVAL for a socket that does not listen. */
export function listenQueueLength(fd: number): { length: number; backlog: number } {
  const [length = 0, backlog = 0] = native.listenQueueLength(fd);
  return { length, backlog };
}

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who connected to, or made, this unix socket, as the kernel noted it. */
export function peerCredentials(fd: number): PeerCredentials {
  const [pid = 0, uid = 0, gid = 0] = native.peerCredentials(fd);
  return { pid, uid, gid };
}

/** At most `maxBytes` (up to 1 MiB): none at the end, `undefined` when nothing waits. */
export function readChannel(fd: number, maxBytes: number): Uint8Array | undefined {
  return native.readChannel(fd, maxBytes);
}

/** Number of bytes written, 0 when the channel is full. Throws LinuxError when the peer is gone (EPIPE, ECONNRESET). */
export function writeChannel(fd: number, bytes: Uint8Array): number {
  return native.writeChannel(fd, bytes);
}

export function close(fd: number): void {
  native.close(fd);
}

/** Makes `to` the same open file as `fd` (dup2). Unlike every other descriptor `to` stays open across exec. */
export function redirect(fd: number, to: number): void {
  native.redirect(fd, to);
}

/** Of the open file itself: whoever shares it is affected too. */
export function setNonBlocking(fd: number, nonBlocking: boolean): void {
  native.setNonBlocking(fd, nonBlocking);
}

/** open(2) with O_CLOEXEC; `flags` are Node's `fs.constants.O_*`. */
export function openFile(path: string, flags: number, mode = 0o666): number {
  return native.openFile(path, flags, mode);
}

/**
 * Sends bytes (at least one) and with them descriptors (at most 253). Number of bytes sent; 0 when
 * the socket is full, then no descriptor went either.
 */
export function sendDescriptors(fd: number, bytes: Uint8Array, fds: readonly number[]): number {
  return native.sendDescriptors(fd, bytes, Float64Array.from(fds));
}

export interface ReceivedMessage {
  readonly bytes: Uint8Array;
  /** Close-on-exec; they belong to the caller now. */
  readonly fds: readonly number[];
  /** Bytes or descriptors did not fit and are lost. */
  readonly truncated: boolean;
  /** Only for sockets that ask for them (`bindDatagram`). */
  readonly credentials?: PeerCredentials;
}

/** One message with its descriptors; `undefined` when nothing waits. No bytes on a stream: the end. */
export function receiveDescriptors(
  fd: number,
  maxBytes: number,
  maxFds: number,
): ReceivedMessage | undefined {
  const message = native.receive(fd, maxBytes, maxFds);
  if (message === undefined) return undefined;
  const [bytes, fds, truncated, pid, uid, gid] = message;
  return {
    bytes,
    fds: Array.from(fds),
    truncated,
    ...(pid >= 0 ? { credentials: { pid, uid, gid } } : {}),
  };
}

/** Sends one datagram to a unix socket (`path` starting with NUL is abstract), as sd_notify does. */
export function sendDatagram(path: string, bytes: Uint8Array): void {
  native.sendDatagram("unix", path, bytes);
}

/** A unix datagram socket bound to a path, which receives its senders' credentials. */
export function bindDatagram(path: string, mode?: number): number {
  return native.bindDatagram("unix", path, mode ?? -1);
}

/** One datagram; `undefined` when nothing waits. Descriptors that come with it are closed. */
export function receiveDatagram(
  fd: number,
  maxBytes: number,
): Omit<ReceivedMessage, "fds"> | undefined {
  return receiveDescriptors(fd, maxBytes, 0);
}

/** Whether an error means that the other side is gone. */
export function isPeerGone(errno: number): boolean {
  return (
    errno === constants.errno.EPIPE ||
    errno === constants.errno.ECONNRESET ||
    errno === constants.errno.ENOTCONN
  );
}
