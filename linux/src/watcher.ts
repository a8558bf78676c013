/**
 * The watcher's JavaScript half: tokens, batches, and the records of status pipes. One object for
 * the whole process; it decides nothing about what it reports.
 */
import { LinuxError } from "./errors.ts";
import { native } from "./native.ts";
import { makeFailure } from "./spawn.ts";
import type { WatchHandle } from "./native.ts";
import type { SpawnFailure, WatchEvent, Watcher } from "./types.ts";

/** Same order as `enum watch_kind` in `native/watch.h`. */
const WATCH_KINDS = ["exit", "channel", "listen", "status", "readable"] as const;
type WatchKind = (typeof WATCH_KINDS)[number];

/** WATCH_BATCH x 5 and WATCH_BYTES of `native/watch.h`. */
const RECORD_NUMBERS = 5;
const BATCH_EVENTS = 128;
const BATCH_BYTES = 8192;

/** Size of `struct outcome`: five 32-bit numbers. */
const OUTCOME_BYTES = 20;
const OUTCOME = { progress: 1, exec: 2, failure: 3, tolerated: 4 } as const;

/** What a status pipe has said so far. */
class StatusReader {
  private pending: Uint8Array = new Uint8Array(0);
  private program: number | undefined;
  private failure: SpawnFailure | undefined;
  /** Where the child was last; index in SPAWN_STAGES, 1 = clone. */
  private stage = 1;
  private index = -1;
  private readonly tolerated: SpawnFailure[] = [];

  take(bytes: Uint8Array): void {
    const all = new Uint8Array(this.pending.length + bytes.length);
    all.set(this.pending);
    all.set(bytes, this.pending.length);
    let at = 0;
    for (; at + OUTCOME_BYTES <= all.length; at += OUTCOME_BYTES)
      this.record(new Int32Array(all.slice(at, at + OUTCOME_BYTES).buffer));
    this.pending = all.subarray(at);
  }

  private record([kind, stage = 0, errno = 0, index = -1, waitStatus = 0]: Int32Array): void {
    switch (kind) {
      case OUTCOME.progress:
        this.stage = stage;
        this.index = index;
        break;
      case OUTCOME.exec:
        this.program = index;
        break;
      case OUTCOME.failure:
        this.failure = makeFailure(stage, errno, index, waitStatus);
        break;
      case OUTCOME.tolerated:
        this.tolerated.push(makeFailure(stage, errno, index, waitStatus));
        break;
      default:
        throw new Error(
          `status pipe: record of unknown kind ${kind}: addon and TypeScript are not of the same build`,
        );
    }
  }

  /** The pipe has ended: the program was executed, a step failed, or the child was killed in between. */
  finish(token: number): WatchEvent {
    const tolerated = this.tolerated.length > 0 ? { tolerated: this.tolerated } : {};
    const failure =
      this.failure ??
      (this.program === undefined ? makeFailure(this.stage, 0, this.index, 0) : undefined);
    if (failure !== undefined) return { kind: "status", token, program: -1, failure, ...tolerated };
    return { kind: "status", token, program: this.program ?? -1, ...tolerated };
  }
}

class EpollWatcher implements Watcher {
  private readonly handle: WatchHandle;
  private readonly onEvents: (events: WatchEvent[]) => void;
  private readonly slots = new Map<number, number>();
  private readonly statusReaders = new Map<number, StatusReader>();
  private readonly records = new Float64Array(BATCH_EVENTS * RECORD_NUMBERS);
  private readonly bytes = new Uint8Array(BATCH_BYTES);
  /** The batch in the hands of `onEvents`. */
  private delivering: WatchEvent[] | undefined;
  private closed = false;

  constructor(onEvents: (events: WatchEvent[]) => void) {
    this.onEvents = onEvents;
    this.handle = native.watchCreate(() => this.takeBatch());
  }

  get size(): number {
    return this.slots.size;
  }

