import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

/** The platform's text for well-formed bytes; for others only that a replacement is in it. */
function agrees(text: string, bytes: Uint8Array): boolean {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) === text;
  } catch {
    return text.includes("\ufffd");
  }
}

describe("UTF-8", () => {
  it("agrees with the platform on every text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(encodeUtf8(text)).toEqual(new TextEncoder().encode(text));
        expect(decodeUtf8(encodeUtf8(text))).toBe(text);
      }),
    );
  });

  it("turns lone surrogates into U+FFFD as the platform does", () => {
    for (const text of ["\ud800", "a\udc00b", "\ud83d\ud83d\ude00", "\udc00\ud800"]) {
      expect(encodeUtf8(text)).toEqual(new TextEncoder().encode(text));
    }
  });

  it("reads any bytes without throwing, and well-formed ones like the platform", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        expect(agrees(decodeUtf8(bytes), bytes)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses overlong forms, surrogates and what lies beyond Unicode", () => {
    for (const bytes of [
      [0xc0, 0x80],
      [0xe0, 0x80, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xff],
    ]) {
      expect(decodeUtf8(Uint8Array.from(bytes))).toBe("\ufffd".repeat(bytes.length));
    }
  });

  it("reads a part", () => {
    expect(decodeUtf8(encodeUtf8("aébc"), 1, 4)).toBe("éb");
  });
});
