/** xml, yaml and json: what each gives, and what is wrong with a file and line. */
import { describe, expect, it } from "vitest";
import { listOf, load } from "./testing/fake-host.ts";

async function read(name: string, text: string, section = ""): Promise<readonly string[]> {
  const format = name.split(".").at(-1) ?? "";
  const result = await load({
    argv: [`--${format}`, `${name}${section}`],
    files: { [name]: text },
  });
  return result.errors.length > 0
    ? result.errors.map(({ code, line }) => `${code} in line ${line}`)
    : listOf(result);
}

async function warnings(name: string, text: string): Promise<readonly string[]> {
  const format = name.split(".").at(-1) ?? "";
  const result = await load({ argv: [`--${format}`, name], files: { [name]: text } });
  return result.warnings
    .filter(({ code }) => code !== "unknown-key")
    .map(({ code, origin }) => `${code} in line ${origin?.line}`);
}

describe("xml", () => {
  it("gives one pair per element, text untrimmed, no text as 1", async () => {
    const text = "<uwsgi>\n <a> x </a>\n <flag/>\n <empty></empty>\n <a>2</a>\n</uwsgi>";
    expect(await read("a.xml", text)).toEqual(["a =  x ", "flag = 1", "empty = 1", "a = 2"]);
  });

  it("reads entities, CDATA and what stands around comments", async () => {
    expect(
      await read(
        "a.xml",
        "<uwsgi><a>&lt;&#65;&amp;</a><b><![CDATA[<x>]]></b><c>1<!-- no -->2</c></uwsgi>",
      ),
    ).toEqual(["a = <A&", "b = <x>", "c = 12"]);
  });

  it("finds the first <uwsgi> in any root", async () => {
    const text =
      '<c><uwsgi id="one"><a>1</a></uwsgi><x><uwsgi><no>1</no></uwsgi></x><uwsgi><b>2</b></uwsgi></c>';
    expect(await read("a.xml", text)).toEqual(["a = 1"]);
    expect(await read("a.xml", text, ":one")).toEqual(["a = 1"]);
    expect(await read("a.xml", text, ":two")).toEqual(["b = 2"]);
  });

  it("skips elements with another id when the root is <uwsgi> and a section is asked for", async () => {
    const text = '<uwsgi><a id="x">1</a><b id="y">2</b><c>3</c></uwsgi>';
    expect(await read("a.xml", text, ":x")).toEqual(["a = 1", "c = 3"]);
    expect(await read("a.xml", text)).toEqual(["a = 1", "b = 2", "c = 3"]);
  });

  it("maps <app> to mount and CDATA in the root to eval", async () => {
    expect(
      await read("a.xml", '<uwsgi><app mountpoint="/x">mod</app><![CDATA[code]]></uwsgi>'),
    ).toEqual(["mount = /x=mod", "eval = code"]);
  });

  it("refuses what the original crashes on or gives up at", async () => {
    expect(await read("a.xml", "<uwsgi>\n<a>\n<b/></a></uwsgi>")).toEqual(["syntax in line 3"]);
    expect(await read("a.xml", "<uwsgi>\n<a>&nope;</a></uwsgi>")).toEqual(["syntax in line 2"]);
    expect(await read("a.xml", "<uwsgi>\n<a>")).toEqual(["syntax in line 2"]);
    expect(await read("a.xml", "<other/>")).toEqual(["missing-section in line 0"]);
    expect(await read("a.xml", '<c><uwsgi id="a"/></c>', ":b")).toEqual([
      "missing-section in line 0",
    ]);
    expect(await read("a.xml", "")).toEqual(["syntax in line 1"]);
  });

  it("knows the line of every value", async () => {
    const { entries } = await load({
      argv: ["--xml", "a.xml"],
      files: { "a.xml": '<uwsgi>\n\n<a x="1"\n>x</a>\n<b>y</b></uwsgi>' },
    });
    expect(entries.slice(1).map(({ key, origin }) => [key, origin.line])).toEqual([
      ["a", 3],
      ["b", 5],
    ]);
  });

  it("warns of the mode attribute and of stray text", async () => {
    expect(await warnings("a.xml", '<uwsgi mode="x">\nstray<a/>\n</uwsgi>')).toEqual([
      "ignored-content in line 1",
      "ignored-content in line 2",
    ]);
  });
});

