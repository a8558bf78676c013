import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PacketDecoder, decodeHeader, decodePacket, encodePacket } from "./packet.ts";
import type { Packet } from "./packet.ts";

const byte = fc.integer({ min: 0, max: 255 });
const packet = fc.record({
  modifier1: byte,
  modifier2: byte,
  body: fc.uint8Array({ maxLength: 40 }),
});

function encoded(packets: readonly Packet[]): Uint8Array {
  return Uint8Array.from(
    packets.flatMap(({ modifier1, modifier2, body }) => {
      const result = encodePacket(modifier1, modifier2, body);
      return result.ok ? [...result.bytes] : [];
    }),
  );
}

describe("uwsgi packets", () => {
  it("has the layout of the protocol: modifier1, size little endian, modifier2, body", () => {
    const result = encodePacket(115, 7, new Uint8Array(0x015c));
    expect(result.ok && [...result.bytes.subarray(0, 4)]).toEqual([115, 0x5c, 0x01, 7]);
    expect(result.ok && result.bytes.length).toBe(4 + 0x015c);
  });

  it("refuses a body over 65535 bytes instead of wrapping its size", () => {
    expect(encodePacket(0, 0, new Uint8Array(65535)).ok).toBe(true);
    expect(encodePacket(0, 0, new Uint8Array(65536))).toEqual({
      ok: false,
      reason: "too-large",
      sizeBytes: 65536,
      limitBytes: 65535,
    });
  });

  it("reads what it writes", () => {
    fc.assert(
      fc.property(packet, (value) => {
        const bytes = encoded([value]);
        expect(decodePacket(bytes)).toEqual(value);
        expect(decodeHeader(bytes)).toEqual({
          modifier1: value.modifier1,
          modifier2: value.modifier2,
          bodyBytes: value.body.length,
        });
      }),
    );
  });

  it("has no packet in a part of one", () => {
    const bytes = encoded([{ modifier1: 1, modifier2: 2, body: Uint8Array.of(1, 2, 3) }]);
    for (let end = 0; end < bytes.length; end += 1)
      expect(decodePacket(bytes.subarray(0, end))).toBeUndefined();
  });
});

describe("a stream of packets", () => {
  it("may be cut at every place", () => {
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 4 }), (packets) => {
        const bytes = encoded(packets);
        for (let cut = 0; cut <= bytes.length; cut += 1) {
          const decoder = new PacketDecoder();
          const read = [
            ...decoder.push(bytes.subarray(0, cut)),
            ...decoder.push(bytes.subarray(cut)),
          ];
          expect(read).toEqual(packets);
          expect(decoder.pendingBytes).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("may come byte by byte", () => {
    const packets = [
      { modifier1: 9, modifier2: 8, body: Uint8Array.of(1, 2, 3) },
      { modifier1: 7, modifier2: 6, body: new Uint8Array() },
      { modifier1: 5, modifier2: 4, body: Uint8Array.of(4) },
    ];
    const decoder = new PacketDecoder();
    expect([...encoded(packets)].flatMap((each) => decoder.push(Uint8Array.of(each)))).toEqual(
      packets,
    );
  });

  it("gives bodies that do not change when the caller reuses its buffer", () => {
    const chunk = encoded([{ modifier1: 1, modifier2: 1, body: Uint8Array.of(42) }]);
    const [read] = new PacketDecoder().push(chunk);
    chunk.fill(0);
    expect(read?.body).toEqual(Uint8Array.of(42));
  });

  it("tells how much of an unfinished packet it holds", () => {
    const decoder = new PacketDecoder();
    decoder.push(Uint8Array.of(1, 3));
    expect(decoder.pendingBytes).toBe(2);
    decoder.push(Uint8Array.of(0, 0, 9));
    expect(decoder.pendingBytes).toBe(5);
  });

  it("ends at a body over the limit and stays so", () => {
    const decoder = new PacketDecoder(2);
    const small = encoded([{ modifier1: 1, modifier2: 0, body: Uint8Array.of(1, 2) }]);
    const large = encoded([{ modifier1: 2, modifier2: 0, body: Uint8Array.of(1, 2, 3) }]);
    expect(decoder.push(Uint8Array.of(...small, ...large, ...small))).toHaveLength(1);
    expect(decoder.overflow).toEqual({ modifier1: 2, modifier2: 0, bodyBytes: 3 });
    expect(decoder.push(small)).toEqual([]);
  });

  it("takes any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 8 }), (chunks) => {
        const decoder = new PacketDecoder(20);
        for (const chunk of chunks) decoder.push(chunk);
        expect(decoder.pendingBytes).toBeLessThanOrEqual(24);
      }),
    );
  });
});
