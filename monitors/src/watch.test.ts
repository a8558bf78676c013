/** chokidar as the source of hints, on real directories. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openChokidarHints } from "./watch.ts";
import type { Hints } from "./watch.ts";

let root: string;
let hints: Hints;
let heard: string[];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "hints-"));
  heard = [];
  hints = await openChokidarHints({
    hint: (directory, kind, name) => heard.push(`${kind} ${directory.slice(root.length)} ${name}`),
    watching: (directory) => heard.push(`watching ${directory.slice(root.length)}`),
    failed: (directory, code) => heard.push(`failed ${directory.slice(root.length)} ${code}`),
  });
});

afterEach(async () => {
  await hints.close();
  rmSync(root, { recursive: true, force: true });
});

function target(name: string): { directory: string; identity: string } {
  const directory = join(root, name);
  return { directory, identity: String(statSync(directory).ino) };
}

async function hears(line: string): Promise<void> {
  await expect.poll(() => heard).toContain(line);
}

test("hints name the directory, the kind and the entry, in the order of the events", async () => {
  mkdirSync(join(root, "v"));
  hints.watch([target("v")]);
  await hears("watching /v");
  writeFileSync(join(root, "v/a.ini"), "x");
  renameSync(join(root, "v/a.ini"), join(root, "v/b.ini"));
  await hears("rename /v b.ini");
  expect(heard).toEqual([
    "watching /v",
    "rename /v a.ini",
    "change /v a.ini",
    "rename /v a.ini",
    "rename /v b.ini",
  ]);
});

test("nothing is watched below the directory, and nothing of it is listed", async () => {
  mkdirSync(join(root, "v/sub"), { recursive: true });
  hints.watch([target("v")]);
  await hears("watching /v");
  writeFileSync(join(root, "v/sub/a.ini"), "x");
  writeFileSync(join(root, "v/b.ini"), "x");
  await hears("rename /v b.ini");
  expect(heard.filter((line) => line.includes("a.ini"))).toEqual([]);
});

test("another directory in the place is watched anew, one that is not wanted any more is left", async () => {
  mkdirSync(join(root, "v"));
  mkdirSync(join(root, "w"));
  hints.watch([target("v"), target("w")]);
  await hears("watching /v");
  await hears("watching /w");
  renameSync(join(root, "v"), join(root, "old"));
  mkdirSync(join(root, "v"));
  heard = [];
  hints.watch([target("v")]);
  await hears("watching /v");
  writeFileSync(join(root, "w/x.ini"), "x");
  writeFileSync(join(root, "old/y.ini"), "x");
  writeFileSync(join(root, "v/z.ini"), "x");
  await hears("rename /v z.ini");
  expect(heard.filter((line) => /[xy]\.ini/.test(line))).toEqual([]);
});

test("a directory that is not there is told as failed, and can be tried again", async () => {
  const missing = { directory: join(root, "v"), identity: "1" };
  hints.watch([missing]);
  await hears("failed /v ENOENT");
  mkdirSync(join(root, "v"));
  hints.watch([missing]);
  await hears("watching /v");
});
