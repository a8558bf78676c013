/** Blocks: loops, conditions, else, and what is wrong with them. */
import { describe, expect, it } from "vitest";
import { FACTS, iniList, load } from "./testing/fake-host.ts";

/** What the lines of a block give; the logic options themselves are left out. */
async function block(
  text: string,
  input: Parameters<typeof iniList>[1] = {},
): Promise<readonly string[]> {
  const list = await iniList(`[uwsgi]\n${text}`, input);
  return list.filter((line) => !/^(?:if|for|end|else)/.test(line));
}

describe("loops", () => {
  it("repeat each line on its own, per word", async () => {
    expect(await block("for = a b  c\nx%(_) = v%(_)\ny = 1\nendfor =\nz = %(_)\n")).toEqual([
      "x%(_) = va",
      "x%(_) = vb",
      "x%(_) = vc",
      "y = 1",
      "y = 1",
      "y = 1",
      "z = %(_)",
    ]);
  });

  it("fill in parts of an expression, and options that are executed at once", async () => {
    const files = { "1.ini": "[uwsgi]\none = %n\n", "2.ini": "[uwsgi]\ntwo = %n\n" };
    expect(
      await block("base = 10\nfor-times = 2\ny = %(base + %(_))\ninclude = %(_).ini\nendfor =\n", {
        files,
      }),
    ).toEqual([
      "base = 10",
      "y = 11",
      "y = 12",
      "include = 1.ini",
      "one = 1",
      "include = 2.ini",
      "two = 2",
    ]);
  });

  it("take paths sorted, directories with a slash, no hidden ones, or the pattern itself", async () => {
    const files = {
      "/d/b.txt": "",
      "/d/a.txt": "",
      "/d/.c.txt": "",
      "/d/sub.txt/x": "",
      "/d/a.ini": "",
    };
    expect(await block("for-glob = /d/*.txt\np = %(_)\nendfor =\n", { files })).toEqual([
      "p = /d/a.txt",
      "p = /d/b.txt",
      "p = /d/sub.txt/",
    ]);
    expect(await block("for-glob = /d/[!a]?t*\np = %(_)\nendfor =\n", { files })).toEqual([
      "p = /d/b.txt",
    ]);
    expect(await block("for-glob = /d/[ab].{txt,ini}\np = %(_)\nendfor =\n", { files })).toEqual([
      "p = /d/[ab].{txt,ini}",
    ]);
    expect(await block("for-glob = /*/a.*\np = %(_)\nendfor =\n", { files })).toEqual([
      "p = /d/a.ini",
      "p = /d/a.txt",
    ]);
  });

  it("take the lines of a file", async () => {
    expect(
      await block("for-readline = f\nl = %(_)\nendfor =\n", {
        files: { f: "one\ntwo words\n\nlast" },
      }),
    ).toEqual(["l = one", "l = two words", "l = ", "l = last"]);
  });

  it.each(["for =", "for-times = 0", "for-readline = nope"])("%s gives no line", async (loop) => {
    expect(await block(`${loop}\nx = 1\nendfor =\n`)).toEqual([]);
  });

  it("need a number, and are bounded", async () => {
    expect(await block("for-times = many\nx = 1\nendfor =\n")).toEqual([
      expect.stringMatching(/^bad-directive: .*app.ini:2/),
    ]);
    expect(await block("for-times = 999999999\nx = 1\nendfor =\n")).toEqual([
      expect.stringMatching(/^too-large: .*app.ini:2/),
    ]);
  });
});

