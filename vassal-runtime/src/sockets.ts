/**
 * The vassal's listening sockets: bound here, or taken over from the Emperor (descriptor 0), from systemd
 * (`LISTEN_FDS`) or from the process's own earlier life. Never removes anything but a unix socket that
 * nobody serves, and with `vacuum` those that this vassal has made.
 */
import { lookup } from "node:dns/promises";
import { lstatSync, unlinkSync } from "node:fs";
import { connect, isIP } from "node:net";
import { resolve as resolvePath } from "node:path";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { InheritedSocket, SocketFile } from "./launch.ts";
import type { SocketDescriptor } from "./listen-capture.ts";
import { log } from "./log.ts";
import {
  addressText,
  closeDescriptor,
  duplicate,
  findGroup,
  findUser,
  isListening,
  listenOn,
  localAddressText,
} from "./platform.ts";
import type { SystemAddress } from "./platform.ts";
import type { SocketSetting, SocketSettings } from "./socket-settings.ts";

/**
 * A listening socket. The runtime owns `fd`, whatever else has a copy of it. `text` is as in the
 * configuration, or the address of one that was handed over.
 */
export type BoundSocket = SocketDescriptor & InheritedSocket;

/** All that are open, to know at the end which files are still in use. */
const open = new Set<BoundSocket>();
/** Those of them that are open only to be handed out. */
const pooled = new Set<BoundSocket>();
let vacuum: boolean | undefined;

/**
 * All sockets that exist already, and those that have to be bound while this process still is who it was
 * started as: shared ones, and with `chown-socket` unix ones.
 */
export async function bindEarly(
  settings: SocketSettings,
  inherited: readonly InheritedSocket[],
): Promise<BoundSocket[]> {
  const adopted = adoptSockets(inherited);
  const wanted = settings.sockets.filter((socket) => socket.early === true);
  if (wanted.length === 0) return adopted;
  const early = await bindSockets({ ...settings, sockets: wanted }, adopted);
  const others = adopted.filter((socket) => !early.includes(socket));
  const replaced = others.filter(({ text }) => early.some((socket) => socket.text === text));
  closeSockets(replaced);
  return [...early, ...others.filter((socket) => !replaced.includes(socket))];
}

/** The sockets to serve, given those of `bindEarly`; what is not wanted any more is closed. */
export async function bindTheRest(
  settings: SocketSettings,
  existing: readonly BoundSocket[],
): Promise<BoundSocket[]> {
  const sockets = await bindSockets(settings, existing);
  closeSockets(existing.filter((socket) => !sockets.includes(socket)));
  return sockets;
}

/** Sockets that exist before the configuration is looked at. */
function adoptSockets(inherited: readonly InheritedSocket[]): BoundSocket[] {
  const sockets: BoundSocket[] = [];
  for (const socket of inherited) {
    const { fd } = socket;
    if (!isListening(fd)) {
      if (socket.given === true)
        log(`${socket.text} was handed over, but does not listen: ignored`);
      continue;
    }
    const text = fd !== 0 && socket.given === true ? localAddressText(fd) : undefined;
    // It came through an exec, so programs that the app starts would get it, and keep the address.
    const own = { ...socket, text: text ?? socket.text, fd: fd > 2 ? duplicate(fd) : fd };
    sockets.push({ ...own, protocol: "none" });
    if (fd > 2) closeDescriptor(fd);
  }
  if (!sockets.some(({ fd }) => fd === 0) && isListening(0))
    sockets.push({ fd: 0, text: localAddressText(0) ?? "fd 0", given: true, protocol: "none" });
  for (const socket of sockets) open.add(socket);
  return sockets;
}

/**
 * The sockets of a configuration: those of `existing` with the same text (or, if they were handed over,
 * the same address) stay, the others are bound. Sockets that are not wanted any more are left to the
 * caller; one that stays, but speaks another protocol now, is a new one on a copy of the descriptor.
 * Rejects with a `RuntimeError` when one cannot be bound; then those bound before it are closed again.
 */
