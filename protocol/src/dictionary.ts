/**
 * Bodies of uwsgi packets: a dictionary is repeated { u16 key length, key, u16 value length, value },
 * an array repeated { u16 length, item }, all little endian. Knows no packet and no meaning of a key.
 */
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

const LENGTH_BYTES = 2;
export const ITEM_MAX_BYTES = 0xffff;

export interface ItemTooLarge {
  readonly ok: false;
  readonly reason: "item-too-large" | "empty-key";
  /** Position of the pair or item. */
  readonly index: number;
  readonly sizeBytes: number;
}

export type EncodedBody = { readonly ok: true; readonly bytes: Uint8Array } | ItemTooLarge;

function joinItems(items: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(items.reduce((sum, item) => sum + LENGTH_BYTES + item.length, 0));
  let offset = 0;
  for (const item of items) {
    bytes[offset] = item.length & 0xff;
    bytes[offset + 1] = item.length >> 8;
    bytes.set(item, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + item.length;
  }
  return bytes;
}

/** Offset behind the length field at `offset` and the end of its item; undefined when it passes the end. */
function itemAt(
  bytes: Uint8Array,
  offset: number,
): { readonly start: number; readonly end: number } | undefined {
  const low = bytes[offset];
  const high = bytes[offset + 1];
  if (low === undefined || high === undefined) return undefined;
  const start = offset + LENGTH_BYTES;
  const end = start + (low | (high << 8));
  return end > bytes.length ? undefined : { start, end };
}

/** Refuses an empty key, at which every reader stops, and items over 65535 bytes. */
export function encodeDictionary(
  pairs: Iterable<readonly [key: string, value: string]>,
): EncodedBody {
  const items: Uint8Array[] = [];
  for (const [key, value] of pairs) {
    const index = items.length / 2;
    if (key === "") return { ok: false, reason: "empty-key", index, sizeBytes: 0 };
    for (const text of [key, value]) {
      const item = encodeUtf8(text);
      if (item.length > ITEM_MAX_BYTES)
        return { ok: false, reason: "item-too-large", index, sizeBytes: item.length };
      items.push(item);
    }
  }
  return { ok: true, bytes: joinItems(items) };
}

/**
 * Walks a dictionary without copying: `visit` gets the bounds of key and value in `bytes`. Ends at a
 * key of length 0 or a length that passes the end, as uWSGI does; pairs before it have been visited.
 * @returns whether the whole body was used
 */
export function visitDictionary(
  bytes: Uint8Array,
  visit: (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number) => void,
): boolean {
  let offset = 0;
  while (offset < bytes.length) {
    const key = itemAt(bytes, offset);
    if (key === undefined || key.start === key.end) return false;
    const value = itemAt(bytes, key.end);
    if (value === undefined) return false;
    visit(key.start, key.end, value.start, value.end);
    offset = value.end;
  }
  return true;
}

export interface DecodedDictionary {
  /** In order; keys may repeat. */
  readonly pairs: readonly (readonly [key: string, value: string])[];
  /** False: the body is malformed behind these pairs. */
  readonly complete: boolean;
}

/** Keys and values as UTF-8. Never throws. */
export function decodeDictionary(bytes: Uint8Array): DecodedDictionary {
  const pairs: (readonly [string, string])[] = [];
  const complete = visitDictionary(bytes, (keyStart, keyEnd, valueStart, valueEnd) => {
    pairs.push([decodeUtf8(bytes, keyStart, keyEnd), decodeUtf8(bytes, valueStart, valueEnd)]);
  });
  return { pairs, complete };
}

/** Items may be empty here: an argument list has such. */
export function encodeArray(texts: Iterable<string>): EncodedBody {
  const items: Uint8Array[] = [];
  for (const text of texts) {
    const item = encodeUtf8(text);
    if (item.length > ITEM_MAX_BYTES)
      return { ok: false, reason: "item-too-large", index: items.length, sizeBytes: item.length };
    items.push(item);
  }
  return { ok: true, bytes: joinItems(items) };
}

export interface DecodedArray {
  readonly items: readonly string[];
  /** False: the body is malformed behind these items. */
  readonly complete: boolean;
}

/** Items as UTF-8, up to a length that passes the end. Never throws. */
export function decodeArray(bytes: Uint8Array): DecodedArray {
  const items: string[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const item = itemAt(bytes, offset);
    if (item === undefined) return { items, complete: false };
    items.push(decodeUtf8(bytes, item.start, item.end));
    offset = item.end;
  }
  return { items, complete: true };
}
