/**
 * Pidfiles: written once, locked for life, removed at the end if they are still ours. uWSGI neither
 * locks nor removes its own, so two Emperors can govern the same vassals and a stale file can name
 * somebody else's process.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { EmperorError, errnoOf, reasonOf } from "../errors.ts";
import type { System } from "./system.ts";

/** Between our open and our lock the holder may have removed the file: then ours is no longer the one with the name. */
const ATTEMPTS = 5;

interface Held {
  readonly path: string;
  readonly fd: number;
}

export class Pidfiles {
  readonly #system: Pick<System, "lock">;
  readonly #held = new Map<string, Held>();

  constructor(system: Pick<System, "lock">) {
    this.#system = system;
  }

  /**
   * Writes `pid` and a newline into the file and keeps it locked.
   * @param path absolute; a path that is held already is left alone
   * @throws EmperorError `pidfile-locked` when another process holds it, `pidfile-failed`
   */
  write(path: string, pid: number): void {
    if (this.#held.has(path)) return;
    const fd = this.#openLocked(path);
    try {
      ftruncateSync(fd, 0);
      writeSync(fd, `${pid}\n`, 0);
    } catch (error) {
      closeSync(fd);
      throw failed(path, error);
    }
    this.#held.set(path, { path, fd });
  }

  /** Removes the files that still are ours; one in a directory we may no longer write to is emptied. Never throws. */
  remove(): void {
    for (const { path, fd } of this.#held.values()) {
      try {
        if (isSameFile(path, fd)) unlinkSync(path);
      } catch {
        try {
          ftruncateSync(fd, 0);
        } catch {
          // A full or read-only file system: a stale number is harmless, because its lock is gone.
        }
      }
      closeSync(fd);
    }
    this.#held.clear();
  }

  #openLocked(path: string): number {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const fd = open(path);
      if (!this.#system.lock(fd)) {
        const holder = readHolder(fd);
        closeSync(fd);
        throw new EmperorError(
          "pidfile-locked",
          `the pidfile ${path} is held by ${holder}, which is still running; nothing is started`,
        );
      }
      if (isSameFile(path, fd)) return fd;
      closeSync(fd);
    }
    throw new EmperorError(
      "pidfile-failed",
      `the pidfile ${path} was replaced again and again while it was being locked; nothing is started`,
    );
  }
}

function failed(path: string, error: unknown): EmperorError {
  return new EmperorError(
    "pidfile-failed",
    `cannot write the pidfile ${path}: ${reasonOf(error)}; nothing is started`,
    { cause: error },
  );
}

function open(path: string): number {
  let fd: number;
  try {
    // Not blocking, in case the path is a fifo.
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK, 0o644);
  } catch (error) {
    throw failed(path, error);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw failed(path, new Error("it is no regular file"));
}

function isSameFile(path: string, fd: number): boolean {
  try {
    const named = statSync(path);
    const ours = fstatSync(fd);
    return named.ino === ours.ino && named.dev === ours.dev;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

function readHolder(fd: number): string {
  const buffer = Buffer.alloc(32);
  const text = buffer.toString("latin1", 0, readSync(fd, buffer, 0, buffer.length, 0)).trim();
  return /^\d+$/.test(text) ? `the process with pid ${text}` : "another process";
}
