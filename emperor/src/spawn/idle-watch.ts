/**
 * Notices that nobody is connected to a process's on-demand sockets for long: `emperor-on-demand-idle`,
 * for programs that never say that they are idle. Looks now and then, and only while there is such a
 * process. What follows is for others.
 */
import type { SocketAddress } from "@emperor/linux";
import { readFile } from "node:fs/promises";
import type { ProcessHandle, SocketsKey } from "../court/hands.ts";
import {
  connectedAddresses,
  fileOfAddress,
  isConnected,
  type ConnectionFile,
} from "./connected.ts";

export interface IdleWatchParts {
  /** 0: nobody is put to sleep. */
  readonly idleMs: number;
  readonly now: () => number;
  /** Addresses of the sockets, and whether a connection was seen since the last time this was asked. */
  readonly sockets: {
    addresses(key: SocketsKey): readonly SocketAddress[];
    wasStirred(key: SocketsKey): boolean;
  };
  /** A file of /proc/net. */
  readonly read?: (file: ConnectionFile) => Promise<string>;
  readonly warn: (message: string) => void;
  readonly deserted: (handle: ProcessHandle) => void;
}

interface Watched {
  readonly key: SocketsKey;
  /** The last time that somebody was connected, ms; at first its start. */
  busyAt: number;
}

/** So often within the time it looks, within these bounds, ms. */
const LOOKS = 4;
const SHORTEST_MS = 100;
const LONGEST_MS = 5000;

export class IdleWatch {
  readonly #parts: IdleWatchParts;
  readonly #watched = new Map<ProcessHandle, Watched>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #hasWarned = false;

  constructor(parts: IdleWatchParts) {
    this.#parts = parts;
  }

  /** The process serves these sockets from now on. */
  add(handle: ProcessHandle, key: SocketsKey): void {
    if (this.#parts.idleMs <= 0) return;
    this.#watched.set(handle, { key, busyAt: this.#parts.now() });
    this.#arm();
  }

  delete(handle: ProcessHandle): void {
    this.#watched.delete(handle);
    if (this.#watched.size === 0) this.#disarm();
  }

  close(): void {
    this.#closed = true;
    this.#watched.clear();
    this.#disarm();
  }

  /** One look at all of them. */
  async look(): Promise<void> {
    const { sockets, now, idleMs, deserted } = this.#parts;
    const connected = await this.#connected();
    // Where nothing can be seen nobody is put to sleep.
    if (connected === undefined) return;
    for (const [handle, watched] of this.#watched) {
      const isBusy = sockets
        .addresses(watched.key)
        .some((address) => isConnected(address, connected.get(fileOfAddress(address)) ?? NOBODY));
      const wasStirred = sockets.wasStirred(watched.key);
      if (isBusy || wasStirred) watched.busyAt = now();
      else if (now() - watched.busyAt >= idleMs) {
        watched.busyAt = now();
        deserted(handle);
      }
    }
  }

  async #connected(): Promise<ReadonlyMap<ConnectionFile, ReadonlySet<string>> | undefined> {
    const files = new Set<ConnectionFile>();
    for (const { key } of this.#watched.values())
      for (const address of this.#parts.sockets.addresses(key)) files.add(fileOfAddress(address));
    const found = new Map<ConnectionFile, ReadonlySet<string>>();
    try {
      for (const file of files) found.set(file, connectedAddresses(file, await this.#read(file)));
      return found;
    } catch (error) {
      if (!this.#hasWarned) {
        const why = error instanceof Error ? error.message : String(error);
        this.#parts.warn(
          `[emperor] emperor-on-demand-idle: connections cannot be looked at, so nobody is put to sleep: ${why}`,
        );
      }
      this.#hasWarned = true;
      return undefined;
    }
  }

  #read(file: ConnectionFile): Promise<string> {
    return this.#parts.read?.(file) ?? readFile(`/proc/net/${file}`, "latin1");
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#closed) return;
    const everyMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, this.#parts.idleMs / LOOKS));
    this.#timer = setTimeout(() => {
      void this.look().finally(() => {
        this.#timer = undefined;
        if (this.#watched.size > 0) this.#arm();
      });
    }, everyMs);
    this.#timer.unref();
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

const NOBODY: ReadonlySet<string> = new Set();
