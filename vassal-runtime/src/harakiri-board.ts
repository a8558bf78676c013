/**
 * The requests that run, in memory that a second thread can read while the event loop hangs. One thread
 * writes, one reads. Knows no clock, no process and no log; instants are given.
 *
 * A slot is the instant at which its request began (0: free), then the length and the bytes of its text.
 * With all slots taken further requests go unwatched: the oldest are watched, and their end ends all.
 */

const SLOTS = 1024;
const TEXT_BYTES = 246;
/** Instant (8), length (2), text. */
const SLOT_BYTES = 256;

export interface OverdueRequest {
  /** Method and path. */
  readonly text: string;
  readonly ageMs: number;
}

export class HarakiriBoard {
  readonly memory: SharedArrayBuffer;
  readonly #instants: Float64Array;
  readonly #bytes: Buffer;
  readonly #free: number[] = [];

  /** A new board, or a view of one that another thread made. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(SLOTS * SLOT_BYTES)) {
    this.memory = memory;
    this.#instants = new Float64Array(memory);
    this.#bytes = Buffer.from(memory);
    for (let slot = SLOTS - 1; slot >= 0; slot--) this.#free.push(slot);
  }

  /** A request began; the result is for `end`. */
  begin(now: number, method: string, path: string): number {
    const slot = this.#free.pop();
    if (slot === undefined) return -1;
    const at = slot * SLOT_BYTES;
    const length = this.#bytes.write(`${method} ${path}`, at + 10, TEXT_BYTES, "latin1");
    this.#bytes.writeUInt16LE(length, at + 8);
    // The instant last: the reader never sees a request without its text.
    this.#instants[at / 8] = now;
    return slot;
  }

  end(slot: number): void {
    if (slot < 0) return;
    this.#instants[(slot * SLOT_BYTES) / 8] = 0;
    this.#free.push(slot);
  }

  /** The oldest request that runs for `limitMs` or longer, or how long until one could. */
  inspect(now: number, limitMs: number): OverdueRequest | { readonly lookAgainInMs: number } {
    let oldest = Number.POSITIVE_INFINITY;
    let slot = -1;
    for (let i = 0; i < SLOTS; i++) {
      const began = this.#instants[(i * SLOT_BYTES) / 8] ?? 0;
      if (began === 0 || began >= oldest) continue;
      oldest = began;
      slot = i;
    }
    const ageMs = now - oldest;
    // What begins from now on cannot be overdue before a whole limit has passed.
    if (slot < 0 || ageMs < limitMs) return { lookAgainInMs: slot < 0 ? limitMs : limitMs - ageMs };
    const at = slot * SLOT_BYTES;
    const length = Math.min(this.#bytes.readUInt16LE(at + 8), TEXT_BYTES);
    return { text: this.#bytes.toString("latin1", at + 10, at + 10 + length), ageMs };
  }
}
