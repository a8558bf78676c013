import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeArray,
  decodeDictionary,
  encodeArray,
  encodeDictionary,
  visitDictionary,
} from "./dictionary.ts";

const text = fc.string({ unit: "binary", maxLength: 12 });
const pairs = fc.array(fc.tuple(fc.string({ unit: "binary", minLength: 1, maxLength: 12 }), text), {
  maxLength: 6,
});

describe("dictionaries", () => {
  it("read what they write", () => {
    fc.assert(
      fc.property(pairs, (value) => {
        const body = encodeDictionary(value);
        expect(body.ok && decodeDictionary(body.bytes)).toEqual({ pairs: value, complete: true });
      }),
    );
  });

  it("have the layout of the protocol", () => {
    const body = encodeDictionary([["cmd", "spawn"]]);
    expect(body.ok && [...body.bytes]).toEqual([3, 0, 99, 109, 100, 5, 0, 115, 112, 97, 119, 110]);
  });

  it("deliver the pairs before a cut, wherever it is", () => {
    const body = encodeDictionary([
      ["a", "1"],
      ["bb", ""],
      ["c", "33"],
    ]);
    if (!body.ok) throw new Error(body.reason);
    const ends = [0, 6, 12, 19];
    for (let cut = 0; cut <= body.bytes.length; cut += 1) {
      const read = decodeDictionary(body.bytes.subarray(0, cut));
      expect(read.pairs).toHaveLength(ends.filter((end) => end > 0 && end <= cut).length);
      expect(read.complete).toBe(ends.includes(cut));
    }
  });

  it("end at an empty key", () => {
    expect(decodeDictionary(Uint8Array.of(1, 0, 97, 0, 0, 0, 0, 0, 0))).toEqual({
      pairs: [["a", ""]],
      complete: false,
    });
    expect(
      encodeDictionary([
        ["a", "b"],
        ["", "c"],
      ]),
    ).toMatchObject({ ok: false, reason: "empty-key", index: 1 });
  });

  it("refuse items over 65535 bytes", () => {
    const long = "é".repeat(40_000);
    expect(encodeDictionary([["a", long]])).toEqual({
      ok: false,
      reason: "item-too-large",
      index: 0,
      sizeBytes: 80_000,
    });
    expect(encodeArray(["", long])).toEqual({
      ok: false,
      reason: "item-too-large",
      index: 1,
      sizeBytes: 80_000,
    });
  });

  it("take any bytes, and visit only what is inside them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        visitDictionary(bytes, (keyStart, keyEnd, valueStart, valueEnd) => {
          expect(keyStart).toBeLessThan(keyEnd);
          expect(keyEnd).toBe(valueStart - 2);
          expect(valueEnd).toBeLessThanOrEqual(bytes.length);
        });
        decodeArray(bytes);
      }),
    );
  });
});

describe("arrays", () => {
  it("read what they write, empty items too", () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), (items) => {
        const body = encodeArray(items);
        expect(body.ok && decodeArray(body.bytes)).toEqual({ items, complete: true });
      }),
    );
  });

  it("deliver the items before a cut", () => {
    expect(decodeArray(Uint8Array.of(1, 0, 97, 2, 0, 98))).toEqual({
      items: ["a"],
      complete: false,
    });
  });
});
