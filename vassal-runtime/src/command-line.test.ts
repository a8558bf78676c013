import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { splitCommandLine } from "./command-line.ts";

const argvOf = (text: string): readonly string[] => {
  const result = splitCommandLine(text);
  if (!result.ok) throw new Error(result.reason);
  return result.argv;
};

describe("splitCommandLine", () => {
  it("splits at blanks, tabs and newlines", () => {
    expect(argvOf("  gunicorn  --workers\t2\nshop.wsgi ")).toEqual([
      "gunicorn",
      "--workers",
      "2",
      "shop.wsgi",
    ]);
  });

  it("keeps blanks in quotes, and joins what touches", () => {
    expect(argvOf(`a 'b c' "d e"f g'h'"i"`)).toEqual(["a", "b c", "d ef", "ghi"]);
  });

  it("knows empty words", () => {
    expect(argvOf(`a "" ''`)).toEqual(["a", "", ""]);
  });

  it("takes the character after a backslash literally, but not in single quotes", () => {
    expect(argvOf(`a\\ b "c\\"d" 'e\\f'`)).toEqual(["a b", 'c"d', "e\\f"]);
  });

  it("gives nothing of a shell a meaning", () => {
    expect(argvOf("echo $HOME *.c; rm -rf `x` | y && z > f")).toEqual([
      "echo",
      "$HOME",
      "*.c;",
      "rm",
      "-rf",
      "`x`",
      "|",
      "y",
      "&&",
      "z",
      ">",
      "f",
    ]);
  });

  it.each([
    ["", "names no program"],
    ["   ", "names no program"],
    ['"" x', "names no program"],
    ["a 'b", "a ' is never closed"],
    ['a "b', 'a " is never closed'],
    ["a\\", "single backslash"],
    ["a\0b", "NUL"],
  ])("refuses %j", (text, reason) => {
    expect(splitCommandLine(text)).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  });

  it("gives back every word that was quoted", () => {
    const word = fc
      .string({ unit: "binary-ascii", minLength: 1 })
      .filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), (words) => {
        const text = words.map((each) => `'${each.replaceAll("'", `'\\''`)}'`).join(" ");
        expect(argvOf(text)).toEqual(words);
      }),
    );
  });
});