export async function bindSockets(
  settings: SocketSettings,
  existing: readonly BoundSocket[],
): Promise<BoundSocket[]> {
  if (vacuum === undefined) process.once("exit", () => vacuum === true && closeSockets([...open]));
  vacuum = settings.vacuum;
  const given = existing.filter((socket) => socket.given === true);
  const result: BoundSocket[] = [];
  const fresh: BoundSocket[] = [];
  const taken = new Set<BoundSocket>();
  for (const setting of settings.sockets) {
    try {
      const old =
        existing.find(({ text }) => text === setting.text) ?? (await sameAddress(setting, given));
      if (old === undefined && settings.onlyFallback && given.some(({ zerg }) => zerg === true))
        continue;
      if (old === undefined) {
        const socket = await bind(setting, settings);
        fresh.push(socket);
        result.push(socket);
      } else if (!taken.has(old)) {
        taken.add(old);
        const kept = keep(old, descriptionOf(setting));
        if (kept !== old) fresh.push(kept);
        result.push(kept);
      }
    } catch (error) {
      closeSockets(fresh);
      throw error;
    }
  }
  // Served whether or not they are configured: somebody listens for this vassal.
  const others = given.filter((socket) => !taken.has(socket));
  for (const socket of others.toReversed())
    result.unshift(keep(socket, { protocol: settings.inheritedProtocol }));
  return result;
}

/** All that this vassal listens on, those that were handed over included. */
export function openSockets(): readonly BoundSocket[] {
  return [...open].filter((socket) => !pooled.has(socket));
}

/** The same with the addresses that the kernel knows: absolute, with a real port. */
export function announceable(): readonly { readonly text: string; readonly protocol: string }[] {
  return openSockets().map(({ fd, file, protocol, text }) => ({
    text: file?.path ?? localAddressText(fd) ?? text,
    protocol,
  }));
}

/** Sockets that are bound for others; nobody serves them here. */
export async function bindPool(
  sockets: readonly SocketSetting[],
  settings: SocketSettings,
): Promise<BoundSocket[]> {
  const bound: BoundSocket[] = [];
  for (const setting of sockets) {
    const socket = await bind(setting, settings);
    pooled.add(socket);
    bound.push(socket);
  }
  return bound;
}

/** Closes them; with `vacuum` the file of one goes as well, unless another open one has the same. */
export function closeSockets(sockets: readonly BoundSocket[]): void {
  for (const socket of sockets) {
    open.delete(socket);
    const { file, fd } = socket;
    // Before it is closed: until then the kernel gives the numbers of the file to no other.
    if (file !== undefined && vacuum === true && !isInUse(file)) removeFile(file);
    if (fd !== 0) closeDescriptor(fd);
  }
}

function isInUse({ dev, ino }: SocketFile): boolean {
  return [...open].some(({ file }) => file?.ino === ino && file.dev === dev);
}

/** Only the very file that was made here: another vassal may have put its own in its place. */
function removeFile({ path, dev, ino }: SocketFile): void {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isSocket() !== true || found.dev !== dev || found.ino !== ino) return;
    unlinkSync(path);
  } catch (error) {
    log(`the unix socket ${JSON.stringify(path)} stays: ${reasonOf(error)}`);
  }
}

type Description = Pick<SocketDescriptor, "protocol" | "tls" | "keepAlive">;

function descriptionOf({ protocol, tls, keepAlive }: SocketSetting): Description {
  return {
    protocol,
    ...(tls === undefined
      ? {}
      : { tls: { certificate: resolvePath(tls.certificate), key: resolvePath(tls.key) } }),
    ...(keepAlive === undefined ? {} : { keepAlive }),
  };
}

/** `old` itself if nothing changes, so that whoever serves it need not care. */
function keep(old: BoundSocket, description: Description): BoundSocket {
  const { fd, text, given, zerg, file } = old;
  const plain: BoundSocket = {
    fd,
    text,
    ...description,
    ...(given === undefined ? {} : { given }),
    ...(zerg === undefined ? {} : { zerg }),
    ...(file === undefined ? {} : { file }),
  };
  const { protocol, tls, keepAlive } = old;
  if (
    protocol === plain.protocol &&
    tls?.certificate === plain.tls?.certificate &&
    tls?.key === plain.tls?.key &&
    keepAlive === plain.keepAlive
  )
    return old;
  const kept = fd === 0 ? plain : { ...plain, fd: duplicate(fd) };
  open.add(kept);
  return kept;
}

async function sameAddress(
  setting: SocketSetting,
  candidates: readonly BoundSocket[],
): Promise<BoundSocket | undefined> {
  if (candidates.length === 0) return undefined;
  const wanted = addressText(await resolveAddress(setting));
  return candidates.find(({ fd }) => localAddressText(fd) === wanted);
}

