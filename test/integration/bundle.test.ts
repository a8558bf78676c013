/**
 * The bundles that bin/emperor and bin/vassal run. That the programs work is shown by all other tests
 * here; this one loads the files that hardly any start needs. Knows no contents.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

describe.each([
  { folder: "emperor/build", main: "main.js", suffix: ".js" },
  { folder: "vassal-runtime/build", main: "cli.cjs", suffix: ".cjs" },
])("$folder", ({ folder, main, suffix }) => {
  const files = readdirSync(join(root, folder)).filter((name) => name.endsWith(suffix));
  const later = files.filter((name) => name !== main);

  it("has files beside the program for what is needed later", () => {
    expect(files).toContain(main);
    expect(later).toContain(`yaml${suffix}`);
  });

  it("has no file that waits for the program itself, which runs until its end", () => {
    for (const name of later) {
      const text = readFileSync(join(root, folder, name), "utf8");
      expect(
        text.match(/(?:\bfrom |\bimport |\brequire\(|\bimport\()"[^"]*"/g) ?? [],
      ).not.toContainEqual(expect.stringContaining(`"./${main}"`));
    }
  });

  it("has no file that cannot be loaded, so nothing that it imports is missing", () => {
    const urls = later.map((name) => pathToFileURL(join(root, folder, name)).href);
    const loaded = execFileSync(
      process.execPath,
      [
        "--input-type=module",
        "--eval",
        `let count = 0;
         for (const url of ${JSON.stringify(urls)}) { await import(url); count += 1; }
         process.stdout.write(String(count));`,
      ],
      { encoding: "utf8" },
    );
    expect(Number(loaded)).toBe(urls.length);
  });
});
