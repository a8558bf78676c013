/**
 * What the loader needs of the machine, so that a test can give another one. Knows no format.
 */

export type PathKind = "file" | "directory" | "other";

/** All calls are synchronous; those that can fail throw an error with an errno `code`. */
export interface ConfigHost {
  /**
   * Whole content, at most `maxBytes`: longer content throws `RangeError`. `path` is as written,
   * relative to the working directory. A FIFO is read to its end.
   */
  readFile(path: string, maxBytes: number): Uint8Array;
  /** Descriptor to its end; 0 is standard input. */
  readDescriptor(fd: number, maxBytes: number): Uint8Array;
  /** Follows links; undefined when it does not exist or cannot be looked at. */
  kindOf(path: string): PathKind | undefined;
  /** May the process read it? */
  isReadable(path: string): boolean;
  /** Names in a directory, without `.` and `..`; empty when it cannot be read. */
  list(directory: string): readonly string[];
  /** Absolute path: links resolved, unless the file itself is a link. */
  realPath(path: string): string;
  /** Inode of the path itself (not of a link's target), undefined when there is none. */
  inode(path: string): number | undefined;
}

/** Independent magic variables: `%v %h %V %t %T %k %u %U %g %G %b`. Rare ones are looked up when used. */
export interface MachineFacts {
  readonly cwd: string;
  readonly hostname: string;
  readonly version: string;
  /** Wall clock milliseconds (fraction: microseconds) of the start. */
  readonly startedAtMs: number;
  cores(): number;
  uid(): number;
  userName(): string;
  gid(): number;
  groupName(): string;
  binaryPath(): string;
}
