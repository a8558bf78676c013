import { expect, test } from "vitest";
import {
  CONFIG_SUFFIXES,
  hasValidSuffix,
  isHidden,
  objectionToName,
  quoteName,
  validSuffixes,
} from "./names.ts";

test("the suffixes of uWSGI, case-sensitive", () => {
  for (const name of ["a.xml", "a.ini", "a.yml", "a.yaml", "a.js", "a.json", ".ini"]) {
    expect(hasValidSuffix(name, CONFIG_SUFFIXES), name).toBe(true);
  }
  for (const name of ["a.INI", "ini", "a.ini~", "a.conf", "", "a.ini.bak"]) {
    expect(hasValidSuffix(name, CONFIG_SUFFIXES), name).toBe(false);
  }
});

test("extra extensions count as written; an empty one does not make everything a vassal", () => {
  const suffixes = validSuffixes([".lua", "conf", ""]);
  expect(hasValidSuffix("a.lua", suffixes)).toBe(true);
  expect(hasValidSuffix("appconf", suffixes)).toBe(true);
  expect(hasValidSuffix("a.txt", suffixes)).toBe(false);
});

test("254 bytes are allowed, not 254 characters", () => {
  expect(objectionToName(`${"n".repeat(250)}.ini`)).toBeUndefined();
  expect(objectionToName(`${"n".repeat(251)}.ini`)).toContain("255 bytes");
  expect(objectionToName(`${"é".repeat(125)}.ini`)).toBeUndefined();
  expect(objectionToName(`${"é".repeat(126)}.ini`)).toContain("256 bytes");
});

test("control characters and line ends are refused, odd characters are not", () => {
  for (const bad of [
    "a\nb.ini",
    "\u0000.ini",
    "a\u007f.ini",
    "\u0085.ini",
    "\u2028.ini",
    "\u001b[1m.ini",
  ]) {
    expect(objectionToName(bad), JSON.stringify(bad)).toContain("control characters");
  }
  for (const good of [
    "a b.ini",
    "it's.ini",
    "$(x)&;.ini",
    "café.ini",
    "-dash.ini",
    "%n.ini",
    'quo"te.ini',
    "a:b.ini",
  ]) {
    expect(objectionToName(good), good).toBeUndefined();
  }
});

test("a quoted name is one line of printable characters", () => {
  expect(quoteName('a"b\n\u0085\u2028.ini')).toBe('"a\\"b\\n\\u0085\\u2028.ini"');
});

test("hidden is what its last part says", () => {
  expect([".ini", "/a/.x.ini", ".a/x.ini", "x.ini"].map(isHidden)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
