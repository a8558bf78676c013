/**
 * Configurations that are wrong, huge or hostile: an error that names file and line, within bounds of
 * time and memory. Each is read by a process of its own, so that a hang or a gigabyte is seen.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";

const CONFIG = join(import.meta.dirname, "../../config/dist/index.js");

/** Far above what any of them needs, far below what a doubling of a doubling would take. */
const MOST_MEMORY_MB = 400;
/** For a machine that does ten other things. */
const DEADLINE_MS = 30_000;

const PROGRAM = `
  import { createOptionTable, loadConfiguration } from ${JSON.stringify(CONFIG)};
  const { errors, entries } = await loadConfiguration({
    argv: process.argv.slice(1), environment: process.env, options: createOptionTable([]),
  });
  console.log(JSON.stringify({
    errors: errors.map(({ code, message, file, line }) => ({ code, message, file, line })),
    entries: entries.length,
    memoryMb: process.resourceUsage().maxRSS / 1024,
  }));`;

interface Outcome {
  readonly errors: readonly {
    readonly code: string;
    readonly message: string;
    readonly file: string;
    readonly line: number;
  }[];
  readonly entries: number;
  readonly memoryMb: number;
}

let folder = "";

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "config-bad-input-")));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function read(argv: readonly string[]): Promise<Outcome> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "-e", PROGRAM, "--", ...argv],
    { cwd: folder, timeout: DEADLINE_MS, killSignal: "SIGKILL", maxBuffer: 1 << 20 },
  );
  return JSON.parse(stdout) as Outcome;
}

type Files = Readonly<Record<string, string | Uint8Array>>;

/** Nine levels of ten references each: a billion of the first one. */
const YAML_LAUGHS = `a0: &a0 ha\n${Array.from(
  { length: 9 },
  (_, index) => `a${index + 1}: &a${index + 1} [${`*a${index}, `.repeat(10).slice(0, -2)}]\n`,
).join("")}uwsgi:\n  laugh: *a9\n`;

const XML_LAUGHS = `<?xml version="1.0"?>\n<!DOCTYPE uwsgi [\n<!ENTITY a0 "ha">\n${Array.from(
  { length: 9 },
  (_, index) => `<!ENTITY a${index + 1} "${`&a${index};`.repeat(10)}">\n`,
).join("")}]>\n<uwsgi>\n<laugh>&a9;</laugh>\n</uwsgi>\n`;

const INI_LAUGHS = `[uwsgi]\na0 = ha\n${Array.from(
  { length: 9 },
  (_, index) => `a${index + 1} = ${`%(a${index})`.repeat(10)}\n`,
).join("")}`;

const DECLARED_LAUGHS = `[uwsgi]\n${Array.from(
  { length: 9 },
  (_, index) => `declare-option = x${index + 1}=${`x${index}=$1;`.repeat(10)}\n`,
).join("")}x9 = ha\n`;

const LARGE = 10 * 1024 * 1024;

