/**
 * Keeps a line that would be said again and again from filling the log. Time is an argument; nothing
 * here writes.
 */

export interface RepeatOptions {
  /** So many lines of one key pass within an interval. */
  readonly burst: number;
  readonly intervalMs: number;
  /** Most keys remembered; the oldest is forgotten first. Keys may come from tenants. */
  readonly capacity: number;
}

interface Window {
  startedAt: number;
  passed: number;
  suppressed: number;
}

export type RepeatAnswer =
  | { readonly pass: false }
  /** `suppressed`: lines of this key that were left out since the last one that passed. */
  | { readonly pass: true; readonly suppressed: number };

const SILENT: RepeatAnswer = { pass: false };

/** Rate limit per key, in bounded memory. */
export class RepeatLimiter {
  readonly #options: RepeatOptions;
  readonly #windows = new Map<string, Window>();
  readonly #said = new Set<string>();

  constructor(options: RepeatOptions = { burst: 5, intervalMs: 60_000, capacity: 1024 }) {
    this.#options = options;
  }

  /** Asks whether the line `key` may be said at `now` (monotonic ms). */
  ask(key: string, now: number): RepeatAnswer {
    const window = this.#windows.get(key);
    if (window === undefined || now - window.startedAt >= this.#options.intervalMs) {
      // Deleting first moves the key to the young end of the map.
      this.#windows.delete(key);
      this.#windows.set(key, { startedAt: now, passed: 1, suppressed: 0 });
      evictOldest(this.#windows, this.#options.capacity);
      return { pass: true, suppressed: window?.suppressed ?? 0 };
    }
    if (window.passed >= this.#options.burst) {
      window.suppressed += 1;
      return SILENT;
    }
    window.passed += 1;
    return { pass: true, suppressed: 0 };
  }

  /** True the first time for a key, false ever after (until it was pushed out by many other keys). */
  first(key: string): boolean {
    if (this.#said.has(key)) return false;
    this.#said.add(key);
    evictOldest(this.#said, this.#options.capacity);
    return true;
  }
}

function evictOldest(keys: Map<string, unknown> | Set<string>, capacity: number): void {
  if (keys.size <= capacity) return;
  const oldest = keys.keys().next();
  if (oldest.done !== true) keys.delete(oldest.value);
}
