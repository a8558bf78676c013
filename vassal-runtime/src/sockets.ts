/**
 * The vassal's listening sockets: bound here, or taken over from the Emperor (descriptor 0) or from the
 * process's own earlier life. Never removes anything but a unix socket that nobody serves.
 */
import { lookup } from "node:dns/promises";
import { lstatSync, unlinkSync } from "node:fs";
import { connect, isIP } from "node:net";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { InheritedSocket } from "./launch.ts";
import { log } from "./log.ts";
import {
  addressText,
  closeDescriptor,
  duplicate,
  isListening,
  listenOn,
  localAddressText,
} from "./platform.ts";
import type { SystemAddress } from "./platform.ts";
import type { RuntimeSettings, SocketSetting } from "./settings.ts";

/** A listening socket. The runtime owns `fd`, whatever else has a copy of it. */
export interface BoundSocket {
  readonly fd: number;
  /** As in the configuration; `fd 0` for one that the Emperor listened on. */
  readonly text: string;
}

/** Sockets that exist before the configuration is looked at. */
export function adoptSockets(inherited: readonly InheritedSocket[]): BoundSocket[] {
  const sockets: BoundSocket[] = [];
  for (const { fd, text } of inherited) {
    if (!isListening(fd)) continue;
    // It came through an exec, so programs that the app starts would get it, and keep the address.
    sockets.push({ fd: fd > 2 ? duplicate(fd) : fd, text });
    if (fd > 2) closeDescriptor(fd);
  }
  if (!sockets.some(({ fd }) => fd === 0) && isListening(0))
    sockets.push({ fd: 0, text: localAddressText(0) ?? "fd 0" });
  return sockets;
}

/**
 * The sockets of a configuration: those of `existing` with the same text (or, for descriptor 0, the same
 * address) stay, the others are bound. Sockets that are not wanted any more are left to the caller.
 * Rejects with a `RuntimeError` when one cannot be bound; then those bound before it are closed again.
 */
export async function bindSockets(
  settings: RuntimeSettings,
  existing: readonly BoundSocket[],
): Promise<BoundSocket[]> {
  // Descriptor 0 is served whether or not it is configured: the Emperor listens for this vassal.
  const result: BoundSocket[] = existing.filter(({ fd }) => fd === 0);
  const fresh: BoundSocket[] = [];
  for (const setting of settings.sockets) {
    const old =
      existing.find(({ text }) => text === setting.text) ?? (await sameAddress(setting, result));
    if (old !== undefined) {
      if (!result.includes(old)) result.push(old);
      continue;
    }
    try {
      const socket = await bind(setting, settings);
      fresh.push(socket);
      result.push(socket);
    } catch (error) {
      closeSockets(fresh);
      throw error;
    }
  }
  return result;
}

export function closeSockets(sockets: readonly BoundSocket[]): void {
  for (const { fd } of sockets) closeDescriptor(fd);
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
      `${origin}: http-socket ${JSON.stringify(text)}: the host has no address: ${reasonOf(error)}`,
      {},
      { cause: error },
    );
  }
}

async function bind(setting: SocketSetting, settings: RuntimeSettings): Promise<BoundSocket> {
  const address = await resolveAddress(setting);
  if (address.family === "unix" && !address.path.startsWith("\0"))
    await makeRoom(address.path, setting);
  const mode = settings.socketMode;
  try {
    const fd = listenOn(address, {
      backlog: settings.backlog,
      ...(mode === undefined ? {} : { mode }),
    });
    return { fd, text: setting.text };
  } catch (error) {
    throw bindError(setting, reasonOf(error), error);
  }
}

function bindError(setting: SocketSetting, reason: string, cause?: unknown): RuntimeError {
  const low =
    setting.address.kind === "tcp" && setting.address.port < 1024 && reason.includes("EACCES");
  const hint = low
    ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE, and uid is changed before sockets are bound"
    : "";
  return new RuntimeError(
    "VASSAL_BIND",
    `${setting.origin}: cannot listen on ${JSON.stringify(setting.text)}: ${reason}${hint}`,
    {},
    { cause },
  );
}

/** Removes a unix socket that a dead process left; anything else at that path is not ours to remove. */
async function makeRoom(path: string, setting: SocketSetting): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw bindError(
      setting,
      "there is something else than a socket at that path; it is left alone",
    );
  if (await isServed(path)) throw bindError(setting, "another process serves that socket");
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

/** Only a refused connection proves that nobody listens; a full queue or missing permission do not. */
async function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"),
    );
  });
}
