/**
 * The `touch-*` files: tells which ones changed since the last look. Reads no clock; how a file is
 * looked at is given. A file need not exist: appearing is a change, vanishing is none.
 */

/** A text that changes with the file, undefined when it is not there. */
export type LookAtFile = (path: string) => string | undefined;

export class TouchWatch {
  readonly #look: LookAtFile;
  readonly #seen = new Map<string, string | undefined>();

  /** The files as they are now are the start. */
  constructor(paths: readonly string[], look: LookAtFile) {
    this.#look = look;
    for (const path of paths) this.#seen.set(path, look(path));
  }

  /** Files that were written, touched, replaced or created since the last call. */
  changed(): string[] {
    const changed: string[] = [];
    for (const [path, before] of this.#seen) {
      const now = this.#look(path);
      if (now !== undefined && now !== before) changed.push(path);
      // A file that is replaced is gone for a moment; what it was before still counts.
      if (now !== undefined) this.#seen.set(path, now);
    }
    return changed;
  }
}
