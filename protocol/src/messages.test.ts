/** Descriptor, fork server, command, subscription messages and the texts for systemd. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeCommand, encodeCommand } from "./command.ts";
import type { Command } from "./command.ts";
import {
  decodeDescriptorMessage,
  descriptorMessageBytes,
  encodeDescriptorMessage,
} from "./descriptor-message.ts";
import {
  decodeForkAnswer,
  decodeForkRequest,
  encodeForkAnswer,
  encodeForkRequest,
} from "./fork-server.ts";
import { decodePacket } from "./packet.ts";
import type { Packet } from "./packet.ts";
import { SD_NOTIFY } from "./sd-notify.ts";
import { decodeSubscription, encodeSubscription } from "./subscription.ts";

const text = fc.string({ unit: "binary", maxLength: 10 });
const word = fc.string({ unit: "binary", minLength: 1, maxLength: 10 });
const anyPacket = fc.record({
  modifier1: fc.constantFrom(0, 35, 115, 224),
  modifier2: fc.nat(7),
  body: fc.uint8Array({ maxLength: 30 }),
});

function packetOf(bytes: Uint8Array): Packet {
  const packet = decodePacket(bytes);
  if (packet === undefined) throw new Error("no packet");
  return packet;
}

describe("descriptor messages", () => {
  const use = fc.constantFrom("zerg" as const, "emperor" as const, "setns" as const);

  it("read what they write", () => {
    fc.assert(
      fc.property(use, fc.nat(0x7fffffff), (kind, count) => {
        const bytes = encodeDescriptorMessage(kind, count);
        expect(bytes).toHaveLength(descriptorMessageBytes(kind));
        expect(decodeDescriptorMessage(kind, bytes)).toEqual({ ok: true, count });
      }),
    );
  });

  it("are the code and the number in the machine's byte order", () => {
    const expected = [
      ...new TextEncoder().encode("uwsgi-zerg"),
      ...new Uint8Array(new Int32Array([2]).buffer),
    ];
    expect([...encodeDescriptorMessage("zerg", 2)]).toEqual(expected);
  });

  it("are told apart from others", () => {
    const bytes = encodeDescriptorMessage("zerg", 1);
    expect(decodeDescriptorMessage("emperor", bytes)).toEqual({
      ok: false,
      reason: "wrong-length",
    });
    expect(decodeDescriptorMessage("zerg", bytes.fill(65, 0, 1))).toEqual({
      ok: false,
      reason: "wrong-code",
    });
    expect(decodeDescriptorMessage("zerg", encodeDescriptorMessage("zerg", -1))).toEqual({
      ok: false,
      reason: "bad-count",
    });
  });

  it("take any bytes, in the middle of a buffer too", () => {
    fc.assert(
      fc.property(
        use,
        fc.uint8Array({ maxLength: 20 }),
        (kind, bytes) => void decodeDescriptorMessage(kind, bytes),
      ),
    );
    const bytes = Uint8Array.of(9, 9, 9, ...encodeDescriptorMessage("setns", 5)).subarray(3);
    expect(decodeDescriptorMessage("setns", bytes)).toEqual({ ok: true, count: 5 });
  });
});

describe("fork server messages", () => {
  it("read what they write", () => {
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 5 }),
        fc.boolean(),
        fc.boolean(),
        (argv, configPipe, onDemandSocket) => {
          const request = { argv, configPipe, onDemandSocket };
          const bytes = encodeForkRequest(request);
          expect(bytes.ok && decodeForkRequest(packetOf(bytes.bytes))).toEqual(request);
        },
      ),
    );
  });

  it("have the bytes of the protocol", () => {
    const request = encodeForkRequest({ argv: ["x"], configPipe: false, onDemandSocket: true });
    expect(request.ok && [...request.bytes]).toEqual([35, 3, 0, 5, 1, 0, 120]);
    expect([...encodeForkAnswer(53)]).toEqual([35, 9, 0, 0, 3, 0, 112, 105, 100, 2, 0, 53, 51]);
  });

  it("refuse argument lists that do not fit", () => {
    expect(
      encodeForkRequest({
        argv: ["a".repeat(40000), "b".repeat(40000)],
        configPipe: false,
        onDemandSocket: false,
      }).ok,
    ).toBe(false);
  });

  it("believe no answer but a positive pid", () => {
    expect(decodeForkAnswer(packetOf(encodeForkAnswer(53)))).toBe(53);
    for (const pid of [0, -1, 1.5, 2 ** 31, Number.NaN])
      expect(decodeForkAnswer(packetOf(encodeForkAnswer(pid)))).toBeUndefined();
  });

  it("take any packet", () => {
    fc.assert(
      fc.property(anyPacket, (packet) => {
        decodeForkRequest(packet);
        decodeForkAnswer(packet);
        decodeSubscription(packet);
      }),
    );
  });
});

describe("commands", () => {
  it("read what they write", () => {
    const command: fc.Arbitrary<Command> = fc.record(
      { command: word, vassal: text, message: text },
      { requiredKeys: ["command"] },
    );
    fc.assert(
      fc.property(command, (value) => {
        const bytes = encodeCommand(value);
        expect(bytes.ok && decodeCommand(bytes.bytes)).toEqual({ ok: true, command: value });
      }),
    );
  });

  it("read the long form of the key and do not look at the header", () => {
    const bytes = encodeCommand({ command: "stop", vassal: "a.ini" });
    if (!bytes.ok) throw new Error(bytes.reason);
    bytes.bytes.set([255, 255, 255, 255]);
    expect(decodeCommand(bytes.bytes)).toEqual({
      ok: true,
      command: { command: "stop", vassal: "a.ini" },
    });
    expect(
      decodeCommand(
        Uint8Array.of(0, 0, 0, 0, 7, 0, ...new TextEncoder().encode("command"), 1, 0, 120),
      ),
    ).toEqual({
      ok: true,
      command: { command: "x" },
    });
  });

  it("are refused with a reason", () => {
    expect(decodeCommand(Uint8Array.of(0, 0))).toEqual({ ok: false, reason: "too-short" });
    expect(decodeCommand(Uint8Array.of(0, 0, 0, 0))).toEqual({ ok: false, reason: "no-command" });
    expect(decodeCommand(Uint8Array.of(0, 0, 0, 0, 9))).toEqual({ ok: false, reason: "malformed" });
    expect(decodeCommand(new Uint8Array(4097))).toEqual({ ok: false, reason: "too-large" });
    expect(encodeCommand({ command: "log", message: "x".repeat(5000) })).toMatchObject({
      ok: false,
      reason: "too-large",
    });
  });

  it("take any bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void decodeCommand(bytes)));
  });
});

describe("subscriptions", () => {
  it("read what they write", () => {
    const byte = fc.nat(255);
    const field = fc.tuple(fc.constantFrom("cores", "load", "weight", "sign", "unix"), text);
    const action = fc.constantFrom("subscribe" as const, "unsubscribe" as const);
    fc.assert(
      fc.property(
        fc.record({
          action,
          key: text,
          address: text,
          modifier1: byte,
          modifier2: byte,
          fields: fc.array(field, { maxLength: 3 }),
        }),
        (value) => {
          const bytes = encodeSubscription(value);
          expect(bytes.ok && decodeSubscription(packetOf(bytes.bytes))).toEqual(value);
        },
      ),
    );
  });

  it("need a key, an address and numbers that are bytes", () => {
    const bytes = encodeSubscription({
      action: "subscribe",
      key: "k",
      address: "a",
      modifier1: 300,
      modifier2: 0,
      fields: [],
    });
    expect(bytes.ok && decodeSubscription(packetOf(bytes.bytes))).toBeUndefined();
    expect(
      decodeSubscription({ modifier1: 224, modifier2: 0, body: new Uint8Array() }),
    ).toBeUndefined();
  });
});

describe("texts for systemd", () => {
  it("are uWSGI's where it has one", () => {
    expect(SD_NOTIFY.initializing()).toBe("STATUS=initializing uWSGI\n");
    expect(SD_NOTIFY.ready()).toBe("STATUS=uWSGI is ready\nREADY=1\n");
    expect(SD_NOTIFY.governing(2)).toBe("STATUS=The Emperor is governing 2 vassals\n");
    expect(SD_NOTIFY.buried()).toBe("STATUS=The Emperor is buried.\n");
  });

  it("cannot be broken out of", () => {
    expect(SD_NOTIFY.status("a\nREADY=1\r\nb")).toBe("STATUS=a READY=1 b\n");
  });

  it("say when a reload began", () => {
    expect(SD_NOTIFY.reloading(12.7)).toBe("RELOADING=1\nMONOTONIC_USEC=12\n");
  });
});