  addProcess(pidfd: number, token: number): void {
    this.add(pidfd, "exit", token);
  }

  addChannel(fd: number, token: number): void {
    this.add(fd, "channel", token);
  }

  addListener(fd: number, token: number): void {
    this.add(fd, "listen", token);
  }

  addStatus(fd: number, token: number): void {
    this.add(fd, "status", token);
  }

  addReadable(fd: number, token: number): void {
    this.add(fd, "readable", token);
  }

  rearm(token: number): void {
    const slot = this.slots.get(token);
    if (slot !== undefined) native.watchRearm(this.handle, slot);
  }

  remove(token: number): Uint8Array | undefined {
    const slot = this.slots.get(token);
    if (slot === undefined) return undefined;
    this.slots.delete(token);
    this.statusReaders.delete(token);
    // The batch in the hands of `onEvents` has copies of its own.
    const unread = native.watchRemove(this.handle, slot, this.bytes);
    const index = this.delivering?.findIndex((event) => event.token === token) ?? -1;
    // In place, so that whoever iterates over the batch neither skips nor repeats an event.
    if (index >= 0) this.delivering?.splice(index, 1, { kind: "readable", token: -1 });
    return unread === 0 ? undefined : this.bytes.slice(0, unread);
  }

  unref(): void {
    native.watchRef(this.handle, false);
  }

  ref(): void {
    native.watchRef(this.handle, true);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    native.watchClose(this.handle);
    this.slots.clear();
    this.statusReaders.clear();
    this.delivering?.fill({ kind: "readable", token: -1 });
  }

  private add(fd: number, kind: WatchKind, token: number): void {
    if (!Number.isSafeInteger(token) || token < 0 || this.slots.has(token)) {
      const problem = this.slots.has(token) ? "is in use already" : "is no whole number from 0";
      throw new LinuxError({
        step: "watch",
        errno: 22,
        message: `watch: token ${token} ${problem}`,
      });
    }
    this.slots.set(token, native.watchAdd(this.handle, fd, WATCH_KINDS.indexOf(kind), token));
  }

  private takeBatch(): void {
    // A wake-up may still be under way when the watcher is closed.
    if (this.closed) return;
    const count = native.watchTake(this.handle, this.records, this.bytes);
    const events: WatchEvent[] = [];
    for (let at = 0; at < count * RECORD_NUMBERS; at += RECORD_NUMBERS) {
      const [kind = 0, token = -1, eof = 0, offset = 0, length = 0] = this.records.subarray(
        at,
        at + RECORD_NUMBERS,
      );
      const event = this.makeEvent(
        WATCH_KINDS[kind] ?? "readable",
        token,
        eof === 1,
        this.bytes.subarray(offset, offset + length),
      );
      if (event !== undefined) events.push(event);
    }
    if (events.length === 0) return;
    this.delivering = events;
    try {
      this.onEvents(events);
    } finally {
      this.delivering = undefined;
    }
  }

  /** `undefined`: part of a status, the rest is to come. */
  private makeEvent(
    kind: WatchKind,
    token: number,
    eof: boolean,
    bytes: Uint8Array,
  ): WatchEvent | undefined {
    if (kind === "channel") return { kind, token, bytes: bytes.slice(), eof };
    if (kind !== "status") return { kind, token };
    let reader = this.statusReaders.get(token);
    if (reader === undefined) this.statusReaders.set(token, (reader = new StatusReader()));
    reader.take(bytes);
    if (!eof) return undefined;
    this.statusReaders.delete(token);
    return reader.finish(token);
  }
}

/**
 * Starts the watching thread. `onEvents` gets each batch on the main thread, in the order in which
 * the events were seen. What it throws is an uncaught exception. Throws LinuxError when there is no
 * descriptor or thread left.
 */
export function createWatcher(onEvents: (events: WatchEvent[]) => void): Watcher {
  return new EpollWatcher(onEvents);
}
