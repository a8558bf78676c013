/**
 * Where finished lines go: one descriptor, in order, in bounded memory, without holding up the loop.
 * It knows bytes and descriptors, nothing of levels or formats.
 *
 * Lines of one turn of the loop are collected and written together, cut at line ends so that no
 * write is longer than a pipe takes in one piece: vassals write to the same descriptor, and a line
 * must not be torn. A pipe or terminal is opened a second time with O_NONBLOCK (through /proc, so
 * that the vassals' copy stays blocking); a reader that stopped reading then costs buffered lines,
 * never the loop. A socket cannot be opened again, so it is written to by a helper thread.
 */
import { closeSync, constants, fstatSync, openSync, write as writeLater, writeSync } from "node:fs";

export interface LogSink {
  /** Takes one line with its newline. Never blocks, never throws. */
  write(text: string): void;
  /** Writes out what is buffered; waits for a slow reader at most `FLUSH_LIMIT_MS`. */
  flush(): void;
  /** Lines lost so far because the reader was too slow or gone, or the disk full. */
  readonly dropped: number;
  /** Flushes and closes what the sink itself opened. */
  close(): void;
}

export interface DescriptorSinkOptions {
  readonly fd: number;
  /** Most bytes buffered; further lines are dropped and counted. */
  readonly capacityBytes?: number;
  /** Makes the line that tells how many were dropped, with its newline. */
  readonly droppedLine?: (count: number) => string;
}

/** POSIX's PIPE_BUF on Linux: a write up to this size is never torn. */
const WRITE_BYTES = 4096;
const CAPACITY_BYTES = 1 << 20;
const RETRY_MS = 50;
const FLUSH_LIMIT_MS = 1000;

type Target =
  /** Regular file, or our own non-blocking opening of a pipe or terminal. */
  | { readonly kind: "direct"; readonly fd: number; readonly owned: boolean }
  /** Socket (the journal): only a thread may wait for it. */
  | { readonly kind: "threaded"; readonly fd: number }
  /** Nobody can read this any more. */
  | { readonly kind: "gone" };