const CASES: readonly (readonly [
  what: string,
  files: Files,
  argv: readonly string[],
  code: string,
  file: string,
  line: number,
])[] = [
  [
    "files that include each other",
    {
      "app.ini": "[uwsgi]\ninclude = b.ini\n",
      "b.ini": "[uwsgi]\nx = 1\ninclude = c.ini\n",
      "c.ini": "[uwsgi]\n\n\ninclude = app.ini\n",
    },
    ["--ini", "app.ini"],
    "include-cycle",
    "c.ini",
    4,
  ],
  [
    "a file that inherits itself",
    { "app.ini": "[uwsgi]\ninherit = app.ini\n" },
    ["--ini", "app.ini"],
    "include-cycle",
    "app.ini",
    2,
  ],
  [
    "a section that names itself",
    { "app.ini": "[uwsgi]\nini = :x\n[x]\nini = :x\n" },
    ["--ini", "app.ini"],
    "include-cycle",
    "app.ini",
    4,
  ],
  [
    "an included file of 10 MB",
    {
      "app.ini": "[uwsgi]\n\ninclude = large.ini\n",
      "large.ini": `[uwsgi]\n${"a = 1\n".repeat(LARGE / 6)}`,
    },
    ["--ini", "app.ini"],
    "too-large",
    "app.ini",
    3,
  ],
  [
    "contents of 10 MB",
    { "app.ini": "[uwsgi]\na = @(large.txt)\n", "large.txt": "x".repeat(LARGE) },
    ["--ini", "app.ini"],
    "too-large",
    "app.ini",
    2,
  ],
  [
    "a file without end",
    { "app.ini": "[uwsgi]\nini = /dev/zero\n" },
    ["--ini", "app.ini"],
    "too-large",
    "app.ini",
    2,
  ],
  [
    "a command that never stops writing",
    { "app.ini": "[uwsgi]\na = @(exec://yes)\n" },
    ["--ini", "app.ini"],
    "too-large",
    "app.ini",
    2,
  ],
  [
    "a value that is not UTF-8",
    { "app.ini": Buffer.from("[uwsgi]\na = 1\nb = \xe9t\xe9\n", "latin1") },
    ["--ini", "app.ini"],
    "bad-encoding",
    "app.ini",
    3,
  ],
  [
    "a section of another file that is missing",
    { "app.ini": "[uwsgi]\na = 1\nini = b.ini:there\n", "b.ini": "[here]\nx = 1\n" },
    ["--ini", "app.ini"],
    "missing-section",
    "b.ini",
    0,
  ],
  [
    "a header with something behind it",
    { "app.ini": "; first\n[uwsgi] ; second\na = 1\n" },
    ["--ini", "app.ini"],
    "missing-section",
    "app.ini",
    2,
  ],
  [
    "a placeholder that is not defined, when that is forbidden",
    { "app.ini": "[uwsgi]\nstrict-placeholders\n\nchdir = %(bsae)\n" },
    ["--ini", "app.ini"],
    "unresolved-placeholder",
    "app.ini",
    4,
  ],
  [
    "placeholders that need each other",
    { "app.ini": "[uwsgi]\na = x%(b)\nb = %(a)\n" },
    ["--ini", "app.ini"],
    "placeholder-cycle",
    "app.ini",
    2,
  ],
  [
    "a billion laughs in yaml",
    { "app.yaml": YAML_LAUGHS },
    ["--yaml", "app.yaml"],
    "too-large",
    "app.yaml",
    12,
  ],
  [
    "a billion laughs in xml",
    { "app.xml": XML_LAUGHS },
    ["--xml", "app.xml"],
    "syntax",
    "app.xml",
    15,
  ],
  [
    "a billion laughs in ini",
    { "app.ini": INI_LAUGHS },
    ["--ini", "app.ini"],
    "too-large",
    "app.ini",
    8,
  ],
  [
    "a billion laughs of declared options",
    { "app.ini": DECLARED_LAUGHS },
    ["--ini", "app.ini"],
    "too-large",
    "app.ini",
    11,
  ],
  [
    "loops of a million turns",
    { "app.ini": "[uwsgi]\nfor-times = 999999999\na = %(_)\nendfor =\n" },
    ["--ini", "app.ini"],
    "too-large",
    "app.ini",
    2,
  ],
  [
    "xml nested a hundred thousand times",
    { "app.xml": `<uwsgi>\n${"<a>".repeat(100_000)}` },
    ["--xml", "app.xml"],
    "syntax",
    "app.xml",
    2,
  ],
  [
    "json nested a hundred thousand times",
    { "app.json": `{"uwsgi":\n${"[".repeat(100_000)}` },
    ["--json", "app.json"],
    "syntax",
    "app.json",
    2,
  ],
  [
    "yaml nested a hundred thousand times",
    { "app.yaml": `uwsgi:\n  a: ${"[".repeat(100_000)}` },
    ["--yaml", "app.yaml"],
    "syntax",
    "app.yaml",
    2,
  ],
];

it.each(CASES)("%s", async (_, files, argv, code, file, line) => {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const { errors, memoryMb } = await read(argv);
  expect(errors.map((error) => error.code)).toEqual([code]);
  const [error] = errors;
  expect(error?.file.replace(`${folder}/`, "")).toBe(file);
  expect(error?.line).toBe(line);
  expect(error?.message).toContain(line === 0 ? file : `${file}:${line}`);
  expect(memoryMb).toBeLessThan(MOST_MEMORY_MB);
});
