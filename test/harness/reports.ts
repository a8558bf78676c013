/**
 * Follows the file into which fixture vassals write their reports, and the Emperor's log beside it.
 * fs.watch says when to read on, so a test that waits for a report wakes at once.
 */
import { closeSync, fstatSync, openSync, readSync, watch, writeFileSync, chmodSync } from "node:fs";
import type { FSWatcher } from "node:fs";
import { dirname } from "node:path";

/** One line that a fixture vassal wrote; the fields depend on the event. */
export interface Report {
  readonly event: string;
  readonly name: string;
  readonly pid: number;
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly atNs: number;
  readonly byte?: number;
  readonly text?: string;
  readonly error?: string;
  readonly type?: number;
  readonly argv?: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly fds?: Readonly<Record<string, string>>;
  readonly behaviour?: string;
  readonly note?: string;
  readonly errno?: number;
  readonly ppid?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly session?: number;
  readonly group?: number;
}

/** Reads what was appended to a file since the last call. */
export class Tail {
  readonly #fd: number;
  #offset = 0;

  constructor(path: string) {
    this.#fd = openSync(path, "r");
  }

  read(): Buffer {
    const size = fstatSync(this.#fd).size - this.#offset;
    if (size <= 0) return Buffer.alloc(0);
    const chunk = Buffer.alloc(size);
    const got = readSync(this.#fd, chunk, 0, size, this.#offset);
    this.#offset += got;
    return chunk.subarray(0, got);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The reports of one test run. */
export class Reports {
  readonly path: string;
  readonly #tail: Tail;
  readonly #all: Report[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #watcher: FSWatcher;
  #rest = Buffer.alloc(0);

  /** `path` is created, writable by every user; its folder is watched, so a log in it wakes, too. */
  constructor(path: string) {
    this.path = path;
    writeFileSync(path, "");
    chmodSync(path, 0o666);
    this.#tail = new Tail(path);
    this.#watcher = watch(dirname(path), () => {
      for (const listener of this.#listeners) listener();
    });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  all(): readonly Report[] {
    const data = Buffer.concat([this.#rest, this.#tail.read()]);
    const end = data.lastIndexOf(10) + 1;
    this.#rest = data.subarray(end);
    for (const line of data.subarray(0, end).toString("utf8").split("\n")) {
      if (line !== "") this.#all.push(JSON.parse(line) as Report);
    }
    return this.#all;
  }

  of(event: string, name?: string): Report[] {
    return this.all().filter(
      (report) => report.event === event && (name === undefined || report.name === name),
    );
  }

  close(): void {
    this.#watcher.close();
    this.#tail.close();
    this.#listeners.clear();
  }
}
