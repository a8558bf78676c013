/**
 * The gate: how many vassals may be starting at the same time, and who is next. Pure of time and
 * machine: it decides when asked, `now` is an argument. It keeps a heap because boot and bursts put
 * thousands of vassals into the queue at once. It must not know what a vassal is: keys are opaque.
 */
import { newSpacing, spaceStart, type Spacing } from "./throttle.ts";
import type { Instant } from "./vassal.ts";

export interface GateOptions {
  /** So many may hold a slot at once; at least 1. */
  readonly maxStarting: number;
  /** `emperor-throttle`, only when it was given explicitly: starts are spaced. 0 or undefined: they are not. */
  readonly spacingMs?: number;
}

interface Waiting<Key> {
  readonly key: Key;
  readonly nuisance: number;
  /** Order of arrival among equals. */
  readonly arrival: number;
  /** Asked for during the first scan, which uWSGI does not space either. */
  readonly spaced: boolean;
  cancelled: boolean;
}

export class Gate<Key> {
  readonly #maxStarting: number;
  readonly #spacingMs: number;
  readonly #holders = new Set<Key>();
  readonly #queued = new Map<Key, Waiting<Key>>();
  /** Cancelled entries stay until they reach the top or make up half of the heap. */
  #heap: Waiting<Key>[] = [];
  #arrivals = 0;
  #firstScan = true;
  #spacing: Spacing;
  /** Decision already taken for the head of the queue: it starts then. */
  #spacedUntil: Instant | undefined;
  #nextAt: Instant | undefined;

  constructor(options: GateOptions) {
    this.#maxStarting = Math.max(1, Math.floor(options.maxStarting));
    this.#spacingMs = Math.max(0, options.spacingMs ?? 0);
    this.#spacing = newSpacing(this.#spacingMs);
  }

  /** Number of slots taken. */
  get starting(): number {
    return this.#holders.size;
  }

  /** Number of those who wait. */
  get waiting(): number {
    return this.#queued.size;
  }

  /** When `grant` is worth another call although nothing was released; known after a call of `grant`. */
  get nextAt(): Instant | undefined {
    return this.#nextAt;
  }

  /** The pause before the latest spaced start, ms: `throttle_level` of the stats. 0 without spacing. */
  get throttleLevelMs(): number {
    return this.#spacing.second === -1 ? 0 : this.#spacing.levelMs;
  }

  /** Every monitor has looked once: what is asked for from now on is spaced, if spacing is on at all. */
  firstScanDone(): void {
    this.#firstScan = false;
  }

  /**
   * `key` wants a slot. Lower `nuisance` goes first, then whoever came first. Asking again replaces
   * the request. Who holds a slot and asks has not heard of its grant yet: that grant is the answer.
   */
  request(key: Key, nuisance: number): void {
    if (this.#holders.has(key)) return;
    this.cancel(key);
    const entry: Waiting<Key> = {
      key,
      nuisance,
      arrival: this.#arrivals++,
      spaced: this.#spacingMs > 0 && !this.#firstScan,
      cancelled: false,
    };
    this.#queued.set(key, entry);
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
  }

  /** Leaves the queue; nothing happens if it is not in it. */
  cancel(key: Key): void {
    const entry = this.#queued.get(key);
    if (entry === undefined) return;
    entry.cancelled = true;
    this.#queued.delete(key);
    if (this.#heap.length > 2 * this.#queued.size + 16) this.#compact();
  }

  /** Gives the slot back; nothing happens if it holds none. */
  release(key: Key): void {
    this.#holders.delete(key);
  }

  /** Everybody who may start now, in order. Each holds a slot until `release`. */
  grant(now: Instant): Key[] {
    const granted: Key[] = [];
    this.#nextAt = undefined;
    while (this.#holders.size < this.#maxStarting) {
      const head = this.#head();
      if (head === undefined) {
        this.#spacedUntil = undefined;
        break;
      }
      if (head.spaced && !this.#pauseIsOver(now)) {
        this.#nextAt = this.#spacedUntil;
        break;
      }
      if (head.spaced) this.#spacedUntil = undefined;
      this.#pop();
      this.#queued.delete(head.key);
      this.#holders.add(head.key);
      granted.push(head.key);
    }
    return granted;
  }

  /** Takes the decision for the head if none was taken; it belongs to the queue, not to one key. */
  #pauseIsOver(now: Instant): boolean {
    if (this.#spacedUntil === undefined) {
      this.#spacing = spaceStart(this.#spacing, now, this.#spacingMs);
      this.#spacedUntil = now + this.#spacing.levelMs;
    }
    return now >= this.#spacedUntil;
  }

  #head(): Waiting<Key> | undefined {
    while (this.#heap[0]?.cancelled === true) this.#pop();
    return this.#heap[0];
  }

  #compact(): void {
    this.#heap = this.#heap.filter((entry) => !entry.cancelled);
    for (let index = (this.#heap.length >> 1) - 1; index >= 0; index--) this.#down(index);
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #entry(index: number): Waiting<Key> {
    const entry = this.#heap[index];
    if (entry === undefined) throw new RangeError(`the gate's heap has no entry ${index}`);
    return entry;
  }

  #swap(i: number, j: number): void {
    const first = this.#entry(i);
    this.#heap[i] = this.#entry(j);
    this.#heap[j] = first;
  }

  #up(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!goesFirst(this.#entry(index), this.#entry(parent))) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #down(start: number): void {
    const length = this.#heap.length;
    let index = start;
    for (;;) {
      let first = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < length && goesFirst(this.#entry(child), this.#entry(first))) first = child;
      }
      if (first === index) return;
      this.#swap(index, first);
      index = first;
    }
  }
}

function goesFirst<Key>(a: Waiting<Key>, b: Waiting<Key>): boolean {
  return a.nuisance === b.nuisance ? a.arrival < b.arrival : a.nuisance < b.nuisance;
}
