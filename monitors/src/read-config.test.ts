/** Reading a config as it was scanned, on real files. */
import { execFileSync } from "node:child_process";
import {
  chownSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scanDirectory } from "@emperor/linux";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rootTest } from "../../linux/test/privileges.ts";
import type { FileFacts } from "./file-facts.ts";
import { readConfigFile } from "./read-config.ts";

const RULES = { nofollow: false, ownerOfLink: false };
let root: string;
let path: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "read-"));
  path = join(root, "a.ini");
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function scanned(nofollow = false): FileFacts {
  const result = scanDirectory({ directory: root, suffixes: [".ini"], nofollow });
  const facts = result.changed ? result.entries.find(({ name }) => name === "a.ini") : undefined;
  if (facts === undefined) throw new Error("a.ini was not scanned");
  return facts;
}

test("the bytes, if it is the scanned file", () => {
  writeFileSync(path, "[uwsgi]\n");
  const outcome = readConfigFile(path, scanned(), RULES, 100);
  expect(outcome.kind === "read" && outcome.bytes.toString()).toBe("[uwsgi]\n");
});

test("an empty file is read as nothing", () => {
  writeFileSync(path, "");
  const outcome = readConfigFile(path, scanned(), RULES, 100);
  expect(outcome.kind === "read" && outcome.bytes.length).toBe(0);
});

test("replaced, rewritten or gone since the scan: look again", () => {
  writeFileSync(path, "one");
  const facts = scanned();
  writeFileSync(join(root, "other"), "two");
  renameSync(join(root, "other"), path);
  expect(readConfigFile(path, facts, RULES, 100)).toEqual({ kind: "moved-on" });
  const replaced = scanned();
  writeFileSync(path, "longer than before");
  expect(readConfigFile(path, replaced, RULES, 100)).toEqual({ kind: "moved-on" });
  unlinkSync(path);
  expect(readConfigFile(path, replaced, RULES, 100)).toEqual({ kind: "moved-on" });
});

test("a fifo or a link in its place since the scan neither blocks nor is followed", () => {
  writeFileSync(path, "one");
  const facts = scanned();
  renameSync(path, join(root, "real"));
  execFileSync("mkfifo", [path]);
  expect(readConfigFile(path, facts, RULES, 100)).toEqual({ kind: "moved-on" });
  unlinkSync(path);
  symlinkSync(join(root, "real"), path);
  expect(readConfigFile(path, facts, RULES, 100)).toEqual({ kind: "moved-on" });
});

test("one byte too many is refused, with both sizes", () => {
  writeFileSync(path, "x".repeat(101));
  expect(readConfigFile(path, scanned(), RULES, 100)).toEqual({
    kind: "unreadable",
    why: "it has 101 bytes, 100 are allowed",
  });
});

test("a link is read by default, and never with nofollow", () => {
  writeFileSync(join(root, "real"), "text");
  symlinkSync(join(root, "real"), path);
  expect(readConfigFile(path, scanned(), RULES, 100)).toMatchObject({ kind: "read" });
  expect(readConfigFile(path, scanned(true), { ...RULES, nofollow: true }, 100)).toMatchObject({
    kind: "unreadable",
  });
});

test("where the link's owner counts, the target must have the same one", () => {
  writeFileSync(join(root, "real"), "text");
  symlinkSync(join(root, "real"), path);
  const rules = { ...RULES, ownerOfLink: true };
  const facts = scanned();
  expect(readConfigFile(path, facts, rules, 100)).toMatchObject({ kind: "read" });
  expect(readConfigFile(path, { ...facts, uid: facts.uid + 1 }, rules, 100)).toEqual({
    kind: "unreadable",
    why: "it is a symbolic link to a file of another owner",
  });
});

rootTest(
  "given to somebody else since the scan: the owner is the open file's, so look again",
  () => {
    writeFileSync(path, "one");
    const facts = scanned();
    chownSync(path, 61_001, 61_001);
    expect(readConfigFile(path, facts, RULES, 100)).toEqual({ kind: "moved-on" });
    expect(readConfigFile(path, scanned(), RULES, 100)).toMatchObject({ kind: "read" });
  },
);
