/**
 * The files beside configs that hold the address of an on-demand socket (`NAME` + suffix): reads them
 * and knows which changed since. Knows no addresses and no timers.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from "node:fs";
import { errnoName, explainErrno } from "./errno.ts";
import type { FileEyes } from "./eyes.ts";
import { versionOf } from "./file-facts.ts";

/** More than the longest list of addresses that makes sense. */
const MAX_COMPANION_BYTES = 8192;

export type CompanionReading =
  | { readonly kind: "absent" }
  /** `owner`: who decides about the address: the owner of the file, or of the link to it. */
  | { readonly kind: "read"; readonly text: string; readonly owner: number }
  /** `why` ends a sentence. */
  | { readonly kind: "unreadable"; readonly why: string };

export class Companions {
  readonly #suffix: string;
  readonly #eyes: FileEyes;
  readonly #pathOf: (name: string) => string;
  /** State of the companion when its vassal was reported; only of vassals that have one. */
  readonly #states = new Map<string, string>();
  /** Names hinted at, and when they will have been quiet for long enough, monotonic ms. */
  readonly #dueAt = new Map<string, number>();

  constructor(suffix: string, eyes: FileEyes, pathOf: (name: string) => string) {
    this.#suffix = suffix;
    this.#eyes = eyes;
    this.#pathOf = pathOf;
  }

  /** The name of the config that `name` is a companion of. */
  baseOf(name: string): string | undefined {
    return name.length > this.#suffix.length && name.endsWith(this.#suffix)
      ? name.slice(0, -this.#suffix.length)
      : undefined;
  }

  hint(name: string, dueAtMs: number): void {
    this.#dueAt.set(name, dueAtMs);
  }

  nextDueAt(): number {
    let at = Infinity;
    for (const due of this.#dueAt.values()) if (due < at) at = due;
    return at;
  }

  /** Of `names`, those whose companion came, went or changed since it was read. */
  changed(names: readonly string[]): string[] {
    const states = this.#look(names);
    return names.filter((name) => states.get(name) !== this.#states.get(name));
  }

  /** Names hinted at that are due; they are not due any more afterwards. */
  takeDue(nowMs: number): string[] {
    const names: string[] = [];
    for (const [name, due] of this.#dueAt) if (due <= nowMs) names.push(name);
    for (const name of names) this.#dueAt.delete(name);
    return names;
  }

  /** Reads the companion of a config that is reported now, and notes its state. */
  read(name: string): CompanionReading {
    // Looked at before it is read: a write in between is seen as a change by the next look.
    const state = this.#look([name]).get(name);
    if (state === undefined) {
      this.#states.delete(name);
      return { kind: "absent" };
    }
    this.#states.set(name, state);
    return readCompanion(this.#pathOf(name) + this.#suffix);
  }

  forget(name: string): void {
    this.#states.delete(name);
    this.#dueAt.delete(name);
  }

  #look(names: readonly string[]): ReadonlyMap<string, string> {
    const states = new Map<string, string>();
    if (names.length === 0) return states;
    const byPath = new Map(names.map((name) => [this.#pathOf(name) + this.#suffix, name]));
    let seen: ReturnType<FileEyes["stat"]>;
    try {
      seen = this.#eyes.stat([...byPath.keys()], false);
    } catch {
      // Nothing can be told: everything stays as it was.
      for (const name of names) {
        const before = this.#states.get(name);
        if (before !== undefined) states.set(name, before);
      }
      return states;
    }
    if (!seen.changed) return states;
    for (const entry of seen.entries) {
      const name = byPath.get(entry.name);
      if (name !== undefined) states.set(name, versionOf(entry));
    }
    return states;
  }
}

/** Never blocks: a fifo or a device is no companion. */
function readCompanion(path: string): CompanionReading {
  let fd: number | undefined;
  try {
    const link = lstatSync(path, { throwIfNoEntry: false });
    if (link === undefined) return { kind: "absent" };
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const facts = fstatSync(fd);
    if (!facts.isFile()) return { kind: "unreadable", why: "it is no regular file" };
    if (facts.size > MAX_COMPANION_BYTES)
      return { kind: "unreadable", why: `it has more than ${MAX_COMPANION_BYTES} bytes` };
    const bytes = Buffer.alloc(MAX_COMPANION_BYTES);
    const count = readSync(fd, bytes, 0, MAX_COMPANION_BYTES, 0);
    const owner = link.isSymbolicLink() && link.uid !== 0 ? link.uid : facts.uid;
    return { kind: "read", text: bytes.toString("utf8", 0, count).trim(), owner };
  } catch (error) {
    if (errnoName(error) === "ENOENT") return { kind: "absent" };
    return { kind: "unreadable", why: explainErrno(errnoName(error)) };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