describe("yaml", () => {
  it("keeps scalars as they are written", async () => {
    expect(
      await read(
        "a.yaml",
        "uwsgi:\n  a: yes\n  b: 012\n  c: 'q'\n  d: \"a\\tb\"\n  e: null\n  f: ''\n",
      ),
    ).toEqual(["a = yes", "b = 012", "c = q", "d = a\tb", "e = null", "f = "]);
  });

  it("repeats keys and lists, and flattens mappings", async () => {
    const text =
      "uwsgi:\n  a: 1\n  a: 2\n  l: [x, 'y']\n  m:\n    - p\n    - q\n  n:\n    deep:\n      er: 1\n";
    expect(await read("a.yaml", text)).toEqual([
      "a = 1",
      "a = 2",
      "l = x",
      "l = y",
      "m = p",
      "m = q",
      "er = 1",
    ]);
  });

  it("keeps the newline of a block scalar", async () => {
    expect(await read("a.yaml", "uwsgi:\n  a: |\n    x\n    y\n  b: >-\n    p\n    q\n")).toEqual([
      "a = x\ny\n",
      "b = p q",
    ]);
  });

  it("replaces magic variables before it parses", async () => {
    expect(await read("app.yaml", "uwsgi:\n  a: %n\n")).toEqual(["a = app"]);
  });

  it("finds the section at any depth, the outermost first, and only once", async () => {
    expect(await read("a.yaml", "x:\n  s:\n    a: 1\ns:\n  b: 2\ns:\n  c: 3\n", ":s")).toEqual([
      "b = 2",
    ]);
    expect(await read("a.yaml", "x:\n  s:\n    a: 1\n", ":s")).toEqual(["a = 1"]);
  });

  it("knows anchors, merges and flow mappings, which the original drops silently", async () => {
    expect(
      await read("a.yaml", "base: &b\n  a: 1\nuwsgi:\n  <<: *b\n  c: {d: 2, e: [3, 4]}\n"),
    ).toEqual(["a = 1", "d = 2", "e = 3", "e = 4"]);
    expect(await read("a.yaml", "uwsgi: {a: 1}\n")).toEqual(["a = 1"]);
  });

  it("warns of what gives no pair", async () => {
    expect(await warnings("a.yaml", "uwsgi:\n  a:\n")).toEqual(["ignored-content in line 2"]);
    expect(await warnings("a.yaml", "uwsgi: text\n")).toEqual(["ignored-content in line 1"]);
    expect(await warnings("a.yaml", "")).toEqual(["missing-section in line 0"]);
    expect(await warnings("a.yaml", "- a\n- b\n")).toEqual(["missing-section in line 0"]);
  });

  it("refuses broken texts with their line", async () => {
    expect(await read("a.yaml", "uwsgi:\n  a: [1\n")).toEqual(["syntax in line 3"]);
    expect(await read("a.yaml", "uwsgi:\n  a: 1\n b: 2\n")).toEqual(["syntax in line 3"]);
    expect(await read("a.yaml", "uwsgi:\n  a: *nope\n")).toEqual(["syntax in line 2"]);
    expect(await read("a.yaml", "uwsgi:\n  ? [a]\n  : 1\n")).toEqual(["syntax in line 2"]);
    expect(await read("a.yaml", "a:\n  b: 1\n", ":c")).toEqual(["missing-section in line 0"]);
  });

  it("is bounded when aliases multiply or hold themselves", async () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) => `l${level + 1}: &l${level + 1} [${`*l${level}, `.repeat(9)}]`,
    );
    expect(
      await read("a.yaml", ["l0: &l0 [x]", ...levels, "uwsgi:", "  a: *l12", ""].join("\n")),
    ).toEqual([expect.stringContaining("too-large")]);
    expect(await read("a.yaml", "uwsgi: &u\n  a: *u\n")).toEqual(["too-large in line 2"]);
  });

  it("knows the line of every value", async () => {
    const { entries } = await load({
      argv: ["--yaml", "a.yaml"],
      files: { "a.yaml": "# c\nuwsgi:\n  a: 1\n\n  l:\n    - x\n    - y\n" },
    });
    expect(entries.slice(1).map(({ key, origin }) => [key, origin.line])).toEqual([
      ["a", 3],
      ["l", 6],
      ["l", 7],
    ]);
  });
});

