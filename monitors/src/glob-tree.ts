/**
 * Walks the directories that a shell pattern leads through, and remembers their lists of
 * subdirectories so that an unchanged tree costs one stat per directory. Finds directories only;
 * the files are the finder's.
 */
import { errnoName } from "./errno.ts";
import type { FileEyes } from "./eyes.ts";
import type { PatternPart } from "./glob-pattern.ts";

/** A directory in which the last part of the pattern is looked for, or a path under which it was lost. */
export interface Place {
  /** Absolute, without trailing slash (but `/`). */
  readonly path: string;
  /** As the pattern spells it, with trailing slash, or empty: what comes before a matched name. */
  readonly spelling: string;
}

export interface Walk {
  /** Directories that the last part is looked for in; not each need exist. */
  readonly places: readonly Place[];
  /** Directories whose list matters: a new entry may lead to a new place. With the part that chooses. */
  readonly branches: readonly { readonly path: string; readonly part: PatternPart }[];
  /** Could not be listed, for another reason than not being there: nothing below is known. */
  readonly blind: readonly { readonly place: Place; readonly code: string }[];
}

interface Listing {
  readonly dev: number;
  readonly ino: number;
  readonly mtimeMs: number;
  /** The list was read so long after the last change that a further change has another mtime. */
  readonly isFinal: boolean;
  readonly names: readonly string[];
}

/** Coarsest tick of a file system's clock that counts here, ms. */
const TICK_MS = 20;

export class GlobTree {
  readonly #eyes: FileEyes;
  #listings = new Map<string, Listing>();

  constructor(eyes: FileEyes) {
    this.#eyes = eyes;
  }

  /** Follows all parts but the last, from `root` on. `wallMs`: now. */
  walk(root: Place, parts: readonly PatternPart[], wallMs: number): Walk {
    const branches: { path: string; part: PatternPart }[] = [];
    const blind: { place: Place; code: string }[] = [];
    const used = new Map<string, Listing>();
    let places: Place[] = [root];
    for (const part of parts.slice(0, -1)) {
      const next: Place[] = [];
      for (const place of places) {
        if (part.kind === "literal") {
          next.push(below(place, part.text));
          continue;
        }
        branches.push({ path: place.path, part });
        try {
          for (const name of this.#list(place.path, wallMs, used)) {
            if (part.matches(name)) next.push(below(place, name));
          }
        } catch (error) {
          const code = errnoName(error);
          if (code !== "ENOENT" && code !== "ENOTDIR") blind.push({ place, code });
        }
      }
      places = next;
    }
    this.#listings = used;
    return { places, branches, blind };
  }

  #list(path: string, wallMs: number, used: Map<string, Listing>): readonly string[] {
    const identity = this.#eyes.identify(path);
    if (identity === undefined || !identity.isDirectory) return [];
    const { dev, ino, mtimeMs } = identity;
    let listing = this.#listings.get(path);
    const isCurrent =
      listing?.isFinal === true &&
      listing.dev === dev &&
      listing.ino === ino &&
      listing.mtimeMs === mtimeMs;
    if (listing === undefined || !isCurrent) {
      const names = [...this.#eyes.subdirectories(path)].sort();
      listing = { dev, ino, mtimeMs, isFinal: mtimeMs < wallMs - TICK_MS, names };
    }
    used.set(path, listing);
    return listing.names;
  }
}

export function below(place: Place, name: string): Place {
  return {
    path: place.path === "/" ? `/${name}` : `${place.path}/${name}`,
    spelling: `${place.spelling}${name}/`,
  };
}
