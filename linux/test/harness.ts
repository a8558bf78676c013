/**
 * What the addon's tests share: starting a child with sensible options, waiting for its end, and
 * fresh directories. Every wait has a deadline and says what was seen.
 */
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, createWatcher, reap, signalProcess, spawn } from "../src/index.ts";
import type { ExitStatus, SpawnOptions, SpawnResult, WatchEvent, Watcher } from "../src/index.ts";

export const DEADLINE_MS = 10_000;

export const PLAIN: SpawnOptions = {
  programs: [{ path: "/bin/true", argv0: "true" }],
  args: [],
  env: ["PATH=/usr/bin:/bin"],
  fds: [
    { from: -1, to: 0 },
    { from: 2, to: 1 },
    { from: 2, to: 2 },
  ],
  session: true,
  mode: "shared",
};

export type Spawned = Extract<SpawnResult, { ok: true }>;

/** Starts it, or fails the test with the step and errno. */
export function start(options: SpawnOptions): Spawned {
  const result = spawn(options);
  if (!result.ok) throw new Error(`spawn failed: ${JSON.stringify(result)}`);
  return result;
}

/** Options of a shell line. */
export function shell(line: string, extra: Partial<SpawnOptions> = {}): SpawnOptions {
  return { ...PLAIN, programs: [{ path: "/bin/sh", argv0: "sh" }], args: ["-c", line], ...extra };
}

/** Rejects with `seen()` when nothing came in time. */
export async function deadline<T>(
  promise: Promise<T>,
  what: string,
  seen: () => unknown = () => "",
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new Error(`${what}: nothing within ${DEADLINE_MS} ms; seen: ${JSON.stringify(seen())}`),
        ),
      DEADLINE_MS,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for the child's end, reaps it and closes its pidfd. */
export async function ended(child: { readonly pidfd: number }): Promise<ExitStatus> {
  let watcher: Watcher | undefined;
  try {
    await deadline(
      new Promise<void>((resolve) => {
        watcher = createWatcher(() => resolve());
        watcher.addProcess(child.pidfd, 0);
      }),
      "end of a child",
    );
    const status = reap(child.pidfd);
    if (status === undefined)
      throw new Error("the watcher reported an end, and there is nothing to reap");
    return status;
  } finally {
    watcher?.close();
    close(child.pidfd);
  }
}

/** Kills, waits and reaps. */
export async function killed(child: { readonly pidfd: number }): Promise<ExitStatus> {
  signalProcess(child.pidfd, 9);
  return ended(child);
}

/** What a child wrote to its standard output, and how it ended. */
export async function outputOf(
  options: SpawnOptions,
): Promise<{ text: string; status: ExitStatus }> {
  const directory = freshDirectory();
  const path = join(directory, "out");
  const fd = openSync(path, "w");
  try {
    const fds = [...options.fds.filter(({ to }) => to !== 1), { from: fd, to: 1 }];
    const status = await ended(start({ ...options, fds }));
    return { text: readFileSync(path, "utf8"), status };
  } finally {
    closeSync(fd);
    removeDirectory(directory);
  }
}

/** A Node of its own that runs `script`, which finds the bare addon as `native`. */
export function addonProgram(script: string, extra: Partial<SpawnOptions> = {}): SpawnOptions {
  const addon = new URL("../build/emperor_linux.node", import.meta.url).pathname;
  const prelude = `const native = require(${JSON.stringify(addon)}); native.install((step, errno) => new Error(step + " " + errno));`;
  return {
    ...PLAIN,
    programs: [{ path: process.execPath, argv0: "node" }],
    args: ["-e", `${prelude}\n${script}`],
    ...extra,
  };
}

/** Looks again after each turn of the event loop until it is so. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  let stopped = false;
  const looking = (async () => {
    while (!stopped && !condition()) await new Promise((resolve) => setImmediate(resolve));
  })();
  try {
    await deadline(looking, what);
  } finally {
    stopped = true;
  }
}

/** Gone, or a corpse that waits for its parent. */
export function isGone(pid: number): boolean {
  try {
    return / [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}

/** Collects events; `until` resolves when the predicate holds for all seen so far. */
export function recorder(): {
  watcher: Watcher;
  events: WatchEvent[];
  until: (done: (events: WatchEvent[]) => boolean) => Promise<void>;
} {
  const events: WatchEvent[] = [];
  let check: () => void = () => {};
  const watcher = createWatcher((batch) => {
    events.push(...batch);
    check();
  });
  const until = (done: (seen: WatchEvent[]) => boolean): Promise<void> =>
    deadline(
      new Promise((resolve) => {
        check = () => {
          if (done(events)) resolve();
        };
        check();
      }),
      "events",
      () => events,
    );
  return { watcher, events, until };
}

export function freshDirectory(): string {
  return mkdtempSync(join(tmpdir(), "linux-test-"));
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/** What each open descriptor of this process is, for comparing before and after. */
export function openDescriptors(): string[] {
  const found: string[] = [];
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      found.push(`${name} ${readlinkSync(`/proc/self/fd/${name}`)}`);
    } catch {
      // The descriptor of the listing itself is closed by now.
    }
  }
  return found;
}

/** Children of this process that nobody reaped. */
export function zombies(): string[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8")
    .trim()
    .split(" ")
    .filter(Boolean);
  return children.filter((pid) => / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8")));
}
