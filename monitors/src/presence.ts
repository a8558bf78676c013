/**
 * Where a source stands in the file system: whether the directory it begins in is there, is still the
 * same one, and where to wait for it if it is not. Shared by `dir` and `glob`.
 */
import { basename, dirname } from "node:path";
import { errnoName, explainErrno } from "./errno.ts";
import type { FileEyes, Identity } from "./eyes.ts";
import type { Route, WatchTarget } from "./finder.ts";

export const REPLACED_BY_EMPTY =
  "another, empty directory is in its place (unmounted?); its configs, or the directory that was there, are awaited";

export class Presence {
  readonly directory: string;
  readonly #eyes: FileEyes;
  /** The directory that was last seen with its files; a mount in its place has another identity. */
  #identity: Identity | undefined;
  #isPresent = false;
  #isLocal = false;

  constructor(directory: string, eyes: FileEyes) {
    this.directory = directory;
    this.#eyes = eyes;
  }

  get isPresent(): boolean {
    return this.#isPresent;
  }

  /** The directory as it is now, or why it cannot be used (ends a sentence). Changes nothing. */
  find(): { readonly identity: Identity } | { readonly why: string } {
    try {
      const identity = this.#eyes.identify(this.directory);
      if (identity === undefined) return { why: "it does not exist" };
      return identity.isDirectory ? { identity } : { why: "it is not a directory" };
    } catch (error) {
      return { why: explainErrno(errnoName(error)) };
    }
  }

  /** Whether it is the directory that was seen last, at its first sight it is. */
  isSame(identity: Identity): boolean {
    return this.#identity === undefined || isSameDirectory(this.#identity, identity);
  }

  /** The directory was read with this identity, found before it was read. */
  entered(identity: Identity): void {
    if (this.#identity === undefined || !isSameDirectory(this.#identity, identity)) {
      this.#isLocal = this.#eyes.isLocal(this.directory);
    }
    this.#identity = identity;
    this.#isPresent = true;
  }

  lost(): void {
    this.#isPresent = false;
  }

  /** Whether the directory that was seen last is there at this moment. */
  isInPlace(): boolean {
    if (!this.#isPresent || this.#identity === undefined) return false;
    const found = this.find();
    return "identity" in found && isSameDirectory(this.#identity, found.identity);
  }

  /**
   * Whether no entry came or went since the directory was seen last, as far as its times tell, and
   * the kernel would see every change of an entry.
   */
  isUntouched(): boolean {
    if (!this.#isPresent || this.#identity === undefined || !this.#isLocal) return false;
    const found = this.find();
    if ("why" in found) return false;
    const { identity } = found;
    return isSameDirectory(this.#identity, identity) && this.#identity.mtimeMs === identity.mtimeMs;
  }

  target(directory: string): WatchTarget | undefined {
    try {
      const identity = this.#eyes.identify(directory);
      if (identity?.isDirectory !== true) return undefined;
      return { directory, identity: `${identity.dev}:${identity.ino}` };
    } catch {
      // Not watchable; the slow scan looks there nevertheless.
      return undefined;
    }
  }

  /** The directory in which the first missing part of the path will appear. */
  waitingPlace(): readonly WatchTarget[] {
    for (let directory = this.directory; ; directory = dirname(directory)) {
      const target = this.target(directory);
      if (target !== undefined) return [target];
      if (directory === "/") return [];
    }
  }

  /** What a hint in the waiting place means: only the next part of the path matters. */
  routeWhileWaiting(directory: string, name: string | null): Route {
    if (name === null || directory === this.directory) return "survey";
    const prefix = directory === "/" ? "/" : `${directory}/`;
    const next = this.directory.slice(prefix.length).split("/", 1)[0];
    return name === next || name === basename(directory) ? "survey" : "ignore";
  }
}

function isSameDirectory(a: Identity, b: Identity): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}