describe("conditions", () => {
  const environment = { A: "1", EMPTY: "", UWSGI_RELOADS: "1" };
  const files = { "/d/f": "" };

  it.each([
    ["if-env = A", "1"],
    ["ifenv = A=1", "1"],
    ["if-env = A=2", undefined],
    ["if-env = EMPTY=", ""],
    ["if-env = NOPE=", undefined],
    ["if-env = A =1", undefined],
    ["if-not-env = NOPE", "%(_)"],
    ["if-not-env = A=2", "1"],
    ["if-not-env = A", undefined],
    ["if-opt = known", "first"],
    ["if-opt = known=first", "first"],
    ["if-opt = known=second", undefined],
    ["if-opt = master", undefined],
    ["if-not-opt = master", "%(_)"],
    ["if-opt = processes=4", "4"],
    ["if-exists = /d/f", "/d/f"],
    ["if-exists =", undefined],
    ["ifexists = /d", "/d"],
    ["if-not-exists = /x", "/x"],
    ["if-file = /d/f", "/d/f"],
    ["if-file = /d", undefined],
    ["if-not-file = /d", "/d"],
    ["if-dir = /d", "/d"],
    ["if-directory = /d/f", undefined],
    ["ifdir = /d", "/d"],
    ["if-not-dir = /d/f", "/d/f"],
    ["if-plugin = python", "python"],
    ["ifplugin = lua", undefined],
    ["if-not-plugin = lua", "lua"],
    ["if-hostname = box", "box"],
    ["if-not-hostname = box", undefined],
    ["if-hostname-match = ^b.x$", "^b.x$"],
    ["if-not-hostname-match = ^x", "^x"],
    ["if-reload =", "%(_)"],
    ["if-not-reload = any", undefined],
  ])("%s: %j", async (condition, expected) => {
    const text = `known = first\nknown = second\n${condition}\nx = %(_)\nendif =\n`;
    const list = await block(text, {
      argv: ["-M", "-p", "4", "--ini", "app.ini"],
      environment,
      files,
      hasPlugin: (name) => name === "python",
      facts: FACTS,
    });
    expect(list.filter((line) => line.startsWith("x"))).toEqual(
      expected === undefined ? [] : [`x = ${expected}`],
    );
  });

  it("are evaluated anew for every line", async () => {
    expect(await block("if-not-opt = x\nx = 1\ny = 2\nendif =\n")).toEqual(["x = 1"]);
  });

  it("have an else", async () => {
    expect(await block("if-env = A\nx = 1\nelse =\ny = 2\nendif =\n", { environment })).toEqual([
      "x = 1",
    ]);
    expect(await block("if-env = B\nx = 1\nelse =\ny = 2\nendif =\n", { environment })).toEqual([
      "y = 2",
    ]);
    expect(await block("if-env = B\nelse =\ny = 2\nendif =\n", { environment })).toEqual(["y = 2"]);
  });

  it("work on the command line", async () => {
    const result = await load({
      argv: [
        "--if-env",
        "A",
        "--set",
        "x=%(_)",
        "--endif",
        "--if-env",
        "B",
        "--set",
        "y=1",
        "--endif",
      ],
      environment,
    });
    expect(
      result.entries
        .filter(({ key }) => key === "x" || key === "y")
        .map(({ key, value }) => `${key}=${value}`),
    ).toEqual(["x=1"]);
  });

  it.each(["endif", "end-if", "endfor", "end-for"])("end with %s", async (end) => {
    expect(await block(`if-env = B\nx = 1\n${end}\ny = 2\n`)).toEqual(["y = 2"]);
  });

  it("refuse what is no regular expression", async () => {
    expect(await block("if-hostname-match = (\nx = 1\nendif =\n")).toEqual([
      expect.stringMatching(/^bad-directive: .*app.ini:2/),
    ]);
  });
});

describe("blocks", () => {
  it("must have an end in their own file, where uWSGI lets them run into the next", async () => {
    expect(await block("x = 1\nif-env = A\ny = 1\n")).toEqual([
      expect.stringMatching(/^unclosed-block: .*app.ini:3: "if-env"/),
    ]);
    expect(
      await block("include = b.ini\nendif =\n", { files: { "b.ini": "[uwsgi]\nfor = a\n" } }),
    ).toEqual([expect.stringMatching(/^unclosed-block: .*b.ini:2/)]);
    expect((await load({ argv: ["--if-env", "A"] })).errors).toMatchObject([
      { code: "unclosed-block", line: 1 },
    ]);
  });

  it("do not nest: an error where the block counts, a warning where it does not", async () => {
    expect(
      await block("if-env = A\nfor = x y\nz = 1\nendfor =\nendif =\n", { environment: { A: "1" } }),
    ).toEqual([
      expect.stringMatching(
        /^nested-logic: .*app.ini:3: recursive logic in options is not supported \(option = for\)/,
      ),
    ]);
    const result = await load({
      files: { "app.ini": "[uwsgi]\nif-env = A\nfor = x y\nz = 1\nendfor =\nw = 1\nendif =\n" },
    });
    expect(result.errors).toEqual([]);
    expect(result.entries.some(({ key }) => key === "w")).toBe(true);
    expect(
      result.warnings
        .filter(({ code }) => code !== "unknown-key")
        .map(({ code, origin }) => [code, origin?.line]),
    ).toEqual([
      ["nested-logic", 3],
      ["stray-end", 7],
    ]);
  });

  it("may include a file that has blocks of its own", async () => {
    const files = { "b.ini": "[uwsgi]\nfor = p q\nn = %(_)\nendfor =\n" };
    expect(await block("for = 1 2\ninclude = b.ini\nendfor =\n", { files })).toEqual([
      "include = b.ini",
      "n = p",
      "n = q",
      "include = b.ini",
      "n = p",
      "n = q",
    ]);
  });
});
