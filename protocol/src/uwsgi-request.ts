/**
 * The first packet of a connection that carries a request: a header, and a dictionary of CGI variables
 * behind it. Finds where the packet ends and the body of the request begins. Knows no variable.
 */
import { PACKET_HEADER_BYTES, PACKET_MAX_BODY_BYTES, decodeHeader } from "./packet.ts";

/** What stands before the body of a request. */
export interface RequestPacket {
  readonly modifier1: number;
  readonly modifier2: number;
  /** The dictionary. May be a part of the chunk that was pushed: use it before the chunk is reused. */
  readonly variables: Uint8Array;
  /** Bytes of the last chunk that stand behind the packet. */
  readonly rest: Uint8Array;
}

export type RequestPacketProgress =
  | { readonly kind: "more" }
  | { readonly kind: "complete"; readonly packet: RequestPacket }
  /** The header is over the limit; nothing of the connection can be used. */
  | { readonly kind: "too-large"; readonly sizeBytes: number };

const MORE: RequestPacketProgress = { kind: "more" };

/**
 * Takes the bytes of one connection, cut anywhere, until its request packet is there. Keeps at most that
 * packet. A packet that comes in one piece, as nginx sends it, is not copied.
 */
export class RequestPacketReader {
  readonly #limitBytes: number;
  #kept: Uint8Array | undefined;
  #keptBytes = 0;

  constructor(limitBytes = PACKET_MAX_BODY_BYTES) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes of a packet that is not complete yet. */
  get pendingBytes(): number {
    return this.#keptBytes;
  }

  /** Do not push anything more after `complete` or `too-large`. */
  push(chunk: Uint8Array): RequestPacketProgress {
    const before = this.#keptBytes;
    if (before === 0 && chunk.length >= PACKET_HEADER_BYTES) {
      const whole = this.#look(chunk, chunk.length, 0, chunk);
      if (whole.kind !== "more") return whole;
    }
    const kept = this.#keep(chunk);
    return this.#keptBytes < PACKET_HEADER_BYTES
      ? MORE
      : this.#look(kept, this.#keptBytes, before, chunk);
  }

  /** `bytes` (of which `length` count) hold all that came so far, the last of it from `chunk`. */
  #look(
    bytes: Uint8Array,
    length: number,
    before: number,
    chunk: Uint8Array,
  ): RequestPacketProgress {
    const header = decodeHeader(bytes);
    if (header === undefined) return MORE;
    if (header.bodyBytes > this.#limitBytes)
      return { kind: "too-large", sizeBytes: header.bodyBytes };
    const end = PACKET_HEADER_BYTES + header.bodyBytes;
    if (length < end) return MORE;
    return {
      kind: "complete",
      packet: {
        modifier1: header.modifier1,
        modifier2: header.modifier2,
        variables: bytes.subarray(PACKET_HEADER_BYTES, end),
        rest: chunk.subarray(end - before),
      },
    };
  }

  /** Appends what belongs to the packet as far as that is known; what follows the packet is not kept. */
  #keep(chunk: Uint8Array): Uint8Array {
    let kept = this.#kept;
    if (kept === undefined || this.#keptBytes + chunk.length > kept.length) {
      const limit = PACKET_HEADER_BYTES + this.#limitBytes;
      const wanted = Math.min(limit, Math.max(1024, 2 * (this.#keptBytes + chunk.length)));
      if (kept === undefined || kept.length < wanted) {
        const larger = new Uint8Array(wanted);
        if (kept !== undefined) larger.set(kept.subarray(0, this.#keptBytes));
        kept = larger;
        this.#kept = larger;
      }
    }
    const part = chunk.subarray(0, kept.length - this.#keptBytes);
    kept.set(part, this.#keptBytes);
    this.#keptBytes += part.length;
    return kept;
  }
}
