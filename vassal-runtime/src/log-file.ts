/**
 * Log files: opened by number, so that what other programs write there passes through nobody, opened
 * anew and rotated on order or by size. Loaded only where a log file is set. Knows no line.
 */
import { constants, fchmodSync, fchownSync, fstatSync, ftruncateSync, renameSync } from "node:fs";
import { resolve } from "node:path";
import { close, openFile, redirect } from "@emperor/linux";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { LogFileSettings } from "./log-settings.ts";
import { log, quote } from "./log.ts";
import { findGroup, findUser } from "./platform.ts";

const { O_APPEND, O_CREAT, O_EXCL, O_NOCTTY, O_WRONLY } = constants;
const APPEND = O_WRONLY | O_APPEND | O_NOCTTY;
const MODE = 0o640;
const OUTPUTS = [1, 2] as const;

/** All that this process has opened, for orders that are about each of them. */
const openFiles: LogFile[] = [];

export interface LogFileOptions extends LogFileSettings {
  /** For messages. */
  readonly option: string;
  readonly path: string;
  /** A file that is created here belongs to this user, so that a reload as that user can open it again. */
  readonly user: string | undefined;
  /** Descriptors 1 and 2 become the file. */
  readonly isOutput: boolean;
  /** They are already. */
  readonly isOpen?: boolean;
  /** Called instead of closing a descriptor at once: something may still be written to it. */
  readonly retire?: (fd: number) => void;
}

export class LogFile {
  readonly #options: LogFileOptions;
  readonly #path: string;
  #fd: number;

  /** Opens it; throws a `RuntimeError` when that is not possible. One that was there keeps its owner. */
  constructor(options: LogFileOptions) {
    this.#options = options;
    // The app may change its directory.
    this.#path = resolve(options.path);
    try {
      this.#fd = options.isOpen === true ? OUTPUTS[1] : this.#open(options.truncate);
    } catch (error) {
      throw new RuntimeError(
        "VASSAL_CONFIG",
        `${options.option} = ${JSON.stringify(options.path)} cannot be opened: ${reasonOf(error)}`,
        {},
        { cause: error },
      );
    }
    openFiles.push(this);
  }

  get fd(): number {
    return this.#fd;
  }

  /** Opens the path again: somebody has moved the file. Without success the old one goes on. */
  reopen(): void {
    try {
      const fd = this.#open(false);
      const old = this.#fd;
      this.#fd = fd;
      if (this.#options.isOutput) return;
      if (this.#options.retire === undefined) close(old);
      else this.#options.retire(old);
    } catch (error) {
      log(
        `log file ${quote(this.#path)} cannot be opened again: ${reasonOf(error)}; the old one goes on`,
      );
    }
  }

  /** Moves the file away and begins a new one. */
  rotate(): void {
    const { backupName } = this.#options;
    const backup = backupName ?? `${this.#path}.${Math.floor(Date.now() / 1000)}`;
    try {
      renameSync(this.#path, backup);
    } catch (error) {
      return log(
        `log file ${quote(this.#path)} cannot be moved to ${quote(backup)}: ${reasonOf(error)}; it goes on`,
      );
    }
    this.reopen();
    log(`log file ${quote(this.#path)} was moved to ${quote(backup)}`);
  }

  /** Rotates the file when it has become too large. */
  check(): void {
    const { maxBytes } = this.#options;
    if (maxBytes !== undefined && fstatSync(this.#fd).size > maxBytes) this.rotate();
  }

  #open(truncate: boolean): number {
    const { isOutput, mode, owner, user } = this.#options;
    let fd: number;
    try {
      fd = openFile(this.#path, APPEND | O_CREAT | O_EXCL, mode ?? MODE);
      const wanted = ownerOf(owner ?? user);
      if (wanted !== undefined && process.geteuid?.() === 0) fchownSync(fd, wanted.uid, wanted.gid);
      if (mode !== undefined) fchmodSync(fd, mode); // whatever the umask says
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      fd = openFile(this.#path, APPEND, MODE);
      if (truncate && fstatSync(fd).isFile()) ftruncateSync(fd);
    }
    if (!isOutput) return fd;
    for (const output of OUTPUTS) redirect(fd, output);
    close(fd);
    return OUTPUTS[1];
  }
}

/** Opens all log files of this process again. */
export function reopenLogFiles(): void {
  for (const file of openFiles) file.reopen();
  log(openFiles.length > 0 ? "log files were opened again" : "there is no log file to be opened");
}

/** Rotates them all. */
export function rotateLogFiles(): void {
  for (const file of openFiles) file.rotate();
  if (openFiles.length === 0) log("there is no log file to be rotated");
}

/** Rotates those that are too large. */
export function checkLogFiles(): void {
  for (const file of openFiles) file.check();
}

function ownerOf(
  text: string | undefined,
): { readonly uid: number; readonly gid: number } | undefined {
  const [name = "", group] = (text ?? "").split(/[:\s]+/);
  const user = findUser(name);
  if (user === undefined) return undefined;
  const gid = group === undefined || group === "" ? user.gid : findGroup(group)?.gid;
  return { uid: user.uid, gid: gid ?? user.gid };
}
