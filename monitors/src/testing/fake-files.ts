/** A file system in memory that gives and remembers what monitors look at. */
import type { ScanEntry, ScanOptions, ScanResult } from "@emperor/linux";
import type { FileEyes, Identity } from "../eyes.ts";
import type { SkippedKind } from "../finder.ts";
import type { FakeClock } from "./fake-clock.ts";

export interface FakeFile {
  kind: "file" | SkippedKind;
  content: string;
  ino: number;
  uid: number;
  gid: number;
  linkUid?: number;
  isLink: boolean;
  nlink: number;
  /** Wall clock ms, with a fraction. */
  mtimeMs: number;
  ctimeMs: number;
}

interface FakeDirectory {
  dev: number;
  ino: number;
  mtimeMs: number;
  failure: string | undefined;
  readonly files: Map<string, FakeFile>;
}

export class FakeFiles implements FileEyes {
  /** Device of directories whose changes the kernel does not see. */
  static readonly networkDev = 99;
  readonly #clock: FakeClock;
  readonly #directories = new Map<string, FakeDirectory>();
  #nextIno = 100;
  /** Calls since the test began. */
  scans = 0;
  builtScans = 0;
  looks = 0;
  digests = 0;

  constructor(clock: FakeClock) {
    this.#clock = clock;
    this.mkdir("/");
  }