function openTarget(fd: number): Target {
  let stat;
  try {
    // As big integers: Node's own resolution of symbolic links (20 to 22 at least) reads the plain
    // numbers of whatever was examined last, and once that is a pipe or a socket, it resolves none of
    // those it has seen before; drivers that are imported later are not found then.
    stat = fstatSync(fd, { bigint: true });
  } catch {
    return { kind: "gone" };
  }
  if (stat.isFile()) return { kind: "direct", fd, owned: false };
  if (stat.isSocket()) return { kind: "threaded", fd };
  try {
    const own = openSync(
      `/proc/self/fd/${fd}`,
      constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
    return { kind: "direct", fd: own, owned: true };
  } catch {
    // No /proc, or another user's terminal: the thread can wait for any descriptor.
    return { kind: "threaded", fd };
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** A sink for an open descriptor, which stays the caller's: it is not closed here. */
export function descriptorSink(options: DescriptorSinkOptions): LogSink {
  return new DescriptorSink(options);
}

class DescriptorSink implements LogSink {
  #target: Target;
  readonly #capacityBytes: number;
  readonly #droppedLine: ((count: number) => string) | undefined;
  /** Complete pieces of at most WRITE_BYTES (or one longer line), oldest first. */
  #pieces: Buffer[] = [];
  /** Text of this turn that is no piece yet. */
  #gathering = "";
  #gatheringBytes = 0;
  #bufferedBytes = 0;
  #dropped = 0;
  #droppedUnsaid = 0;
  #scheduled: NodeJS.Immediate | undefined;
  #retry: NodeJS.Timeout | undefined;
  #writing = false;

  constructor(options: DescriptorSinkOptions) {
    this.#target = openTarget(options.fd);
    this.#capacityBytes = options.capacityBytes ?? CAPACITY_BYTES;
    this.#droppedLine = options.droppedLine;
  }

  get dropped(): number {
    return this.#dropped;
  }

  write(text: string): void {
    const bytes = Buffer.byteLength(text);
    if (this.#target.kind === "gone" || this.#bufferedBytes + bytes > this.#capacityBytes) {
      this.#dropped += 1;
      this.#droppedUnsaid += 1;
      return;
    }
    if (this.#gatheringBytes + bytes > WRITE_BYTES) this.#cut();
    this.#gathering += text;
    this.#gatheringBytes += bytes;
    this.#bufferedBytes += bytes;
    this.#schedule();
  }

  flush(): void {
    this.#sayDropped();
    this.#cut();
    const limitAt = performance.now() + FLUSH_LIMIT_MS;
    while (this.#pieces.length > 0 && performance.now() < limitAt) {
      if (this.#target.kind === "direct") this.#writeDirect(this.#target.fd);
      else if (this.#target.kind === "threaded") this.#writeBlocking(this.#target.fd);
      else return;
      if (this.#pieces.length > 0) pause(5);
    }
  }

  close(): void {
    this.flush();
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled);
    if (this.#retry !== undefined) clearTimeout(this.#retry);
    if (this.#target.kind === "direct" && this.#target.owned) closeSync(this.#target.fd);
    this.#target = { kind: "gone" };
  }

  #schedule(): void {
    if (this.#scheduled !== undefined || this.#retry !== undefined || this.#writing) return;
    this.#scheduled = setImmediate(() => {
      this.#scheduled = undefined;
      this.#drain();
    });
  }

  #drain(): void {
    this.#cut();
    if (this.#target.kind === "direct") {
      this.#writeDirect(this.#target.fd);
      if (this.#pieces.length > 0) this.#retryLater();
      else this.#sayDropped();
    } else if (this.#target.kind === "threaded") {
      this.#writeThreaded(this.#target.fd);
    }
  }

  #retryLater(): void {
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#drain();
    }, RETRY_MS);
  }

  /** Ends the piece that is being gathered. */
  #cut(): void {
    if (this.#gathering === "") return;
    this.#pieces.push(Buffer.from(this.#gathering));
    this.#gathering = "";
    this.#gatheringBytes = 0;
  }

  #sayDropped(): void {
    const count = this.#droppedUnsaid;
    if (count === 0 || this.#droppedLine === undefined || this.#target.kind === "gone") return;
    this.#droppedUnsaid = 0;
    this.write(this.#droppedLine(count));
  }

  /** Takes `written` bytes off the oldest piece. */
  #took(written: number): void {
    const piece = this.#pieces[0];
    if (piece === undefined) return;
    this.#bufferedBytes -= written;
    if (written >= piece.length) this.#pieces.shift();
    else this.#pieces[0] = piece.subarray(written);
  }

  /** Writes until all is out or the reader is full. */
  #writeDirect(fd: number): void {
    for (let piece = this.#pieces[0]; piece !== undefined; piece = this.#pieces[0]) {
      try {
        this.#took(writeSync(fd, piece));
      } catch (error) {
        if (errorCode(error) === "EAGAIN") return;
        if (errorCode(error) !== "EINTR" && !this.#failed(errorCode(error), piece)) return;
      }
    }
  }

  /** Last words on a descriptor that may block: the process is about to end. */
  #writeBlocking(fd: number): void {
    // A write of the thread may be under way; writing the same piece twice would be worse than late.
    if (this.#writing) return;
    this.#writeDirect(fd);
  }

  #writeThreaded(fd: number): void {
    const piece = this.#pieces[0];
    if (piece === undefined || this.#writing) return;
    this.#writing = true;
    writeLater(fd, piece, (error, written) => {
      this.#writing = false;
      if (error === null) this.#took(written);
      else if (error.code === "EAGAIN") return this.#retryLater();
      else if (error.code !== "EINTR" && !this.#failed(error.code ?? "", piece)) return;
      if (this.#pieces.length === 0) this.#sayDropped();
      this.#drain();
    });
  }

  /** A write failed for good. False: nothing will ever be written again. */
  #failed(code: string, piece: Buffer): boolean {
    this.#dropped += 1;
    this.#droppedUnsaid += 1;
    if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG" || code === "EIO") {
      // The disk may have room again later: this piece is lost, the next is tried.
      this.#took(piece.length);
      return true;
    }
    // EPIPE, EBADF, ECONNRESET...: the reader is gone. The Emperor goes on without a log.
    if (this.#target.kind === "direct" && this.#target.owned) closeSync(this.#target.fd);
    this.#target = { kind: "gone" };
    this.#pieces = [];
    this.#bufferedBytes = 0;
    return false;
  }
}

/** Sleeps without the loop; only used while the process ends. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
