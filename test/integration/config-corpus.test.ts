/**
 * The configuration language against the original: every file of the corpus goes through uWSGI and
 * through `vassal`, and what `show-config` prints has to be the same, but for the differences that
 * the table next door lists line by line with their reason. One that is gone fails as well.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { programTest, realUwsgi } from "../harness/privileges.ts";
import { waitFor } from "../harness/wait.ts";
import { EXPLAINED, REFUSED } from "./config-corpus-differences.ts";
import { differenceOf } from "./line-difference.ts";

const CORPUS = join(import.meta.dirname, "../fixtures/config-corpus");
const VASSAL = join(import.meta.dirname, "../../bin/vassal");
const FILES = readdirSync(CORPUS, { withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ name }) => name)
  .toSorted();

/** All that a configuration can see of the environment. */
const ENVIRONMENT = {
  PATH: process.env["PATH"],
  APP_PORT: "9000",
  HOME_OF_APP: "/srv/home",
  EMPTY_VARIABLE: "",
  WORKERS: "4",
  UWSGI_NEED_APP: "false",
};

const BEGIN = ";uWSGI instance configuration\n";
const END = ";end of configuration\n";

let folder = "";

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "config-corpus-")));
  cpSync(CORPUS, folder, { recursive: true });
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/**
 * The lines of the dump, or the word that there is none. The directory that does not exist ends uWSGI
 * right after the dump, before it opens or starts anything; both are killed if they go on.
 */
async function dumpOf(program: string, file: string): Promise<readonly string[]> {
  const format = file.replace(/^.*\./, "");
  const child = spawn(
    program,
    ["--show-config", `--${format}`, file, "--chdir", "/does/not/exist"],
    { cwd: folder, env: ENVIRONMENT, stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  let ended: string | undefined;
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  const said = (text: string): void => {
    output += text;
    changed();
  };
  child.stdout.setEncoding("utf8").on("data", said);
  child.stderr.setEncoding("utf8").on("data", said);
  child.once("close", (code, signal) => {
    ended = `ended with ${signal ?? code}`;
    changed();
  });
  const witness = {
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    account: () => output,
  };
  try {
    await waitFor(`the dump of ${file}`, () => output.includes(END) || ended !== undefined, {
      witness,
    });
  } finally {
    if (ended === undefined) child.kill("SIGKILL");
    await waitFor("its end", () => ended !== undefined, { witness });
  }
  const begin = output.indexOf(BEGIN);
  if (begin < 0)
    return [ended === "ended with 1" ? "refused" : `no dump: ${output} ${ended ?? ""}`];
  return output.slice(begin + BEGIN.length, output.indexOf(END, begin)).split("\n");
}

it("is large enough to mean something, and every explanation has its file", () => {
  expect(FILES.length).toBeGreaterThanOrEqual(60);
  expect([...Object.keys(EXPLAINED), ...REFUSED].filter((name) => !FILES.includes(name))).toEqual(
    [],
  );
});

const compared = programTest([
  realUwsgi === undefined ? "uwsgi-core" : realUwsgi.replace(/^.*\//, ""),
]);

for (const file of FILES) {
  compared(`${file} means what it means to uWSGI`, async () => {
    const theirs = await dumpOf(realUwsgi ?? "uwsgi-core", file);
    const ours = await dumpOf(VASSAL, file);
    const { lines = [], why = "" } = EXPLAINED[file] ?? {};
    expect(theirs[0] === "refused" && ours[0] === "refused").toBe(REFUSED.includes(file));
    expect(differenceOf(theirs, ours), why).toEqual(lines);
  });
}
