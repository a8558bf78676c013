/**
 * What a test may need from the machine. A test that needs what is not there is skipped with the
 * reason in its name, so the list at the end of a run says what was not tried; with
 * REQUIRE_PRIVILEGED=1, as in CI, a skip is a failure (see scripts/ci-steps.mjs).
 */
import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { test } from "vitest";

type DefineTest = (name: string, body: () => Promise<void> | void) => void;

function needing(there: boolean, reason: string): DefineTest {
  return (name, body) => {
    test.skipIf(!there)(`${name}${there ? "" : ` [${reason}]`}`, body);
  };
}

export function findProgram(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/** The real uWSGI as Debian packages it: plugins are separate. */
export const realUwsgi = findProgram("uwsgi-core") ?? findProgram("uwsgi");

function hasPythonPlugin(): boolean {
  if (realUwsgi === undefined) return false;
  try {
    execFileSync(realUwsgi, ["--need-plugin", "python3", "--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const isRoot = process.getuid?.() === 0;

/** Every directory on the way may be entered by everybody: a checkout below /root may not. */
function isOpenToOthers(path: string): boolean {
  const folder = dirname(path);
  return (statSync(path).mode & 0o001) !== 0 && (folder === path || isOpenToOthers(folder));
}

const checkout = resolve(import.meta.dirname, "../..");

/** The newest Node, where `.ci/run` puts it. */
export const newestNode = join(checkout, ".tools/node-newest/bin/node");

/** Each defines a test that is skipped, visibly, where the need is not met. */
export const rootTest = needing(isRoot, "needs root");
/** A program of ours becomes another user and goes on reading its own files. */
export const otherUserTest = needing(
  isRoot && isOpenToOthers(checkout),
  "needs root, and a checkout that other users may enter",
);
export const newestNodeTest = needing(existsSync(newestNode), "needs the newest Node in .tools");
export const uwsgiTest = needing(hasPythonPlugin(), "needs uwsgi-core and uwsgi-plugin-python3");

/** A test that runs these programs, as root if `asRoot`. */
export function programTest(programs: readonly string[], asRoot = false): DefineTest {
  const missing = programs.filter((program) => findProgram(program) === undefined);
  if (asRoot && !isRoot) missing.unshift("root");
  return needing(missing.length === 0, `needs ${missing.join(", ")}`);
}
