import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { namesNode } from "../node-filter.ts";
import { readAmqpDelivery } from "./message.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function read(routingKey: string, body: string, headers: Record<string, unknown> = {}): unknown {
  return readAmqpDelivery({ routingKey, body: bytes(body), headers }, "web1");
}

describe("a message with a routing key", () => {
  test("is a config, or with an empty body the end of it", () => {
    expect(read("a.ini", "[uwsgi]")).toEqual({
      kind: "config",
      name: "a.ini",
      config: bytes("[uwsgi]"),
    });
    expect(read("a.ini", "")).toEqual({ kind: "remove", name: "a.ini" });
  });

  test("may name owner and socket in its headers", () => {
    expect(read("a.ini", "x", { uid: 33, gid: "34", socket: "/run/a.sock" })).toEqual({
      kind: "config",
      name: "a.ini",
      config: bytes("x"),
      uid: 33,
      gid: 34,
      socket: "/run/a.sock",
    });
    expect(read("a.ini", "x", { socket: "" })).toEqual({
      kind: "config",
      name: "a.ini",
      config: bytes("x"),
    });
  });

  test.each([
    [{ uid: "root" }, "uid"],
    [{ uid: -1 }, "uid"],
    [{ gid: 4_294_967_295 }, "gid"],
    [{ gid: 1.5 }, "gid"],
    [{ gid: { "!": "timestamp", value: 1 } }, "gid"],
    [{ socket: 7 }, "socket"],
  ])("with headers %j is refused", (headers, key) => {
    expect(read("a.ini", "x", headers)).toEqual({
      kind: "malformed",
      why: expect.stringContaining(`header ${key}`),
    });
  });

  test("that names other Emperors takes the vassal away from this one", () => {
    expect(read("a.ini", "x", { node: "web2" })).toEqual({ kind: "remove", name: "a.ini" });
    expect(read("a.ini", "x", { node: ["web2", "web1"] })).toMatchObject({ kind: "config" });
    expect(read("", "/etc/a.ini", { node: "web2" })).toEqual({
      kind: "remove",
      name: "/etc/a.ini",
    });
    expect(namesNode(undefined, "web1")).toBe(true);
    expect(namesNode([], "web1")).toBe(false);
  });
});

describe("a message without a routing key", () => {
  test("is a path or a URL", () => {
    expect(read("", "/etc/vassals/a.ini")).toEqual({ kind: "file", path: "/etc/vassals/a.ini" });
    expect(read("", "http://host/a.ini")).toEqual({ kind: "url", url: "http://host/a.ini" });
    expect(read("", "https://host/a.ini")).toEqual({ kind: "url", url: "https://host/a.ini" });
  });

  test.each([
    ["", "names no vassal"],
    ["x".repeat(255), "255 bytes are too long"],
    ["http://", "no valid URL"],
    ["http://[bad/\nforged", "\\n"],
  ])("%j is refused", (body, reason) => {
    expect(read("", body)).toEqual({ kind: "malformed", why: expect.stringContaining(reason) });
  });

  test("that is not UTF-8 is refused", () => {
    const delivery = { routingKey: "", body: Uint8Array.of(0x2f, 0xff), headers: {} };
    expect(readAmqpDelivery(delivery, "")).toMatchObject({ kind: "malformed" });
  });
});

test("any message at all is read without an error, and a log line of it stays one", () => {
  fc.assert(
    fc.property(fc.string(), fc.uint8Array(), fc.anything(), (routingKey, body, uid) => {
      const command = readAmqpDelivery({ routingKey, body, headers: { uid } }, "");
      expect(command.kind === "malformed" && /[\n\r\0]/.test(command.why)).toBe(false);
    }),
  );
});
