/**
 * Request to a fork server and its answer (uWSGI 2.1): one of each per connection. The descriptors
 * named by the mask go beside the request's header, in the order of the mask's bits.
 */
import { decodeArray, decodeDictionary, encodeArray, encodeDictionary } from "./dictionary.ts";
import type { ItemTooLarge } from "./dictionary.ts";
import { encodePacket } from "./packet.ts";
import type { Packet, TooLarge } from "./packet.ts";

const FORK_MODIFIER1 = 35;
const MASK = { channel: 1, configPipe: 2, onDemandSocket: 4 } as const;

export interface ForkRequest {
  /** The complete argument list, argv[0] included. */
  readonly argv: readonly string[];
  /** A config pipe follows the channel, which is always passed. */
  readonly configPipe: boolean;
  /** The listening socket comes last. */
  readonly onDemandSocket: boolean;
}

export type EncodedForkRequest =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | TooLarge
  | ItemTooLarge;

export function encodeForkRequest(request: ForkRequest): EncodedForkRequest {
  const body = encodeArray(request.argv);
  if (!body.ok) return body;
  const mask =
    MASK.channel |
    (request.configPipe ? MASK.configPipe : 0) |
    (request.onDemandSocket ? MASK.onDemandSocket : 0);
  return encodePacket(FORK_MODIFIER1, mask, body.bytes);
}

/** Undefined for anything that is no fork request. Never throws. */
export function decodeForkRequest(packet: Packet): ForkRequest | undefined {
  const { items, complete } = decodeArray(packet.body);
  if (packet.modifier1 !== FORK_MODIFIER1 || (packet.modifier2 & MASK.channel) === 0 || !complete)
    return undefined;
  return {
    argv: items,
    configPipe: (packet.modifier2 & MASK.configPipe) !== 0,
    onDemandSocket: (packet.modifier2 & MASK.onDemandSocket) !== 0,
  };
}

/** @param pid the new process, in the fork server's own pid namespace */
export function encodeForkAnswer(pid: number): Uint8Array {
  const body = encodeDictionary([["pid", String(pid)]]);
  const packet = body.ok ? encodePacket(FORK_MODIFIER1, 0, body.bytes) : body;
  // A number of at most 24 characters always fits.
  return packet.ok ? packet.bytes : new Uint8Array();
}

/**
 * The pid named by an answer, undefined when it is missing, not a positive 32-bit number or the
 * packet is another one. It is a claim: check it before a signal is sent to it.
 */
export function decodeForkAnswer(packet: Packet): number | undefined {
  if (packet.modifier1 !== FORK_MODIFIER1) return undefined;
  const text = decodeDictionary(packet.body).pairs.find(([key]) => key === "pid")?.[1] ?? "";
  const pid = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  return pid > 0 && pid <= 0x7fff_ffff ? pid : undefined;
}