async function resolveAddress({ address, origin, text }: SocketSetting): Promise<SystemAddress> {
  if (address.kind === "unix") return { family: "unix", path: address.path };
  const { host, port } = address;
  const version = isIP(host);
  if (version !== 0) return { family: version === 6 ? "ipv6" : "ipv4", host, port };
  try {
    const found = await lookup(host, { verbatim: false });
    return { family: found.family === 6 ? "ipv6" : "ipv4", host: found.address, port };
  } catch (error) {
    throw new RuntimeError(
      "VASSAL_BIND",
      `${origin}: socket ${JSON.stringify(text)}: the host has no address: ${reasonOf(error)}`,
      {},
      { cause: error },
    );
  }
}

async function bind(setting: SocketSetting, settings: SocketSettings): Promise<BoundSocket> {
  const address = await resolveAddress(setting);
  const isFile = address.family === "unix" && !address.path.startsWith("\0");
  if (isFile) await makeRoom(address.path, setting);
  const mode = settings.socketMode;
  const owner = isFile ? ownerOf(settings, setting) : {};
  try {
    const fd = listenOn(address, {
      backlog: settings.backlog,
      ...(mode === undefined ? {} : { mode }),
      ...owner,
      reusePort: settings.reusePort && address.family !== "unix",
    });
    const socket: BoundSocket = {
      fd,
      text: setting.text,
      ...descriptionOf(setting),
      ...(isFile ? fileOf(address.path) : {}),
    };
    open.add(socket);
    return socket;
  } catch (error) {
    throw bindError(setting, reasonOf(error), error);
  }
}

/** Absolute: the app may change its directory. */
function fileOf(path: string): { readonly file?: SocketFile } {
  const absolute = resolvePath(path);
  const found = lstatSync(absolute, { throwIfNoEntry: false });
  return found?.isSocket() === true
    ? { file: { path: absolute, dev: found.dev, ino: found.ino } }
    : {};
}

function ownerOf(
  { socketOwner }: SocketSettings,
  setting: SocketSetting,
): { readonly uid?: number; readonly gid?: number } {
  if (socketOwner === undefined) return {};
  const { user, group } = socketOwner;
  const number = (text: string): number | undefined =>
    /^\d{1,10}$/.test(text) ? Number(text) : undefined;
  const uid = number(user) ?? findUser(user)?.uid;
  const gid = group === undefined ? undefined : (number(group) ?? findGroup(group)?.gid);
  if (uid === undefined || (group !== undefined && gid === undefined)) {
    const missing =
      uid === undefined ? `user ${JSON.stringify(user)}` : `group ${JSON.stringify(group)}`;
    throw bindError(setting, `chown-socket: there is no ${missing}`);
  }
  return { uid, ...(gid === undefined ? {} : { gid }) };
}

/** What a message about a socket says of it. */
type Named = Pick<SocketSetting, "origin" | "text"> & Partial<Pick<SocketSetting, "address">>;

function bindError(setting: Named, reason: string, cause?: unknown): RuntimeError {
  const { address } = setting;
  const low = address?.kind === "tcp" && address.port < 1024 && reason.includes("EACCES");
  const hint = low
    ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE, and uid is changed before sockets are bound: a shared-socket is bound before"
    : "";
  return new RuntimeError(
    "VASSAL_BIND",
    `${setting.origin}: cannot listen on ${JSON.stringify(setting.text)}: ${reason}${hint}`,
    {},
    { cause },
  );
}

/** Removes a unix socket that a dead process left; anything else at that path is not ours to remove. */
export async function makeRoom(path: string, setting: Named): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw bindError(
      setting,
      "there is something else than a socket at that path; it is left alone",
    );
  const served = await whyServed(path);
  if (served !== undefined) throw bindError(setting, served);
  try {
    unlinkSync(path);
    log(`the unix socket ${JSON.stringify(path)} that nobody served is replaced`);
  } catch (error) {
    throw bindError(
      setting,
      `the socket at that path cannot be replaced: ${reasonOf(error)}`,
      error,
    );
  }
}

/**
 * Why the socket may not be replaced; undefined if nobody serves it. Only a refused connection proves
 * that: a full queue or a missing permission do not.
 */
async function whyServed(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve("another process serves that socket");
    });
    socket.once("error", ({ code = "" }: NodeJS.ErrnoException) => {
      if (code === "ECONNREFUSED" || code === "ENOENT") resolve(undefined);
      else if (code === "EACCES")
        resolve("the socket at that path belongs to another user (EACCES); it is left alone");
      else resolve(`another process serves that socket (${code})`);
    });
  });
}
