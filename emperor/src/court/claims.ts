/**
 * Who governs a file that several monitors find. A vassal's identity is its monitor and its name,
 * so `app.ini` of two directories is two vassals; but one file that two monitors see (a directory
 * and a pattern over it) is one vassal, and the second monitor is told so. Knows no process.
 */
import { basename, dirname, join } from "node:path";
import type { VassalSpec } from "@emperor/monitors";

/** A spec that lost the claim; it takes over when the owner is gone. */
interface Shadow {
  readonly spec: VassalSpec;
}

/** The same entry of the same directory, whatever name the directory goes by; else the same inode. */
function claimKeys(spec: VassalSpec, realDirectory: (directory: string) => string): string[] {
  if (spec.path === undefined) return [];
  const keys = [`entry:${join(realDirectory(dirname(spec.path)), basename(spec.path))}`];
  // Several links to one skeleton are several vassals, so the inode of a link's target is no identity;
  // monitors leave fileId out for links.
  if (spec.fileId !== undefined) keys.push(`inode:${spec.fileId}`);
  return keys;
}

export type Claim =
  | { readonly outcome: "granted" }
  /** `owner` governs the file; `first` is true the first time this spec hears so. */
  | { readonly outcome: "shadowed"; readonly owner: VassalSpec; readonly first: boolean };

export class FileClaims {
  readonly #owners = new Map<string, VassalSpec>();
  readonly #keysOf = new Map<string, readonly string[]>();
  /** Shadows by monitor, then name. */
  readonly #shadows = new Map<string, Map<string, Shadow>>();
  readonly #realDirectory: (directory: string) => string;

  constructor(realDirectory: (directory: string) => string) {
    this.#realDirectory = realDirectory;
  }

  /** Asks for the file of `spec` on behalf of its monitor. Entries without a file are always granted. */
  claim(spec: VassalSpec): Claim {
    const keys = claimKeys(spec, this.#realDirectory);
    for (const key of keys) {
      const owner = this.#owners.get(key);
      if (owner === undefined || owner.monitor === spec.monitor) continue;
      let ofMonitor = this.#shadows.get(spec.monitor);
      if (ofMonitor === undefined)
        this.#shadows.set(spec.monitor, (ofMonitor = new Map<string, Shadow>()));
      const first = !ofMonitor.has(spec.name);
      ofMonitor.set(spec.name, { spec });
      return { outcome: "shadowed", owner, first };
    }
    this.#release(spec);
    this.#shadows.get(spec.monitor)?.delete(spec.name);
    const id = `${spec.monitor}\0${spec.name}`;
    for (const key of keys) this.#owners.set(key, spec);
    if (keys.length > 0) this.#keysOf.set(id, keys);
    return { outcome: "granted" };
  }

  /** The monitor no longer reports a shadowed entry. True when it was one. */
  dropShadow(monitor: string, name: string): boolean {
    return this.#shadows.get(monitor)?.delete(name) ?? false;
  }

  /** Names of the shadowed entries of one monitor. */
  shadowedNames(monitor: string): readonly string[] {
    return [...(this.#shadows.get(monitor)?.keys() ?? [])];
  }

  /** The owner is gone: gives its files back and returns the specs that waited for them. */
  release(spec: VassalSpec): readonly VassalSpec[] {
    const freed = new Set(this.#release(spec));
    const heirs: VassalSpec[] = [];
    if (freed.size === 0) return heirs;
    for (const ofMonitor of this.#shadows.values()) {
      for (const shadow of ofMonitor.values()) {
        if (claimKeys(shadow.spec, this.#realDirectory).some((key) => freed.has(key)))
          heirs.push(shadow.spec);
      }
    }
    return heirs;
  }

  #release(spec: VassalSpec): readonly string[] {
    const id = `${spec.monitor}\0${spec.name}`;
    const keys = this.#keysOf.get(id) ?? [];
    for (const key of keys) {
      const owner = this.#owners.get(key);
      if (owner?.monitor === spec.monitor && owner.name === spec.name) this.#owners.delete(key);
    }
    this.#keysOf.delete(id);
    return keys;
  }
}
