/**
 * What a file monitor needs of its kind of source (`directory.ts`, `glob.ts`): where to look, and what
 * a hint means there. A finder looks and remembers only what saves the next look work; it decides
 * nothing about vassals and reports to nobody.
 */
import type { FileFacts } from "./file-facts.ts";
import type { FileMap } from "./reconcile.ts";

export type SkippedKind =
  | "directory"
  | "fifo"
  | "socket"
  | "device"
  | "dangling"
  | "unreadable"
  | "invalid-utf8";

/** An entry with a config's name that cannot be a config. */
export interface Oddity {
  readonly name: string;
  readonly what: SkippedKind;
}

/** One name looked at. `unreadable` entries may still be there: nothing is concluded from them. */
export type Sight =
  | { readonly kind: "file"; readonly facts: FileFacts }
  | { readonly kind: "missing" }
  | { readonly kind: "skipped"; readonly what: SkippedKind };

/** The whole source looked at. */
export type Survey =
  /** As at the last `seen` survey; nothing was built. */
  | { readonly kind: "unchanged" }
  | { readonly kind: "unavailable"; readonly reason: string }
  | {
      readonly kind: "seen";
      /** Built for this survey: the receiver may change it. */
      readonly files: Map<string, FileFacts>;
      readonly oddities: readonly Oddity[];
      /** Names whose state could not be found out: they stay as they were. */
      readonly unjudged: ReadonlySet<string>;
    };

export interface WatchTarget {
  readonly directory: string;
  /** Differs when another directory has taken the place: the watch must be made anew. */
  readonly identity: string;
}

/** What a hint calls for: a look at one name, at everything, or nothing. */
export type Route = { readonly look: string } | "survey" | "ignore";

export interface FileFinder {
  readonly id: string;
  readonly address: string;
  /** Working directory of the vassals. */
  readonly cwd: string;
  /**
   * Looks at everything. `held`: names in force, so that an emptied mount point can be told from an
   * emptied directory. Never throws.
   */
  survey(held: FileMap): Survey;
  /** The next survey builds everything anew, because single looks saw what the last one did not. */
  forgetSurvey(): void;
  /** Looks at single names, in order. Never throws. */
  look(names: readonly string[]): readonly Sight[];
  /** Whether the source is where the last survey saw it: only then is a missing name a removal. */
  isInPlace(): boolean;
  /**
   * Whether hints alone, if all of them arrive, would have told of every change since the last
   * survey: a cheap look, so that not every slow scan need look at each file.
   */
  isCoveredByHints(): boolean;
  /** Directories whose hints matter, as of the last survey. */
  watchTargets(): readonly WatchTarget[];
  /** `name` is null when the kernel gave none. */
  route(directory: string, name: string | null): Route;
  /** Absolute path of a name. */
  pathOf(name: string): string;
}
