/**
 * Hints to look again: chokidar watches directories, and only its raw events are used. A hint is
 * never the truth; when watching fails, scans alone carry on. Knows no file and no vassal.
 */
import type { HintKind } from "./settle.ts";
import type { WatchTarget } from "./finder.ts";
import { errnoName } from "./errno.ts";

export interface HintListener {
  hint(directory: string, kind: HintKind, name: string | null): void;
  /** The directory is watched from now on: what happened before may have been missed. */
  watching(directory: string): void;
  /** The directory cannot be watched; `code` is the errno's name. */
  failed(directory: string, code: string): void;
}

export interface Hints {
  /** Watches exactly these directories; one whose identity differs is watched anew. */
  watch(targets: readonly WatchTarget[]): void;
  close(): Promise<void>;
}

/** Opens the source of hints. Rejects if it cannot be loaded. */
export type OpenHints = (listener: HintListener) => Promise<Hints>;

interface Watched {
  readonly identity: string;
  readonly close: () => Promise<void>;
}

/**
 * chokidar as the source of hints, loaded at the first use. Watched file by file it takes 64 MB for
 * 10,000 configs and lists the directory at every event; so it is told never to read a directory:
 * what remains is one inotify watch per directory and its raw events.
 */
export const openChokidarHints: OpenHints = async (listener) => {
  const { FSWatcher } = await import("chokidar");

  class DirectoryHints extends FSWatcher {
    /** "Throttled" for ever: chokidar then skips listing the directory and makes no timer for it. */
    override _throttle(
      action: Parameters<InstanceType<typeof FSWatcher>["_throttle"]>[0],
      path: string,
      timeout: number,
    ): ReturnType<InstanceType<typeof FSWatcher>["_throttle"]> {
      return action === "readdir" ? false : super._throttle(action, path, timeout);
    }
  }

  const watched = new Map<string, Watched>();
  const closing = new Set<Promise<void>>();
  const close = (directory: string, entry: Watched): void => {
    watched.delete(directory);
    const done = entry.close().finally(() => closing.delete(done));
    closing.add(done);
  };
  const open = (target: WatchTarget): Watched => {
    const { directory } = target;
    const watcher = new DirectoryHints({ ignoreInitial: true, depth: 0, followSymlinks: true });
    let isFailed = false;
    const fail = (code: string): void => {
      isFailed = true;
      // Forgotten, so that the next call of `watch` tries again.
      const entry = watched.get(directory);
      if (entry !== undefined) close(directory, entry);
      listener.failed(directory, code);
    };
    watcher.on("raw", (event, name) => {
      if (event === "rename" || event === "change") listener.hint(directory, event, toName(name));
    });
    watcher.on("error", (error) => fail(errnoName(error)));
    watcher.on("ready", () => {
      if (isFailed) return;
      // Also said of a directory that vanished meanwhile; then nothing was opened.
      if (watcher._closers.size === 0) fail("ENOENT");
      else listener.watching(directory);
    });
    watcher.add(directory);
    return { identity: target.identity, close: () => watcher.close() };
  };

  return {
    watch(targets) {
      const wanted = new Map(targets.map((target) => [target.directory, target]));
      for (const [directory, entry] of watched) {
        if (wanted.get(directory)?.identity !== entry.identity) close(directory, entry);
      }
      for (const target of wanted.values()) {
        if (!watched.has(target.directory)) watched.set(target.directory, open(target));
      }
    },
    async close() {
      for (const [directory, entry] of watched) close(directory, entry);
      await Promise.all(closing);
    },
  };
};

function toName(name: unknown): string | null {
  return typeof name === "string" && name !== "" ? name : null;
}
