/**
 * What monitors ask of the file system, so that tests can give another one. Types only: the real one
 * is in `system-eyes.ts`.
 */
import type { ScanOptions, ScanResult } from "@emperor/linux";

export interface Identity {
  readonly dev: number;
  readonly ino: number;
  readonly isDirectory: boolean;
  /** Of the directory itself: moves when an entry comes, goes or is renamed. */
  readonly mtimeMs: number;
  /** Owner and permission bits, where they are known. */
  readonly uid?: number;
  readonly mode?: number;
}

export interface FileEyes {
  /** All config files of a directory. Throws an error with the errno's name in `code`. */
  scan(options: ScanOptions): ScanResult;
  /** A list of absolute paths; names in the result are the paths, those that are missing are left out. */
  stat(paths: readonly string[], nofollow: boolean, previousDigest?: string): ScanResult;
  /** Digest of a regular file's bytes; undefined if it is none or cannot be read. Never blocks. */
  digest(path: string): string | undefined;
  /** What is at a path, links followed; undefined if nothing is. Throws like `scan`. */
  identify(path: string): Identity | undefined;
  /** Whether the kernel sees every change below a path: no network or user-space file system. */
  isLocal(path: string): boolean;
  /** Names of the subdirectories of a directory, links to directories included. Throws like `scan`. */
  subdirectories(path: string): readonly string[];
}
