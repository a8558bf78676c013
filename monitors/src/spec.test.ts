/** What the Emperor learns of a settled file. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scanDirectory } from "@emperor/linux";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DirectoryFinder } from "./directory.ts";
import type { FileFacts } from "./file-facts.ts";
import { CONFIG_SUFFIXES } from "./names.ts";
import { makeSpec } from "./spec.ts";
import { World } from "./testing/fake-court.ts";

let root: string;
let world: World;
let finder: DirectoryFinder;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "spec-"));
  world = new World();
  finder = new DirectoryFinder(root, { suffixes: CONFIG_SUFFIXES, nofollow: false }, world.files);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(name: string, text: string): FileFacts {
  writeFileSync(join(root, name), text);
  const result = scanDirectory({ directory: root, suffixes: [name], nofollow: false });
  const facts = result.changed ? result.entries[0] : undefined;
  if (facts === undefined) throw new Error(`${name} was not scanned`);
  return facts;
}

const readNothing = (): Record<string, string[]> => ({ seen: ["yes"] });

test("attributes are read of ini files only, and only when collected", () => {
  const options = world.options();
  const ini = write("a.ini", "x");
  const json = write("a.json", "{}");
  expect(makeSpec(finder, ini, options, readNothing)).toMatchObject({
    spec: { attributes: { seen: ["yes"] } },
  });
  expect(makeSpec(finder, json, options, readNothing)).toMatchObject({ spec: { attributes: {} } });
  expect(makeSpec(finder, ini, options, undefined)).toMatchObject({ spec: { attributes: {} } });
});

test("a file that is not read need not be readable, nor be there", () => {
  const facts = write("a.ini", "x");
  rmSync(join(root, "a.ini"));
  expect(makeSpec(finder, facts, world.options(), undefined)).toMatchObject({ kind: "spec" });
  expect(makeSpec(finder, facts, world.options(), readNothing)).toEqual({ kind: "moved-on" });
});

test("too large for attributes: wanted without them, with a warning", () => {
  const facts = write("a.ini", "x".repeat(1_048_577));
  expect(makeSpec(finder, facts, world.options(), readNothing)).toMatchObject({
    kind: "spec",
    spec: { attributes: {} },
    warning: "its attributes cannot be read: it has 1048577 bytes, 1048576 are allowed",
  });
});

test("too large to be pushed: refused", () => {
  const facts = write("a.ini", "x".repeat(65_536));
  expect(makeSpec(finder, facts, world.options({ readConfig: true }), undefined)).toEqual({
    kind: "refused",
    why: "it has 65536 bytes, 65535 are allowed",
  });
});

test("plain data: it can be written to JSON", () => {
  const outcome = makeSpec(finder, write("a.ini", "x"), world.options(), undefined);
  if (outcome.kind !== "spec") throw new Error(outcome.kind);
  expect(JSON.parse(JSON.stringify(outcome.spec))).toEqual(outcome.spec);
});
