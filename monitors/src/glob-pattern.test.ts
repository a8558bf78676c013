import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hasWildcard, parsePattern } from "./glob-pattern.ts";

function matches(pattern: string, name: string): boolean {
  const [part, ...more] = parsePattern(pattern).parts;
  if (part === undefined || more.length > 0) throw new Error(`not one part: ${pattern}`);
  return part.kind === "literal" ? part.text === name : part.matches(name);
}

describe("one part", () => {
  test.each([
    ["*", ["a", "a.ini", "é", "a\nb"], [".a"]],
    ["*.ini", ["a.ini", "a.b.ini"], [".ini", "a.INI", "a.ini~"]],
    [".*", [".ini", ".a.b"], ["a"]],
    ["\\.*", [".ini"], ["a"]],
    ["?.ini", ["a.ini", "é.ini", "😀.ini"], ["ab.ini", ".ini", "..ini"]],
    ["a**b", ["ab", "axxb"], ["a", "xab"]],
    ["[ab]x", ["ax", "bx"], ["cx", "x", "abx"]],
    ["[a-c]x", ["bx"], ["dx", "-x"]],
    ["[!a-c]x", ["dx"], ["bx", ".x"]],
    ["[^a]x", ["bx"], ["ax"]],
    ["[]a]x", ["]x", "ax"], ["x"]],
    ["[!]a]x", ["bx"], ["]x", "ax"]],
    ["[a-]x", ["ax", "-x"], ["bx"]],
    ["[\\]]x", ["]x"], ["\\x"]],
    ["[c-a]x", [], ["ax", "bx", "cx"]],
    ["[[:digit:]a]x", ["1x", "ax"], ["bx", ":x"]],
    ["[[:upper:]]x", ["Ax"], ["ax"]],
    ["[.]x", [], [".x"]],
    ["a[b", ["a[b"], ["ab"]],
    ["a[", ["a["], ["a"]],
    ["\\*.ini", ["*.ini"], ["a.ini"]],
    ["a\\", ["a\\"], ["a"]],
    ["{a,b}", ["{a,b}"], ["a", "b"]],
    ["a+(b).ini", ["a+(b).ini"], ["ab.ini"]],
    ["$x^.ini", ["$x^.ini"], ["x.ini"]],
  ])("%s", (pattern, yes, no) => {
    for (const name of yes)
      expect(matches(pattern, name), `${pattern} should match ${name}`).toBe(true);
    for (const name of no)
      expect(matches(pattern, name), `${pattern} should not match ${name}`).toBe(false);
  });
});

test("parts, absoluteness and trailing slash", () => {
  expect(parsePattern("/a//b/*.ini")).toMatchObject({ isAbsolute: true, wantsDirectory: false });
  expect(parsePattern("/a//b/*.ini").parts.map(({ kind }) => kind)).toEqual([
    "literal",
    "literal",
    "wild",
  ]);
  expect(parsePattern("a/*/")).toMatchObject({ isAbsolute: false, wantsDirectory: true });
});

test("wildcards are found, escaped and unclosed ones are none", () => {
  expect(["/a/*/x.ini", "a?", "[ab]"].map(hasWildcard)).toEqual([true, true, true]);
  expect(["/a/x.ini", "\\*", "a[b", "{a,b}"].map(hasWildcard)).toEqual([
    false,
    false,
    false,
    false,
  ]);
});

test("no text is an invalid pattern, and every text matches itself when escaped", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (pattern, name) => {
      for (const part of parsePattern(pattern).parts) if (part.kind === "wild") part.matches(name);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), (name) => {
      fc.pre(!name.includes("/"));
      expect(matches(Array.from(name, (character) => `\\${character}`).join(""), name)).toBe(true);
    }),
  );
});
