/**
 * What is remembered of one config file, and which of it makes a version. Pure data and comparison:
 * knows neither where the facts came from nor what is done with them.
 */

/**
 * The part of a scanned entry that counts. One flat record per file; entries of the native scan fit
 * as they are, so nothing is copied on the way.
 */
export interface FileFacts {
  /** The vassal's name: base name for `dir`, matched path for `glob`. */
  readonly name: string;
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
  readonly uid: number;
  readonly gid: number;
  /** Names of the inode; one elsewhere can change it without a hint here. */
  readonly nlink: number;
  /** The entry is a symbolic link; the numbers are its target's, or its own with `emperor-nofollow`. */
  readonly isLink: boolean;
  /** Owner of the link itself, for links. */
  readonly linkUid?: number;
  readonly linkGid?: number;
  /** Permission bits, where they are known. */
  readonly mode?: number;
  /** Only in Tyrant mode, see `guardOf`. */
  readonly guard?: number;
}

/** Rooms of `guardOf`: permission bits, then one bit for further names, then the directory. */
const FURTHER_NAMES = 0o10000;
const DIRECTORY_STEP = 0o20000;

/**
 * What decides, beside the owner, whether a config is trusted: who else may write it, whether it has
 * further names, and the state of its directory (any number that differs when that does).
 */
export function guardOf(facts: FileFacts, directoryState: number): number {
  const mode = facts.isLink ? 0 : (facts.mode ?? 0) & 0o022;
  return mode + (facts.nlink > 1 ? FURTHER_NAMES : 0) + directoryState * DIRECTORY_STEP;
}

/** Same version but for the modification time: what `touch` leaves behind. */
export function sameButTime(a: FileFacts, b: FileFacts): boolean {
  return (
    a.size === b.size &&
    a.ino === b.ino &&
    a.dev === b.dev &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.guard === b.guard
  );
}

/**
 * Whether both are one version: mtime in ns, size, inode, device and owner. uWSGI compares whole
 * seconds of mtime with "greater than"; here any difference counts, an older mtime too. ctime is
 * left out: chmod, a new hard link or a rename elsewhere are no change of the config (in Tyrant mode
 * `guard` sees those that matter).
 */
export function sameVersion(a: FileFacts, b: FileFacts): boolean {
  return a.mtimeNsec === b.mtimeNsec && a.mtimeSec === b.mtimeSec && sameButTime(a, b);
}

/** Same version and same ctime: nothing at all happened to the file in between. */
export function sameState(a: FileFacts, b: FileFacts): boolean {
  return a.ctimeNsec === b.ctimeNsec && a.ctimeSec === b.ctimeSec && sameVersion(a, b);
}

/** `VassalSpec.version` of a file. */
export function versionOf(facts: FileFacts): string {
  const { mtimeSec, mtimeNsec, size, dev, ino, uid, gid, guard } = facts;
  // Joined, not a template: V8 would keep that as a tree of its parts, three times as large.
  const parts = [mtimeSec, String(mtimeNsec).padStart(9, "0"), size, dev, ino, uid, gid];
  if (guard !== undefined) parts.push(guard);
  return parts.join(":");
}

/** `VassalSpec.fileId` of a file. */
export function fileIdOf(facts: FileFacts): string {
  return `${facts.dev}:${facts.ino}`;
}
