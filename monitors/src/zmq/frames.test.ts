import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readZmqFrames } from "./frames.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = (...frames: string[]): unknown => readZmqFrames(frames.map(bytes));

describe("a message", () => {
  test("touches a vassal, with all that may follow its name", () => {
    expect(read("touch", "a.ini")).toEqual({ kind: "touch", entry: { name: "a.ini" } });
    expect(read("touch", "a.ini", "[uwsgi]")).toEqual({
      kind: "touch",
      entry: { name: "a.ini", config: bytes("[uwsgi]") },
    });
    expect(read("touch", "a.ini", "[uwsgi]", "33", "34", "/run/a.sock")).toEqual({
      kind: "touch",
      entry: { name: "a.ini", config: bytes("[uwsgi]"), uid: 33, gid: 34, socket: "/run/a.sock" },
    });
  });

  test("destroys a vassal; what follows the name has no meaning then", () => {
    expect(read("destroy", "a.ini")).toEqual({ kind: "destroy", name: "a.ini" });
    expect(read("destroy", "a.ini", "x", "y")).toEqual({ kind: "destroy", name: "a.ini" });
  });

  test.each([
    [["touch", "a.ini", "[uwsgi]", "33", "34"], { uid: 33, gid: 34 }],
    [["touch", "a.ini", "[uwsgi]", "33", "34", ""], { uid: 33, gid: 34 }],
    [["touch", "a.ini", "[uwsgi]", "", "", ""], {}],
    [["touch", "a.ini", "[uwsgi]", "", "7"], { gid: 7 }],
  ])("takes an empty frame for one that is left out: %j", (frames, ids) => {
    expect(read(...frames)).toEqual({
      kind: "touch",
      entry: { name: "a.ini", config: bytes("[uwsgi]"), ...ids },
    });
  });

  test("with an empty config means the file of that name", () => {
    expect(read("touch", "a.ini", "", "1", "2")).toEqual({
      kind: "touch",
      entry: { name: "a.ini", uid: 1, gid: 2 },
    });
  });

  test.each([
    [[], "required"],
    [["touch"], "required"],
    [["dance", "a.ini"], 'its command "dance" is unknown'],
    [["TOUCH", "a.ini"], "unknown"],
    [["touch\nforged line", "a.ini"], '"touch\\nforged line"'],
    [["touch", "a.ini", "c", "root"], 'its uid "root" is no number'],
    [["touch", "a.ini", "c", "-1"], "uid"],
    [["touch", "a.ini", "c", "4294967295"], "uid"],
    [["touch", "a.ini", "c", "1", "1e3"], "gid"],
    [["touch", "a.ini", "c", "1", "2", `/${"s".repeat(107)}`], "108 bytes"],
    [["touch", "a.ini", "c", "1", "2", "/s", "more"], "7 frames"],
  ])("is refused with its reason: %j", (frames, reason) => {
    expect(read(...frames)).toEqual({ kind: "malformed", why: expect.stringContaining(reason) });
  });

  test("keeps a name that is not UTF-8 recognisable as such, and of a huge one enough to refuse it", () => {
    expect(readZmqFrames([bytes("touch"), Uint8Array.of(0xff, 0x2e)])).toEqual({
      kind: "touch",
      entry: { name: "\ufffd." },
    });
    const huge = readZmqFrames([bytes("touch"), bytes(`${"n".repeat(1_000_000)}.ini`)]);
    expect(huge.kind === "touch" && huge.entry.name.length).toBe(1024);
  });

  test("does not share the memory of its frames", () => {
    const frame = bytes("[uwsgi]");
    const command = readZmqFrames([bytes("touch"), bytes("a.ini"), frame]);
    frame.fill(0);
    expect(command.kind === "touch" && command.entry.config).toEqual(bytes("[uwsgi]"));
  });

  test("of any bytes at all is read without an error, and a log line of it stays one", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), (frames) => {
        const command = readZmqFrames(frames);
        expect(command.kind === "malformed" && /[\n\r\0]/.test(command.why)).toBe(false);
      }),
    );
  });
});
