/**
 * The native addon as it really is: positional arguments, arrays of numbers. Only files of this
 * package call it; everybody else uses the typed functions of `index.ts`.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { LinuxError, makeLinuxError } from "./errors.ts";

/** Handle of a watcher; only passed back to the addon. */
export type WatchHandle = object & { readonly watchHandle: never };

/** `[family, host or path, port]` */
export type NativeAddress = readonly [string, string, number];

export interface NativeAddon {
  readonly compiler: string;
  install(factory: typeof makeLinuxError): void;
  spawn(numbers: Float64Array, text: string): Float64Array;
  startsOpen(onWake: () => void): void;
  startsHaveRoom(): boolean;
  start(numbers: Float64Array, text: string): Float64Array;
  startsTake(records: Float64Array): number;
  startsClose(): void;

  watchCreate(onWake: () => void): WatchHandle;
  watchAdd(handle: WatchHandle, fd: number, kind: number, token: number): number;
  watchRearm(handle: WatchHandle, slot: number): void;
  watchRemove(handle: WatchHandle, slot: number, bytes: Uint8Array): number;
  watchTake(handle: WatchHandle, records: Float64Array, bytes: Uint8Array): number;
  watchRef(handle: WatchHandle, keepsAlive: boolean): void;
  watchClose(handle: WatchHandle): void;

  reap(pidfd: number): Float64Array | undefined;
  signalProcess(pidfd: number, signal: number): boolean;
  signalGroup(pgid: number, signal: number): boolean;
  openPidfd(pid: number): number;
  resourceLimit(pid: number, resource: number, soft?: number, hard?: number): Float64Array;
  setChildSubreaper(wanted: boolean): void;
  setParentDeathSignal(signal: number): void;
  setNoNewPrivileges(): void;
  setProcessName(name: string): void;
  flock(fd: number, operation: number, nonBlocking: boolean): boolean;
  execve(path: string, argv: string, env: string, keptFds: Float64Array): never;

  lookupUser(
    name: string | undefined,
    uid: number,
  ): [number, number, string, string, string] | undefined;
  lookupGroup(name: string | undefined, gid: number): [number, string] | undefined;
  userGroups(name: string, gid: number): Float64Array;
  setCredentials(uid: number, gid: number, groups: Float64Array): void;
  getCapabilities(): [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
  setCapabilities(
    effective: Float64Array,
    permitted: Float64Array,
    inheritable: Float64Array,
  ): void;
  dropBoundingCapability(capability: number): void;
  keepCapabilities(wanted: boolean): void;
  raiseAmbient(capability: number): void;

  setns(fd: number, kind: number): void;
  unshare(flags: number): void;
  mount(source: string, target: string, fstype: string, flags: number, data: string): void;
  umount(target: string, flags: number): void;
  setHostName(name: string): void;
  changeRoot(directory: string): void;
  pivotRoot(newRoot: string, putOld: string): void;

  socketpair(type: number, firstNonBlocking: boolean, secondNonBlocking: boolean): Float64Array;
  listen(
    family: string,
    host: string,
    port: number,
    backlog: number,
    mode: number,
    uid: number,
    gid: number,
    reusePort: boolean,
  ): number;
  bindDatagram(family: string, path: string, mode: number): number;
  accept(fd: number): number | undefined;
  connect(family: string, host: string, port: number): Float64Array;
  localAddress(fd: number): NativeAddress | undefined;
  listenQueueLength(fd: number): Float64Array;
  peerCredentials(fd: number): Float64Array;
  socketError(fd: number): number;

  readChannel(fd: number, maxBytes: number): Uint8Array | undefined;
  writeChannel(fd: number, bytes: Uint8Array): number;
  sendDescriptors(fd: number, bytes: Uint8Array, fds: Float64Array): number;
  receive(
    fd: number,
    maxBytes: number,
    maxFds: number,
  ): [Uint8Array, Float64Array, boolean, number, number, number] | undefined;
  sendDatagram(family: string, path: string, bytes: Uint8Array): void;
  close(fd: number): void;
  redirect(fd: number, to: number): void;
  setNonBlocking(fd: number, nonBlocking: boolean): void;
  openFile(path: string, flags: number, mode: number): number;

  scanDirectory(
    directory: string,
    suffixes: string,
    nofollow: boolean,
    previousDigest?: string,
  ): NativeScan | undefined;
  statEntries(paths: string, nofollow: boolean, previousDigest?: string): NativeScan | undefined;
  fileDigest(path: string): string;
  readFiles(paths: string): [string, string];
}

/** Digest, 15 numbers per entry, NUL-terminated names. */
export type NativeScan = [string, Float64Array, Uint8Array];

function load(): NativeAddon {
  // The same place seen from src/ and from dist/.
  const path = fileURLToPath(new URL("../build/emperor_linux.node", import.meta.url));
  let addon: NativeAddon;
  try {
    addon = createRequire(import.meta.url)(path) as NativeAddon;
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause);
    throw new LinuxError({
      step: "load",
      errno: 0,
      code: "ADDON_MISSING",
      message: `the native addon ${path} cannot be loaded (${reason}): run "make build"`,
      cause,
    });
  }
  addon.install(makeLinuxError);
  return addon;
}

export const native: NativeAddon = load();

/** Strings as the addon takes lists of them: each followed by a NUL. A NUL inside is an error. */
export function packStrings(strings: readonly string[], step: string): string {
  let packed = "";
  for (const value of strings) packed += `${withoutNul(value, step)}\0`;
  return packed;
}

/** The string itself; a NUL inside, which the kernel would take for its end, is an error. */
export function withoutNul(value: string, step: string): string {
  if (!value.includes("\0")) return value;
  throw new LinuxError({
    step,
    errno: 22,
    message: `${step}: ${JSON.stringify(value)} contains a NUL byte, which no system call takes`,
  });
}