describe("json", () => {
  it("gives strings, the text of numbers, 1 and 0", async () => {
    const text = '{"uwsgi":{"a":"x","b":1.5,"c":12345678901,"d":-1e3,"t":true,"f":false,"n":null}}';
    expect(await read("a.json", text)).toEqual([
      "a = x",
      "b = 1.5",
      "c = 12345678901",
      "d = -1e3",
      "t = 1",
      "f = 0",
      "n = 0",
    ]);
  });

  it("repeats arrays and counts repeated keys", async () => {
    expect(await read("a.json", '{"uwsgi":{"a":["1",2,true],"a":"3","e":[]}}')).toEqual([
      "a = 1",
      "a = 2",
      "a = 1",
      "a = 3",
    ]);
  });

  it("reads escapes, comments and magic variables", async () => {
    expect(await read("app.json", '/* c */ {"uwsgi": { // c\n "a": "\\u00e9\\n\\"%n" } }')).toEqual(
      ['a = é\n"app'],
    );
  });

  it("ignores objects and nested arrays, and a second section, with a warning", async () => {
    const text = '{"uwsgi":{"o":{"x":1},"a":[[1],{"y":2},"z"]},\n"uwsgi":{"no":1}}';
    expect(await read("a.json", text)).toEqual(["a = z"]);
    expect(await warnings("a.json", text)).toEqual([
      "duplicate-section in line 2",
      "ignored-content in line 1",
      "ignored-content in line 1",
      "ignored-content in line 1",
    ]);
  });

  it("refuses broken texts with their line", async () => {
    const broken: readonly [text: string, expected: string][] = [
      ['{"uwsgi":{}} x', "syntax in line 1"],
      ['{"uwsgi":{"a":1,}}', "syntax in line 1"],
      ['{\n"uwsgi":{"a" 1}}', "syntax in line 2"],
      ['{"uwsgi":{"a":"b\n"}}', "syntax in line 1"],
      ['{"uwsgi":{"a":tru}}', "syntax in line 1"],
      ['{"uwsgi":{"a":01}}', "syntax in line 1"],
      ['{"uwsgi":{"a":"\\q"}}', "syntax in line 1"],
      ['{"uwsgi":{"a":"\\u12"}}', "syntax in line 1"],
      ['{"uwsgi":{a:1}}', "syntax in line 1"],
      ["[1]", "syntax in line 1"],
      ['{"uwsgi":1}', "syntax in line 1"],
      ["/* ", "syntax in line 1"],
      ["", "syntax in line 1"],
      [`{"uwsgi":${"[".repeat(500)}`, "syntax in line 1"],
      ['{"other":{}}', "missing-section in line 0"],
    ];
    for (const [text, expected] of broken)
      expect([text, await read("a.json", text)]).toEqual([text, [expected]]);
  });

  it("knows the line of every value", async () => {
    const { entries } = await load({
      argv: ["--json", "a.json"],
      files: { "a.json": '{"uwsgi":\n{"a":1,\n"l":["x",\n"y"]}}' },
    });
    expect(entries.slice(1).map(({ key, origin }) => [key, origin.line])).toEqual([
      ["a", 2],
      ["l", 3],
      ["l", 4],
    ]);
  });
});
