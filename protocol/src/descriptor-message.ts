/**
 * The data beside passed descriptors (SCM_RIGHTS): a code without terminator and the number of
 * descriptors as the CPU's own 32-bit integer. The descriptors are the matter of the system.
 */
import { encodeUtf8 } from "./utf8.ts";

const CODES = {
  /** Listening sockets of a zerg server. */
  zerg: "uwsgi-zerg",
  /** The emperor channel, then what belongs to it, of an Emperor proxy. */
  emperor: "uwsgi-emperor",
  /** Namespaces to join. */
  setns: "uwsgi-setns",
} as const;

export type DescriptorUse = keyof typeof CODES;

const COUNT_BYTES = 4;
/** The number travels in the sender's byte order; both ends are on one machine. */
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** How many bytes one `recvmsg` must take. */
export function descriptorMessageBytes(use: DescriptorUse): number {
  return CODES[use].length + COUNT_BYTES;
}

/** @param count number of descriptors that go with it, 0..2^31-1 */
export function encodeDescriptorMessage(use: DescriptorUse, count: number): Uint8Array {
  const code = encodeUtf8(CODES[use]);
  const bytes = new Uint8Array(code.length + COUNT_BYTES);
  bytes.set(code);
  new DataView(bytes.buffer).setInt32(code.length, count, LITTLE_ENDIAN);
  return bytes;
}

export type DecodedDescriptorMessage =
  | { readonly ok: true; readonly count: number }
  | { readonly ok: false; readonly reason: "wrong-length" | "wrong-code" | "bad-count" };

/** Never throws. Whether the count fits the room is for the caller to judge. */
export function decodeDescriptorMessage(
  use: DescriptorUse,
  bytes: Uint8Array,
): DecodedDescriptorMessage {
  const code = encodeUtf8(CODES[use]);
  if (bytes.length !== code.length + COUNT_BYTES) return { ok: false, reason: "wrong-length" };
  if (code.some((byte, index) => byte !== bytes[index])) return { ok: false, reason: "wrong-code" };
  const count = new DataView(bytes.buffer, bytes.byteOffset).getInt32(code.length, LITTLE_ENDIAN);
  return count < 0 ? { ok: false, reason: "bad-count" } : { ok: true, count };
}
