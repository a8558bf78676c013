import { describe, expect, test } from "vitest";
import { readList } from "./list.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function list(vassals: unknown, mustBeList = false): ReturnType<typeof readList> {
  return readList(bytes(JSON.stringify({ vassals })), "web1", mustBeList);
}

function entries(vassals: unknown): unknown {
  const answer = list(vassals);
  return answer.kind === "list" ? answer.entries : answer;
}

describe("a list", () => {
  test("gives entries with all that they may say", () => {
    expect(
      entries([
        { name: "a.ini", config: "[uwsgi]" },
        {
          name: "b.ini",
          config: "[uwsgi]",
          ts: 1700000000.5,
          uid: 33,
          gid: 34,
          socket: "/run/b.sock",
          attributes: { plan: "gold", tag: ["x", "y"] },
        },
      ]),
    ).toEqual([
      { name: "a.ini", config: bytes("[uwsgi]"), version: expect.any(String) },
      {
        name: "b.ini",
        config: bytes("[uwsgi]"),
        version: expect.any(String),
        modifiedAt: 1_700_000_000,
        uid: 33,
        gid: 34,
        socket: "/run/b.sock",
        attributes: { plan: ["gold"], tag: ["x", "y"] },
      },
    ]);
  });

  test("has another version of an entry when anything of it is another", () => {
    const version = (more: object): unknown => {
      const answer = list([{ name: "a.ini", config: "x", ...more }]);
      return answer.kind === "list" ? answer.entries[0]?.version : undefined;
    };
    const all = [
      {},
      { ts: 1 },
      { ts: 2 },
      { uid: 1 },
      { gid: 1 },
      { socket: "/s" },
      { config: "y" },
    ];
    expect(new Set(all.map(version)).size).toBe(all.length);
    expect(version({ ts: 1 })).toBe(version({ ts: 1 }));
    expect(version({ node: "web1" })).toBe(version({}));
  });

  test("may say which Emperors run an entry", () => {
    expect(
      entries([
        { name: "here.ini", config: "x", node: "web1" },
        { name: "both.ini", config: "x", node: ["web1", "web2"] },
        { name: "there.ini", config: "x", node: "web2" },
        { name: "any.ini", config: "x", node: null },
      ]),
    ).toMatchObject([{ name: "here.ini" }, { name: "both.ini" }, { name: "any.ini" }]);
  });

  test("takes null for a value that is left out", () => {
    expect(
      entries([{ name: "a.ini", config: "x", ts: null, uid: null, gid: null, socket: null }]),
    ).toEqual([{ name: "a.ini", config: bytes("x"), version: expect.any(String) }]);
  });

  test.each([
    [{ config: 7 }, "config is no text"],
    [{}, "config is no text"],
    [{ config: "x", ts: "yesterday" }, "ts is no number"],
    [{ config: "x", ts: -1 }, "ts is no number"],
    [{ config: "x", uid: "root" }, "uid is no number"],
    [{ config: "x", gid: 4_294_967_295 }, "gid is no number"],
    [{ config: "x", socket: [] }, "socket is no text"],
    [{ config: "x", attributes: { a: 1 } }, "attributes are no object"],
  ])("refuses %j of a name, which keeps the vassal as it is", (fields, refusal) => {
    expect(entries([{ name: "a.ini", ...fields }])).toMatchObject([
      { name: "a.ini", refusal: expect.stringContaining(refusal) },
    ]);
  });

  test("tells of entries without a name and of names that are there twice", () => {
    const answer = list([
      null,
      { config: "x" },
      { name: "a.ini", config: "first" },
      { name: "a.ini", config: "second" },
    ]);
    expect(answer).toMatchObject({
      entries: [{ name: "a.ini", config: bytes("first") }],
      problems: [
        "entry 1 of the list is no object",
        "entry 2 of the list has no name",
        expect.any(String),
      ],
    });
  });

  test("may be empty", () => {
    expect(list([])).toEqual({ kind: "list", entries: [], problems: [] });
  });
});

describe("what is no list", () => {
  test("is a config, also one in JSON", () => {
    for (const text of ["[uwsgi]\n", '{"uwsgi": {"master": true}}', "", "{broken", "[1]"])
      expect(readList(bytes(text), "", false)).toEqual({ kind: "config" });
  });

  test.each([
    ["<html>502</html>", "no JSON object"],
    ['{"vassals": [', "no JSON object"],
    ['{"vassal": []}', "no array vassals"],
    ['{"vassals": {}}', "no array"],
  ])("is an error where a list must be: %s", (text, why) => {
    expect(readList(bytes(text), "", true)).toEqual({
      kind: "broken",
      why: expect.stringContaining(why),
    });
  });
});
