/** Reading many small files: order, absence, limits. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readFiles } from "./files.ts";

test("contents come in the order of the paths; what cannot be read is empty", () => {
  const directory = mkdtempSync(join(tmpdir(), "files-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const paths = [
    path("one", "1\n"),
    join(directory, "absent"),
    directory,
    path("empty", ""),
    path("nul", "a\0b"),
    path("long", "x".repeat(10_000)),
    path("last", "é"),
  ];
  expect(readFiles(paths)).toEqual(["1\n", "", "", "", "a", "x".repeat(4096), "é"]);
  expect(readFiles([])).toEqual([]);
});

test("a thousand files are one call", () => {
  const directory = mkdtempSync(join(tmpdir(), "files-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const paths = Array.from({ length: 1000 }, (_, n) => join(directory, String(n)));
  for (const path of paths) writeFileSync(path, path);
  expect(readFiles(paths)).toEqual(paths);
});
