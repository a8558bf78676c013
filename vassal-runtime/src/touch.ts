/**
 * The `touch-*` files: tells which ones changed since the last look. Reads no clock; how a file is
 * looked at is given. A file need not exist: appearing is a change, vanishing is none.
 */

/** A text that changes with the file, undefined when it is not there. */
export type LookAtFile = (path: string) => string | undefined;

/** The files as they were last seen. */
export type SeenFiles = Map<string, string | undefined>;

export class TouchWatch {
  readonly #paths: readonly string[];
  readonly #look: LookAtFile;
  readonly #seen: SeenFiles;

  /**
   * The files as they are now are the start; those of `seen`, which an earlier watch has left, are compared
   * with what it saw, so that no change falls between the two.
   */
  constructor(paths: readonly string[], look: LookAtFile, seen: SeenFiles = new Map()) {
    this.#paths = paths;
    this.#look = look;
    this.#seen = seen;
    for (const path of paths) if (!seen.has(path)) seen.set(path, look(path));
  }

  /** Files that were written, touched, replaced or created since the last call. */
  changed(): string[] {
    const changed: string[] = [];
    for (const path of this.#paths) {
      const now = this.#look(path);
      if (now !== undefined && now !== this.#seen.get(path)) changed.push(path);
      // A file that is replaced is gone for a moment; what it was before still counts.
      if (now !== undefined) this.#seen.set(path, now);
    }
    return changed;
  }
}
