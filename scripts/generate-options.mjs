/**
 * Writes docs/options.md from the option table of the built product, or with `--check` says whether
 * it is up to date. Run it after `make build`.
 */
import { readFileSync, writeFileSync } from "node:fs";

const page = new URL("../docs/options.md", import.meta.url);
const { optionsPage } = await import("../emperor/dist/options/help.js");
const { emperorOptions } = await import("../emperor/dist/options/option-table.js");
const { LANGUAGE_OPTIONS } = await import("../config/dist/index.js");

const text = optionsPage(emperorOptions(), LANGUAGE_OPTIONS);
if (process.argv.includes("--check")) {
  if (readFileSync(page, "utf8") !== text) {
    process.stderr.write("docs/options.md is out of date: run node scripts/generate-options.mjs\n");
    process.exitCode = 1;
  }
} else {
  writeFileSync(page, text);
}
