/**
 * What the runtime needs of the native addon, in its own words: the one file that imports
 * `@emperor/linux`, except for starting commands. Holds no policy.
 */
import { constants } from "node:os";
import * as linux from "@emperor/linux";
import type { SocketAddress } from "@emperor/linux";

export type SystemAddress = SocketAddress;

/** Binds and listens; nobody accepts. Throws with the errno in the message. */
export function listenOn(
  address: SystemAddress,
  options: {
    readonly backlog: number;
    readonly mode?: number;
    readonly uid?: number;
    readonly gid?: number;
    readonly reusePort?: boolean;
  },
): number {
  return linux.listen(address, options);
}

export function closeDescriptor(fd: number): void {
  linux.close(fd);
}

/** Does the descriptor exist and listen? */
export function isListening(fd: number): boolean {
  try {
    linux.listenQueueLength(fd);
    return true;
  } catch (error) {
    const code = error instanceof linux.LinuxError ? error.code : "";
    // Where the kernel does not answer (no socket diagnosis) an address counts, as for uWSGI.
    return (
      !["EINVAL", "EBADF", "ENOTSOCK", "ENOTCONN", "EOPNOTSUPP"].includes(code) &&
      linux.localAddress(fd) !== undefined
    );
  }
}

/** Connections that wait in the fullest of the listen queues. */
export function longestQueue(sockets: readonly { readonly fd: number }[]): number {
  let longest = 0;
  for (const { fd } of sockets) {
    try {
      longest = Math.max(longest, linux.listenQueueLength(fd).length);
    } catch {
      // Where the kernel does not tell (no socket diagnosis) there is nothing to compare.
    }
  }
  return longest;
}

/** The address of a listening socket in the form of `http-socket`. */
export function localAddressText(fd: number): string | undefined {
  const address = linux.localAddress(fd);
  return address === undefined ? undefined : addressText(address);
}

/** The same for an address. */
export function addressText(address: SystemAddress): string {
  if (address.family === "unix") return address.path.replace(/^\0/, "@");
  return address.family === "ipv6"
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/** One more descriptor of the same open socket, close-on-exec: it is sent to ourselves. */
export function duplicate(fd: number): number {
  const [here, there] = linux.socketpair({ type: "stream", nonBlocking: "both" });
  try {
    linux.sendDescriptors(here, Uint8Array.of(0), [fd]);
    const copy = linux.receiveDescriptors(there, 1, 1)?.fds[0];
    if (copy === undefined) throw new Error(`descriptor ${fd} could not be duplicated`);
    return copy;
  } finally {
    linux.close(here);
    linux.close(there);
  }
}

/** Makes `to` another number of the same open file, whatever it was before; not for programs that are started. */
export function placeDescriptor(fd: number, to: number): number {
  linux.redirect(fd, to);
  return to;
}

/** Makes a listening socket block in accept(), as programs expect that get it handed over. */
export function makeBlocking(fd: number): void {
  linux.setNonBlocking(fd, false);
}

/** Ends this process with its parent, however that one ends. */
export function dieWithParent(): void {
  const parent = process.ppid;
  linux.setParentDeathSignal(constants.signals.SIGKILL);
  // It may have ended before the kernel was told.
  if (process.ppid !== parent) process.exit(1);
}

export interface ExecuteOptions {
  readonly path: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Descriptors that stay open; all others are closed. */
  readonly keep: readonly number[];
}

/** Turns this process into another program. Returns only by throwing. */
export function execute({ path, argv, environment, keep }: ExecuteOptions): never {
  return linux.execve({ path, argv, env: assignments(environment), keepFds: keep });
}

/** The same by way of a program that changes what belongs to each thread: namespaces, capabilities. */
export function executeInside({
  path,
  argv,
  environment,
  keep,
  ...inside
}: ExecuteOptions & {
  readonly prefix: string;
  readonly join: readonly number[];
  readonly unshare: number;
  readonly bound: readonly number[] | undefined;
}): never {
  return linux.enterNamespaces({
    ...inside,
    path,
    argv,
    env: assignments(environment),
    keepFds: keep,
  });
}

/** `NAME=value` strings. */
export function assignments(environment: Readonly<Record<string, string>>): string[] {
  return Object.entries(environment).map(([name, value]) => `${name}=${value}`);
}

/** A user by name or number; undefined if there is none. */
export function findUser(
  nameOrId: string,
): { readonly uid: number; readonly gid: number; readonly name: string } | undefined {
  return linux.lookupUser(nameOrId);
}

export function findGroup(nameOrId: string): { readonly gid: number } | undefined {
  return linux.lookupGroup(nameOrId);
}

/** All groups of a user. */
export function groupsOf(name: string, gid: number): readonly number[] {
  return linux.userGroups(name, gid);
}

/**
 * Changes ids and groups of the whole process, for good. With `capabilities` these are kept, by this thread and by
 * all programs that are started.
 */
export function become(
  credentials: {
    readonly uid: number;
    readonly gid: number;
    readonly groups: readonly number[];
  },
  capabilities?: readonly number[],
): void {
  if (capabilities === undefined) return linux.setCredentials(credentials);
  linux.limitBoundingSet(capabilities);
  linux.setCredentialsKeeping(credentials, capabilities);
  linux.holdCapabilities(capabilities);
}
