import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeDictionary } from "./dictionary.ts";
import { encodePacket } from "./packet.ts";
import { RequestPacketReader } from "./uwsgi-request.ts";
import type { RequestPacket } from "./uwsgi-request.ts";

function packetOf(variables: readonly (readonly [string, string])[], modifier1 = 0): Uint8Array {
  const body = encodeDictionary(variables);
  if (!body.ok) throw new Error(body.reason);
  const packet = encodePacket(modifier1, 0, body.bytes);
  if (!packet.ok) throw new Error(packet.reason);
  return packet.bytes;
}

/** Pushes `bytes` cut at the given places; what comes behind the packet is collected. */
function read(bytes: Uint8Array, cuts: readonly number[], limitBytes?: number) {
  const reader = new RequestPacketReader(limitBytes);
  let found: RequestPacket | undefined;
  const rest: number[] = [];
  const edges = [0, ...[...cuts].toSorted((a, b) => a - b), bytes.length];
  for (let i = 1; i < edges.length; i++) {
    const chunk = bytes.slice(edges[i - 1], edges[i]);
    if (found !== undefined) {
      rest.push(...chunk);
      continue;
    }
    const progress = reader.push(chunk);
    if (progress.kind === "too-large") return { tooLarge: progress.sizeBytes };
    if (progress.kind === "more") continue;
    found = progress.packet;
    rest.push(...found.rest);
  }
  return found === undefined
    ? { pending: reader.pendingBytes }
    : { variables: [...found.variables], modifier1: found.modifier1, rest };
}

describe("RequestPacketReader", () => {
  const packet = packetOf([
    ["REQUEST_METHOD", "POST"],
    ["EMPTY", ""],
  ]);
  const body = Uint8Array.from([1, 2, 3, 4, 5]);
  const stream = Uint8Array.from([...packet, ...body]);
  const whole = { variables: [...packet.subarray(4)], modifier1: 0, rest: [...body] };

  it("finds packet and rest wherever the stream is cut once", () => {
    for (let cut = 0; cut <= stream.length; cut++) expect(read(stream, [cut])).toEqual(whole);
  });

  it("takes single bytes", () => {
    expect(read(stream, Array.from(stream.keys()))).toEqual(whole);
  });

  it("waits for a packet that is cut short", () => {
    for (let end = 0; end < packet.length; end++)
      expect(read(packet.subarray(0, end), [])).toEqual({ pending: end });
  });

  it("takes an empty packet and one of the largest size", () => {
    expect(read(Uint8Array.of(0, 0, 0, 0), [])).toMatchObject({ variables: [], rest: [] });
    const largest = new Uint8Array(4 + 65_535).fill(7);
    largest.set([9, 255, 255, 0]);
    const found = read(largest, [1, 3, 5000, 40_000]);
    expect(found).toMatchObject({ modifier1: 9, rest: [] });
    expect(found.variables).toHaveLength(65_535);
  });

  it("refuses a size over its limit by the header alone", () => {
    expect(read(Uint8Array.of(0, 1, 16, 0), [], 4096)).toEqual({ tooLarge: 4097 });
    expect(read(Uint8Array.of(0, 1, 16, 0), [1, 2, 3], 4096)).toEqual({ tooLarge: 4097 });
  });

  it("gives back any packet and any rest, cut anywhere", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.uint8Array({ maxLength: 3000 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (dictionary, following, numbers) => {
          const encoded = encodePacket(0, 0, dictionary);
          if (!encoded.ok) throw new Error(encoded.reason);
          const bytes = Uint8Array.from([...encoded.bytes, ...following]);
          const cuts = numbers.map((number) => number % (bytes.length + 1));
          expect(read(bytes, cuts)).toEqual({
            variables: [...dictionary],
            modifier1: 0,
            rest: [...following],
          });
        },
      ),
    );
  });

  it("never keeps more than a packet of random bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 12 }), (chunks) => {
        const reader = new RequestPacketReader(8192);
        for (const chunk of chunks) {
          if (reader.push(chunk).kind !== "more") break;
          expect(reader.pendingBytes).toBeLessThanOrEqual(4 + 8192);
        }
      }),
    );
  });
});
