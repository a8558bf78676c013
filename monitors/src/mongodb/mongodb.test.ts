import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { MonitorError } from "../errors.ts";
import { World } from "../testing/fake-court.ts";
import { readMongo2Address, readMongoAddress, withNodeName } from "./address.ts";
import { attributesOf, entryOf, secondsOf, versionOf } from "./documents.ts";
import { MongoSource } from "./mongo-source.ts";
import { parseRelaxedJson } from "./relaxed-json.ts";

// Properties are tried many times; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 60_000 });

/** Any UTF-16 units, in no order that means anything. */
const anyText = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
});

describe("JSON as people write it", () => {
  it.each([
    ["{enabled:1}", { enabled: 1 }],
    [
      "{'a b': 'it\\'s \"x\"', c: [1, -2.5e3, true, null,],}",
      { "a b": 'it\'s "x"', c: [1, -2500, true, null] },
    ],
    [
      '{"a":{$gt:{"$date":"2020-01-01T00:00:00Z"}}, b.c:"\\u00e9\\n"}',
      { a: { $gt: { $date: "2020-01-01T00:00:00Z" } }, "b.c": "é\n" },
    ],
    [" [ ] ", []],
  ])("%j", (text, value) => {
    expect(parseRelaxedJson(text)).toEqual(value);
  });

  it.each([
    "{",
    "{a}",
    "{a:}",
    "{a:b}",
    "{a:1 b:2}",
    "[1 2]",
    "{a:1}}",
    "{a:'x}",
    "{a:01}",
    "{:1}",
    "'\\x'",
    "process.exit()",
    "[".repeat(5000),
  ])("refuses %j", (text) => {
    expect(() => parseRelaxedJson(text)).toThrow(/^(?:has|ends|needs|cannot|is) /);
  });

  it("reads all JSON as JSON.parse does, and no text makes it fail otherwise", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const text = JSON.stringify(value);
        expect(JSON.stringify(parseRelaxedJson(text))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          parseRelaxedJson(text);
        } catch (error) {
          expect((error as Error).message).toMatch(/^(?:has|ends|needs|cannot|is) /);
        }
      }),
    );
  });

  it("has no way to a prototype", () => {
    const value = parseRelaxedJson('{__proto__:{"x":1}}');
    expect(Object.keys(value as object)).toEqual(["__proto__"]);
    expect((value as { x?: unknown }).x).toBeUndefined();
  });
});

describe("the address", () => {
  it("of mongodb:// has uWSGI's defaults", () => {
    const defaults = { database: "uwsgi", collection: "emperor.vassals", filter: {} };
    expect(readMongoAddress("")).toMatchObject({ servers: "127.0.0.1:27017", ...defaults });
    expect(readMongoAddress("h:1,emperor.vassals,{a:1, b:2}")).toMatchObject({
      servers: "h:1",
      database: "emperor",
      collection: "vassals",
      filter: { a: 1, b: 2 },
    });
  });

  it("of mongodb2:// has keys, their other names, and commas behind a backslash", () => {
    expect(
      readMongo2Address(
        "server=a:1\\,b:2,coll=d.c.x,json={a:1\\,b:'\\\\x'},db=d,username=u,password=p\\,q,replica=rs,defaults={plan:\"x\"}",
      ),
    ).toEqual({
      servers: "a:1,b:2",
      database: "d",
      collection: "c.x",
      filter: { a: 1, b: "\\x" },
      login: { username: "u", password: "p,q", source: "d" },
      replicaSet: "rs",
      defaults: { plan: "x" },
    });
  });

  it.each([
    ["jsn={a:1}", "which is none of"],
    ["predigest=1", "predigest"],
    ["username=u", "together"],
    ["collection=x", "DATABASE.COLLECTION"],
    ["json=[1]", "no document"],
    ["json={a:b},password=geheim,username=u", "texts need quotes"],
  ])("mongodb2://%s is an error without a password in it", (text, what) => {
    expect(() => readMongo2Address(text)).toThrow(MonitorError);
    expect(() => readMongo2Address(text)).toThrow(what);
    expect(() => readMongo2Address(text)).not.toThrow("geheim");
  });

  it("shows no password, wherever it was written", () => {
    const options = new World().options();
    const inServers = new MongoSource("mongodb", "u:se@cret@h:1,d.c", options);
    expect(inServers.address).toBe("mongodb://u:***@h:1,d.c");
    const byKey = new MongoSource("mongodb2", "addr=h,username=u,password=a b\\,c", options);
    expect(byKey.address + byKey.id).not.toContain("a b");
    expect(byKey.secrets).toContain("a b,c");
  });

  it("names this Emperor in texts of the filter", () => {
    expect(withNodeName({ h: { $in: ["${node}", "all"] }, n: 1 }, "west")).toEqual({
      h: { $in: ["west", "all"] },
      n: 1,
    });
  });
});

describe("a document", () => {
  it("gives seconds of a Date or of a number", () => {
    expect([new Date(5999), 7, "8", null, "soon", new Date(Number.NaN), {}].map(secondsOf)).toEqual(
      [5, 7, 8, 0, 0, 0, 0],
    );
  });

  it("is another version when anything of it but the config changes", () => {
    const document = {
      name: "a.ini",
      ts: new Date(1),
      uid: 1,
      gid: 1,
      socket: "s",
      plan: "x",
      config: "c",
    };
    const version = versionOf(document, ["plan"]);
    expect(versionOf({ ...document, config: "other" }, ["plan"])).toBe(version);
    for (const change of [
      { ts: new Date(2) },
      { uid: 2 },
      { gid: 2 },
      { socket: "" },
      { plan: "y" },
    ])
      expect(versionOf({ ...document, ...change }, ["plan"])).not.toBe(version);
  });

  it("takes attributes that are texts, else the default", () => {
    const document = { a: "1", b: ["2", 3, "4"], c: 5 };
    expect(attributesOf(document, ["a", "b", "c", "d"], { d: ["x", "y"], a: "no" })).toEqual({
      a: ["1"],
      b: ["2", "4"],
      d: ["x", "y"],
    });
  });

  it("has ids only where they are ids, and a file where it has no config", () => {
    const entry = entryOf({ name: "a.ini", uid: 1000, gid: -5, config: "", socket: "" }, [], {});
    expect(entry).toEqual({
      name: "a.ini",
      version: entry.version,
      modifiedAt: 0,
      attributes: {},
      uid: 1000,
    });
    expect(entryOf({ name: "a.ini", config: 5 }, [], {}).refusal).toBe("its config is no text");
  });
});
