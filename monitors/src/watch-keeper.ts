/**
 * Keeps the watch of one file monitor on the right directories: opens the source of hints, moves it
 * when the source moves, tells once when watching fails and tries again later.
 */
import { explainErrno } from "./errno.ts";
import type { FileFinder } from "./finder.ts";
import type { MonitorOptions } from "./monitor.ts";
import { quoteName } from "./names.ts";
import type { HintKind } from "./settle.ts";
import type { Hints, OpenHints } from "./watch.ts";

export interface WatchKeeperListener {
  hint(directory: string, kind: HintKind, name: string | null): void;
  surveyWanted(): void;
  notice(severity: "info" | "warning", message: string): void;
}

/** Time between two attempts to watch what could not be watched, ms. */
const RETRY_MS = 60_000;

export class WatchKeeper {
  readonly #finder: FileFinder;
  readonly #openHints: OpenHints;
  readonly #options: MonitorOptions;
  readonly #listener: WatchKeeperListener;
  #hints: Hints | undefined;
  #opening: Promise<void> | undefined;
  /** Directories that should be watched, with their identity, and those that are. */
  #wanted = new Map<string, string>();
  readonly #watching = new Set<string>();
  #failedAtMs: number | undefined;
  #isClosed = false;

  constructor(
    finder: FileFinder,
    openHints: OpenHints,
    options: MonitorOptions,
    listener: WatchKeeperListener,
  ) {
    this.#finder = finder;
    this.#openHints = openHints;
    this.#options = options;
    this.#listener = listener;
  }

  /** Begins to watch. Returns at once; every directory that is watched asks for a survey. */
  open(): void {
    this.#opening = this.#open();
  }

  /** Watches what the last survey says. */
  update(): void {
    if (this.#hints === undefined) return;
    const targets = this.#finder.watchTargets();
    const wanted = new Map(targets.map(({ directory, identity }) => [directory, identity]));
    for (const directory of this.#watching) {
      if (wanted.get(directory) !== this.#wanted.get(directory)) this.#watching.delete(directory);
    }
    this.#wanted = wanted;
    this.#hints.watch(targets);
  }

  /** Whether hints of all directories arrive. */
  isWatchingAll(): boolean {
    return this.#wanted.size > 0 && this.#watching.size === this.#wanted.size;
  }

  /** Tries again what failed, now and then. */
  retry(): void {
    if (this.#failedAtMs === undefined) return;
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#failedAtMs < RETRY_MS) return;
    this.#failedAtMs = nowMs;
    this.update();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening;
    await this.#hints?.close();
  }

  async #open(): Promise<void> {
    try {
      const hints = await this.#openHints({
        hint: (directory, kind, name) => {
          if (!this.#isClosed) this.#listener.hint(directory, kind, name);
        },
        watching: (directory) => {
          if (this.#isClosed || !this.#wanted.has(directory)) return;
          this.#watching.add(directory);
          this.#failedAtMs = undefined;
          this.#listener.surveyWanted();
        },
        failed: (directory, code) => {
          this.#watching.delete(directory);
          // It vanished between the survey and the watch: the next survey says so, if it stays away.
          if (code === "ENOENT") this.#failedAtMs ??= this.#options.clock.now();
          else this.#fail(`the directory ${quoteName(directory)}`, explain(code));
        },
      });
      this.#hints = hints;
    } catch (error) {
      this.#fail("anything", String(error));
      return;
    }
    if (!this.#isClosed) this.update();
  }

  #fail(what: string, why: string): void {
    if (this.#isClosed) return;
    const isFirst = this.#failedAtMs === undefined;
    this.#failedAtMs = this.#options.clock.now();
    if (!isFirst) return;
    const { frequencySeconds } = this.#options;
    this.#listener.notice(
      "warning",
      `cannot watch ${what}: ${why}; changes are found by the scan every ${frequencySeconds} s only`,
    );
  }
}

function explain(code: string): string {
  if (code === "ENOSPC") return "no inotify watches left (ENOSPC), see fs.inotify.max_user_watches";
  if (code === "EMFILE") {
    return "no inotify instances or file descriptors left (EMFILE), see fs.inotify.max_user_instances";
  }
  return explainErrno(code);
}
