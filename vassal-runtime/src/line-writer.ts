/**
 * Writes lines to a descriptor without ever waiting for it: all lines of one turn of the event loop, or
 * of some more time, in one write, whole lines only. A reader that does not keep up costs lines, which are counted, not time.
 */
import { constants, fstatSync, write, writeSync } from "node:fs";
import { close, openFile } from "@emperor/linux";

/** A pipe takes so many bytes as a whole or not at all, so lines of several writers never mix. */
const ATOMIC_BYTES = 4096;
const MOST_WAITING_BYTES = 1024 * 1024;
const AGAIN_MS = 20;

export class LineWriter {
  readonly #fd: () => number;
  readonly #isFile: boolean;
  readonly #whenWritten: () => void;
  #lines: string[] = [];
  #waitingLength = 0;
  #busy = false;
  #scheduled = false;
  readonly #delayMs: number;
  #lost = 0;
  #idle: (() => void)[] = [];

  /**
   * `fd` is asked before each write: a log file may be opened anew. One that is no file has to be
   * non-blocking, see `ownDescription`. `delayMs`: lines wait so long for others to be written with them;
   * 0 is the end of the turn of the event loop.
   */
  constructor(fd: () => number, whenWritten: () => void = () => undefined, delayMs = 0) {
    this.#delayMs = delayMs;
    this.#fd = fd;
    this.#whenWritten = whenWritten;
    this.#isFile = fstatSync(fd()).isFile();
  }

  /** Is a write under way? */
  get busy(): boolean {
    return this.#busy;
  }

  /** Adds text of whole lines, their ends included. */
  write(text: string): void {
    if (this.#waitingLength > MOST_WAITING_BYTES) {
      this.#lost += 1;
      return;
    }
    this.#lines.push(text);
    this.#waitingLength += text.length;
    if (!this.#busy) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (this.#delayMs === 0) setImmediate(this.#later);
    else setTimeout(this.#later, this.#delayMs).unref();
  }

  readonly #later = (): void => {
    this.#scheduled = false;
    this.#flush();
  };

  /** Resolves when all that was given so far is written, or lost. */
  async flushed(): Promise<void> {
    if (!this.#busy && this.#waitingLength === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** For the end of the process: what can be written at once. */
  flushNow(): void {
    if (this.#isFile) {
      const text = this.#take();
      if (text !== "") this.#attempt(Buffer.from(text));
    } else {
      this.#flushToPipe();
    }
  }

  #take(): string {
    const lost = this.#lost > 0 ? `${this.#lost} log line(s) lost: nobody read them in time\n` : "";
    const text = lost + this.#lines.join("");
    this.#lost = 0;
    this.#lines = [];
    this.#waitingLength = 0;
    return text;
  }

  #flush(): void {
    if (this.#busy) return;
    if (!this.#isFile) return this.#flushToPipe();
    const text = this.#take();
    if (text === "") return this.#isIdle();
    this.#busy = true;
    this.#writeAll(Buffer.from(text));
  }

  /** A disk that is full or gone loses lines: a log never stops a vassal. */
  #writeAll(bytes: Buffer): void {
    write(this.#fd(), bytes, (error, written) => {
      if (error === null && written < bytes.length) return this.#writeAll(bytes.subarray(written));
      this.#busy = false;
      this.#whenWritten();
      if (this.#waitingLength > 0) this.#schedule();
      else this.#isIdle();
    });
  }

  #flushToPipe(): void {
    while (this.#lines.length > 0) {
      let count = 0;
      let length = 0;
      // Characters of up to three bytes; a longer line goes by itself.
      for (const line of this.#lines) {
        const bytes = Buffer.byteLength(line);
        if (count > 0 && length + bytes > ATOMIC_BYTES) break;
        length += bytes;
        count += 1;
      }
      const text = this.#lines.slice(0, count).join("");
      if (!this.#attempt(Buffer.from(text))) {
        this.#busy = true;
        const timer = setTimeout(() => {
          this.#busy = false;
          this.#flush();
        }, AGAIN_MS);
        timer.unref();
        return;
      }
      this.#lines.splice(0, count);
      this.#waitingLength -= text.length;
    }
    if (this.#lost > 0 && this.#attempt(Buffer.from(this.#take()))) return this.#isIdle();
    this.#isIdle();
  }

  /** False: nobody reads at the moment. */
  #attempt(bytes: Buffer): boolean {
    try {
      let at = 0;
      while (at < bytes.length) at += writeSync(this.#fd(), bytes, at);
    } catch (error) {
      return !(error instanceof Error && "code" in error && error.code === "EAGAIN");
    }
    return true;
  }

  #isIdle(): void {
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}

/**
 * A descriptor of our own to what `fd` is open to, non-blocking where that is possible: the flag belongs to
 * all who share an open file, and other programs do not expect it. Files and sockets stay as they are.
 */
export function ownDescription(fd: number): number {
  const stat = fstatSync(fd);
  if (stat.isFile() || stat.isSocket()) return fd;
  try {
    return openFile(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return fd;
  }
}

/** Gives it back. */
export function closeDescription(fd: number): void {
  close(fd);
}
