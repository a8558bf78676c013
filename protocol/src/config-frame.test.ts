import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigFrameDecoder, encodeConfigFrame } from "./config-frame.ts";
import { encodePacket } from "./packet.ts";

function frame(config: Uint8Array): Uint8Array {
  const result = encodeConfigFrame(config);
  if (!result.ok) throw new Error(result.reason);
  return result.bytes;
}

const config = fc.uint8Array({ minLength: 1, maxLength: 30 });

describe("pushed configs", () => {
  it("are packets with modifier1 115", () => {
    expect([...frame(new Uint8Array(92)).subarray(0, 4)]).toEqual([0x73, 0x5c, 0, 0]);
  });

  it("are refused when they are empty or over 65535 bytes", () => {
    expect(encodeConfigFrame(new Uint8Array())).toEqual({ ok: false, reason: "empty" });
    expect(encodeConfigFrame(new Uint8Array(65535)).ok).toBe(true);
    expect(encodeConfigFrame(new Uint8Array(65536))).toMatchObject({
      reason: "too-large",
      sizeBytes: 65536,
    });
  });

  it("are the last complete one of several, cut anywhere", () => {
    fc.assert(
      fc.property(fc.array(config, { minLength: 1, maxLength: 4 }), fc.nat(), (configs, seed) => {
        const bytes = Uint8Array.from(configs.flatMap((each) => [...frame(each)]));
        const cut = seed % (bytes.length + 1);
        const decoder = new ConfigFrameDecoder();
        decoder.push(bytes.subarray(0, cut));
        decoder.push(bytes.subarray(cut));
        expect(decoder.latest).toEqual(configs.at(-1));
        expect(decoder.frames).toBe(configs.length);
        expect(decoder.pendingBytes).toBe(0);
      }),
    );
  });

  it("keep the last complete one while the next is on its way", () => {
    const decoder = new ConfigFrameDecoder();
    const first = Uint8Array.of(1, 2, 3);
    const second = frame(Uint8Array.of(4, 5));
    decoder.push(frame(first));
    decoder.push(second.subarray(0, second.length - 1));
    expect(decoder.latest).toEqual(first);
    expect(decoder.pendingBytes).toBe(5);
  });

  it("skip packets of another kind", () => {
    const other = encodePacket(1, 0, Uint8Array.of(9));
    const decoder = new ConfigFrameDecoder();
    if (other.ok) decoder.push(other.bytes);
    expect(decoder.latest).toBeUndefined();
    expect(decoder.strangers).toBe(1);
  });

  it("take any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (chunks) => {
        const decoder = new ConfigFrameDecoder();
        for (const chunk of chunks) decoder.push(chunk);
        expect(decoder.pendingBytes).toBeLessThanOrEqual(65539);
      }),
    );
  });
});
