/**
 * The uwsgi packet: modifier1, body size (little endian), modifier2, body. Knows nothing of what a
 * body means.
 */

export const PACKET_HEADER_BYTES = 4;
export const PACKET_MAX_BODY_BYTES = 0xffff;

export interface PacketHeader {
  /** 0..255. */
  readonly modifier1: number;
  /** 0..65535. */
  readonly bodyBytes: number;
  /** 0..255. */
  readonly modifier2: number;
}

export interface Packet {
  readonly modifier1: number;
  readonly modifier2: number;
  readonly body: Uint8Array;
}

/** Why something does not fit into a packet. */
export interface TooLarge {
  readonly ok: false;
  readonly reason: "too-large";
  readonly sizeBytes: number;
  readonly limitBytes: number;
}

export type EncodedPacket = { readonly ok: true; readonly bytes: Uint8Array } | TooLarge;

/**
 * A whole packet. A body over 65535 bytes is refused: uWSGI writes its size modulo 65536 and the body
 * untruncated, so the reader loses its place in the stream.
 */
export function encodePacket(
  modifier1: number,
  modifier2: number,
  body: Uint8Array,
): EncodedPacket {
  if (body.length > PACKET_MAX_BODY_BYTES) {
    return {
      ok: false,
      reason: "too-large",
      sizeBytes: body.length,
      limitBytes: PACKET_MAX_BODY_BYTES,
    };
  }
  const bytes = new Uint8Array(PACKET_HEADER_BYTES + body.length);
  bytes[0] = modifier1;
  bytes[1] = body.length & 0xff;
  bytes[2] = body.length >> 8;
  bytes[3] = modifier2;
  bytes.set(body, PACKET_HEADER_BYTES);
  return { ok: true, bytes };
}

/** The header at the start of `bytes`, undefined while there are fewer than four. */
export function decodeHeader(bytes: Uint8Array): PacketHeader | undefined {
  const [modifier1, low, high, modifier2] = bytes;
  if (modifier1 === undefined || low === undefined || high === undefined || modifier2 === undefined)
    return undefined;
  return { modifier1, bodyBytes: low | (high << 8), modifier2 };
}

/** One whole packet of a datagram or a complete answer; bytes after it are ignored. */
export function decodePacket(bytes: Uint8Array): Packet | undefined {
  const header = decodeHeader(bytes);
  const end = PACKET_HEADER_BYTES + (header?.bodyBytes ?? 0);
  if (header === undefined || bytes.length < end) return undefined;
  return {
    modifier1: header.modifier1,
    modifier2: header.modifier2,
    body: bytes.subarray(PACKET_HEADER_BYTES, end),
  };
}

/**
 * Packets out of a stream that may be cut anywhere. Keeps at most one partial packet. A body over the
 * limit ends the decoding for good (`overflow`): the place of the next header could be trusted, the
 * peer cannot.
 */
export class PacketDecoder {
  readonly #maxBodyBytes: number;
  #header = new Uint8Array(PACKET_HEADER_BYTES);
  #headerBytes = 0;
  #body: Uint8Array | undefined;
  #bodyBytes = 0;
  #overflow: PacketHeader | undefined;

  constructor(maxBodyBytes = PACKET_MAX_BODY_BYTES) {
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** The header that was over the limit; nothing is decoded after it. */
  get overflow(): PacketHeader | undefined {
    return this.#overflow;
  }

  /** Bytes of an unfinished packet: not 0 at the end of a stream means it was cut. */
  get pendingBytes(): number {
    return this.#headerBytes + this.#bodyBytes;
  }

  /** Takes the next bytes; returns the packets that they complete, in order, with bodies of their own. */
  push(chunk: Uint8Array): readonly Packet[] {
    const packets: Packet[] = [];
    let offset = 0;
    while (this.#overflow === undefined) {
      if (this.#body === undefined) {
        while (this.#headerBytes < PACKET_HEADER_BYTES && offset < chunk.length) {
          this.#header[this.#headerBytes++] = chunk[offset++] ?? 0;
        }
        const header =
          this.#headerBytes === PACKET_HEADER_BYTES ? decodeHeader(this.#header) : undefined;
        if (header === undefined) break;
        if (header.bodyBytes > this.#maxBodyBytes) {
          this.#overflow = header;
          break;
        }
        this.#body = new Uint8Array(header.bodyBytes);
      }
      const part = chunk.subarray(offset, offset + this.#body.length - this.#bodyBytes);
      this.#body.set(part, this.#bodyBytes);
      this.#bodyBytes += part.length;
      offset += part.length;
      if (this.#bodyBytes < this.#body.length) break;
      packets.push({
        modifier1: this.#header[0] ?? 0,
        modifier2: this.#header[3] ?? 0,
        body: this.#body,
      });
      this.#body = undefined;
      this.#headerBytes = 0;
      this.#bodyBytes = 0;
    }
    return packets;
  }
}
