/**
 * UTF-8 without `TextEncoder`, which a package that compiles without any host types cannot name.
 * What is not well-formed becomes U+FFFD, in both directions; nothing throws.
 */

const REPLACEMENT = 0xfffd;

/** Bytes of a text. A lone surrogate becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  let end = 0;
  for (let index = 0; index < text.length; index += 1) {
    let point = text.charCodeAt(index);
    if (point >= 0xd800 && point <= 0xdfff) {
      const full = text.codePointAt(index) ?? REPLACEMENT;
      if (full > 0xffff) index += 1;
      point = full > 0xffff ? full : REPLACEMENT;
    }
    if (point < 0x80) bytes[end++] = point;
    else {
      if (point < 0x800) bytes[end++] = 0xc0 | (point >> 6);
      else {
        if (point < 0x10000) bytes[end++] = 0xe0 | (point >> 12);
        else {
          bytes[end++] = 0xf0 | (point >> 18);
          bytes[end++] = 0x80 | ((point >> 12) & 0x3f);
        }
        bytes[end++] = 0x80 | ((point >> 6) & 0x3f);
      }
      bytes[end++] = 0x80 | (point & 0x3f);
    }
  }
  return bytes.slice(0, end);
}

/** Smallest code point that needs the given number of continuation bytes: shorter ones are overlong. */
const SMALLEST = [0, 0x80, 0x800, 0x10000];

/** Length of the well-formed sequence at `start` and its code point; U+FFFD with length 1 otherwise. */
function sequenceAt(
  bytes: Uint8Array,
  start: number,
  end: number,
): { readonly point: number; readonly length: number } {
  const first = bytes[start] ?? 0;
  if (first < 0x80) return { point: first, length: 1 };
  const more =
    first >= 0xf0 && first < 0xf8
      ? 3
      : first >= 0xe0 && first < 0xf0
        ? 2
        : first >= 0xc0 && first < 0xe0
          ? 1
          : 0;
  const broken = { point: REPLACEMENT, length: 1 };
  if (more === 0 || start + more >= end) return broken;
  let point = first & (0x3f >> more);
  for (let index = 1; index <= more; index += 1) {
    const next = bytes[start + index] ?? 0;
    if ((next & 0xc0) !== 0x80) return broken;
    point = (point << 6) | (next & 0x3f);
  }
  const surrogate = point >= 0xd800 && point <= 0xdfff;
  return point < (SMALLEST[more] ?? 0) || point > 0x10ffff || surrogate
    ? broken
    : { point, length: more + 1 };
}

/** Text of the bytes `start..end`. Every byte that belongs to no well-formed sequence becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = "";
  for (let index = start; index < end;) {
    const { point, length } = sequenceAt(bytes, index, end);
    text += String.fromCodePoint(point);
    index += length;
  }
  return text;
}
