/** Datagrams by which an instance enters or leaves a router's table. The codec only. */
import { decodeDictionary, encodeDictionary } from "./dictionary.ts";
import type { ItemTooLarge } from "./dictionary.ts";
import { encodePacket } from "./packet.ts";
import type { Packet, TooLarge } from "./packet.ts";
import { encodeUtf8 } from "./utf8.ts";

const SUBSCRIPTION_MODIFIER1 = 224;
const MODIFIER2 = { subscribe: 0, unsubscribe: 1 } as const;

export interface Subscription {
  readonly action: keyof typeof MODIFIER2;
  /** Usually a domain name. */
  readonly key: string;
  /** Where requests for it go. */
  readonly address: string;
  /** Modifiers of the requests, 0..255. */
  readonly modifier1: number;
  readonly modifier2: number;
  /** Everything else the sender says (`cores`, `load`, `weight`, `sign`, `unix`...), as text, in order. */
  readonly fields: readonly (readonly [key: string, value: string])[];
}

export type EncodedSubscription =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | TooLarge
  | ItemTooLarge;

/**
 * @param sign gives the signature of the body so far, which becomes its last pair; a signed body needs a
 * field `unix`, the seconds since the epoch, by which the router tells a replayed packet
 */
export function encodeSubscription(
  subscription: Subscription,
  sign?: (body: Uint8Array) => Uint8Array,
): EncodedSubscription {
  const body = encodeDictionary([
    ["key", subscription.key],
    ["address", subscription.address],
    ["modifier1", String(subscription.modifier1)],
    ["modifier2", String(subscription.modifier2)],
    ...subscription.fields,
  ]);
  if (!body.ok) return body;
  const bytes = sign === undefined ? body.bytes : withSignature(body.bytes, sign(body.bytes));
  return encodePacket(SUBSCRIPTION_MODIFIER1, MODIFIER2[subscription.action], bytes);
}

/** The one value of a dictionary that is no text. */
function withSignature(body: Uint8Array, signature: Uint8Array): Uint8Array {
  const key = encodeUtf8("sign");
  const lengths = [key.length, signature.length].map((length) =>
    Uint8Array.of(length & 0xff, length >> 8),
  );
  const parts = [body, lengths[0] ?? key, key, lengths[1] ?? key, signature];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function modifierOf(text: string | undefined): number | undefined {
  if (text === undefined) return 0;
  return /^\d{1,3}$/.test(text) && Number(text) <= 255 ? Number(text) : undefined;
}

/** Undefined for what is no subscription: another modifier, no key or address, a bad number. Never throws. */
export function decodeSubscription(packet: Packet): Subscription | undefined {
  const action =
    packet.modifier2 === 0 ? "subscribe" : packet.modifier2 === 1 ? "unsubscribe" : undefined;
  const { pairs, complete } = decodeDictionary(packet.body);
  if (packet.modifier1 !== SUBSCRIPTION_MODIFIER1 || action === undefined || !complete)
    return undefined;
  const known = new Map<string, string>();
  const fields: (readonly [string, string])[] = [];
  for (const pair of pairs) {
    const [key, value] = pair;
    const own = key === "key" || key === "address" || key === "modifier1" || key === "modifier2";
    if (own && !known.has(key)) known.set(key, value);
    else fields.push(pair);
  }
  const key = known.get("key");
  const address = known.get("address");
  const modifier1 = modifierOf(known.get("modifier1"));
  const modifier2 = modifierOf(known.get("modifier2"));
  if (
    key === undefined ||
    address === undefined ||
    modifier1 === undefined ||
    modifier2 === undefined
  )
    return undefined;
  return { action, key, address, modifier1, modifier2, fields };
}