  mkdir(path: string, dev = 1): void {
    const ino = (this.#nextIno += 1);
    this.#directories.set(path, {
      dev,
      ino,
      mtimeMs: this.#clock.wallNow(),
      failure: undefined,
      files: new Map(),
    });
    const parent = this.#directories.get(parentOf(path));
    if (parent !== undefined && path !== "/") parent.mtimeMs = this.#clock.wallNow();
  }

  rmdir(path: string): void {
    this.#directories.delete(path);
  }

  mvdir(from: string, to: string): void {
    const directory = this.#directories.get(from);
    if (directory === undefined) throw new Error(`no ${from}`);
    this.#directories.delete(from);
    this.#directories.set(to, directory);
  }

  /** Makes every look at the directory fail, or work again. */
  fail(path: string, code: string | undefined): void {
    this.#directory(path).failure = code;
  }

  /** Written in place, now: created if need be, both times set. */
  write(path: string, content: string): void {
    const now = this.#clock.wallNow();
    const old = this.#files(path).get(baseOf(path));
    if (old === undefined) this.put(path, { content, mtimeMs: now, ctimeMs: now });
    else Object.assign(old, { content, mtimeMs: now, ctimeMs: now });
  }

  /** Replaces the entry by a new inode with these properties; times default to an hour ago. */
  put(path: string, file: Partial<FakeFile> = {}): void {
    const old = this.#clock.wallNow() - 3_600_000;
    const ino = (this.#nextIno += 1);
    this.#directory(parentOf(path)).mtimeMs = this.#clock.wallNow();
    this.#files(path).set(baseOf(path), {
      kind: "file",
      content: "x",
      ino,
      uid: 0,
      gid: 0,
      isLink: false,
      nlink: 1,
      mtimeMs: old,
      ctimeMs: old,
      ...file,
    });
  }

  /** rename(2) of a file that was written at this instant. */
  renameInto(path: string, content: string, writtenMsAgo = 0): void {
    const now = this.#clock.wallNow();
    this.put(path, { content, mtimeMs: now - writtenMsAgo, ctimeMs: now });
  }

  touch(path: string, mtimeMs = this.#clock.wallNow()): void {
    Object.assign(this.get(path), { mtimeMs, ctimeMs: this.#clock.wallNow() });
  }

  chmod(path: string): void {
    this.get(path).ctimeMs = this.#clock.wallNow();
  }

  rm(path: string): void {
    this.#directory(parentOf(path)).mtimeMs = this.#clock.wallNow();
    this.#files(path).delete(baseOf(path));
  }

  get(path: string): FakeFile {
    const file = this.#files(path).get(baseOf(path));
    if (file === undefined) throw new Error(`no ${path}`);
    return file;
  }

  scan({ directory, suffixes, previousDigest }: ScanOptions): ScanResult {
    this.scans += 1;
    const { files } = this.#look(directory);
    const digest = JSON.stringify([...files]);
    if (digest === previousDigest) return { changed: false, digest };
    this.builtScans += 1;
    const entries: ScanEntry[] = [];
    const skipped: { name: string; kind: Exclude<SkippedKind, "invalid-utf8"> }[] = [];
    const invalidNames: string[] = [];
    for (const [name, file] of files) {
      if (!suffixes.some((suffix) => name.endsWith(suffix))) continue;
      if (file.kind === "file") entries.push(entryOf(name, file));
      else if (file.kind === "invalid-utf8") invalidNames.push(name);
      else skipped.push({ name, kind: file.kind });
    }
    return { changed: true, digest, entries, skipped, invalidNames };
  }

  stat(paths: readonly string[], _nofollow: boolean, previousDigest?: string): ScanResult {
    this.looks += 1;
    const entries: ScanEntry[] = [];
    const skipped: { name: string; kind: Exclude<SkippedKind, "invalid-utf8"> }[] = [];
    for (const path of paths) {
      const parent = this.#directories.get(parentOf(path));
      const file = parent?.files.get(baseOf(path));
      if (parent?.failure !== undefined) skipped.push({ name: path, kind: "unreadable" });
      else if (file?.kind === "file") entries.push(entryOf(path, file));
      else if (file !== undefined && file.kind !== "invalid-utf8")
        skipped.push({ name: path, kind: file.kind });
    }
    const digest = JSON.stringify([entries, skipped]);
    if (digest === previousDigest) return { changed: false, digest };
    return { changed: true, digest, entries, skipped, invalidNames: [] };
  }

  digest(path: string): string | undefined {
    this.digests += 1;
    return this.#directories.get(parentOf(path))?.files.get(baseOf(path))?.content;
  }

  identify(path: string): Identity | undefined {
    const directory = this.#directories.get(path);
    if (directory !== undefined) {
      if (directory.failure === "EACCES-stat") throw systemError("EACCES");
      return {
        dev: directory.dev,
        ino: directory.ino,
        isDirectory: true,
        mtimeMs: directory.mtimeMs,
      };
    }
    const file = this.#directories.get(parentOf(path))?.files.get(baseOf(path));
    return file === undefined
      ? undefined
      : { dev: 1, ino: file.ino, isDirectory: false, mtimeMs: file.mtimeMs };
  }

  isLocal(path: string): boolean {
    return this.#directories.get(path)?.dev !== FakeFiles.networkDev;
  }

  subdirectories(path: string): readonly string[] {
    this.#look(path);
    return [...this.#directories.keys()]
      .filter((other) => other !== path && parentOf(other) === path)
      .map(baseOf);
  }

  #look(path: string): FakeDirectory {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw systemError("ENOENT");
    if (directory.failure !== undefined) throw systemError(directory.failure);
    return directory;
  }

  #directory(path: string): FakeDirectory {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw new Error(`no directory ${path}`);
    return directory;
  }

  #files(path: string): Map<string, FakeFile> {
    return this.#directory(parentOf(path)).files;
  }
}

function entryOf(name: string, file: FakeFile): ScanEntry {
  const [mtimeSec, mtimeNsec] = split(file.mtimeMs);
  const [ctimeSec, ctimeNsec] = split(file.ctimeMs);
  const { ino, uid, gid, isLink, content } = file;
  const size = content.length;
  const link = isLink ? { linkUid: file.linkUid ?? uid, linkGid: gid } : {};
  return {
    ...link,
    name,
    dev: 1,
    ino,
    size,
    mtimeSec,
    mtimeNsec,
    ctimeSec,
    ctimeNsec,
    uid,
    gid,
    mode: 0o100644,
    nlink: file.nlink,
    isLink,
  };
}

function split(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
