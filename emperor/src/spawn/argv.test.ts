import { describe, expect, test } from "vitest";
import { VassalArguments } from "./argv.ts";
import { testSettings, testSpec } from "./spawn.fixture.ts";

function argumentsOf(changes: Parameters<typeof testSettings>[0] = {}): VassalArguments {
  return new VassalArguments(testSettings(changes));
}

describe("the type of a config", () => {
  test.each([
    ["a.xml", "--xml"],
    ["a.ini", "--ini"],
    ["a.yml", "--yaml"],
    ["a.yaml", "--yaml"],
    ["a.js", "--json"],
    ["a.json", "--json"],
    [".ini", "--ini"],
    ["a.INI", "--inherit"],
    ["key", "--inherit"],
    ["", "--inherit"],
    ["ini", "--inherit"],
  ])("of %j is %s", (name, type) => {
    expect(argumentsOf().typeOf(name)).toBe(type);
  });

  test("an extra extension gives --config and wins over a known one", () => {
    const vassals = argumentsOf({ extraExtensions: [".lua", ".skel.ini", ""] });
    expect(vassals.typeOf("a.lua")).toBe("--config");
    expect(vassals.typeOf("a.skel.ini")).toBe("--config");
    expect(vassals.typeOf("a.ini")).toBe("--ini");
  });
});

describe("the arguments", () => {
  test("stand in uWSGI's order: inherit, include, set, config, inherit, include", () => {
    const vassals = argumentsOf({
      include: ["a"],
      set: ["processes=8", "x=1"],
      inherit: ["b", "bb"],
      includeBefore: ["c"],
      inheritBefore: ["d"],
    });
    expect(vassals.build(testSpec({ name: "v.ini" }), "name", false)).toEqual([
      ...["--inherit", "d", "--include", "c", "--set", "processes=8", "--set", "x=1"],
      ...["--ini", "v.ini"],
      ...["--inherit", "b", "--inherit", "bb", "--include", "a"],
    ]);
  });

  test("a pushed config is named by emperor://, an executed one by exec://", () => {
    const vassals = argumentsOf();
    expect(vassals.build(testSpec(), "pipe", false)).toEqual(["--ini", "emperor://a.ini"]);
    expect(vassals.build(testSpec(), "exec", false)).toEqual(["--ini", "exec://a.ini"]);
    expect(vassals.build(testSpec(), "exec", false, "/v/a.ini")).toEqual([
      "--ini",
      "exec:///v/a.ini",
    ]);
  });

  test("names reach the vassal unchanged, whatever is in them", () => {
    const name = "a b'\";$(x)ä.ini";
    expect(argumentsOf().build(testSpec({ name }), "name", false)).toEqual(["--ini", name]);
  });

  test("only an explicit zerg's type ends at the colon", () => {
    const zerg = testSpec({ name: "b.ini:zerg" });
    expect(argumentsOf().build(zerg, "name", true)).toEqual(["--ini", "b.ini:zerg"]);
    expect(argumentsOf().build(zerg, "name", false)).toEqual(["--inherit", "b.ini:zerg"]);
  });
});
