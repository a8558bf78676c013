/**
 * What a test may need from the machine. A test that needs what is not there is skipped with the
 * reason in its name, so the list at the end of a run says what was not tried; with
 * REQUIRE_PRIVILEGED=1, as in CI, a skip is a failure (see scripts/ci-steps.mjs).
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
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

/** Each defines a test that is skipped, visibly, where the need is not met. */
export const rootTest = needing(isRoot, "needs root");
export const uwsgiTest = needing(hasPythonPlugin(), "needs uwsgi-core and uwsgi-plugin-python3");

/** A test that runs these programs, as root if `asRoot`. */
export function programTest(programs: readonly string[], asRoot = false): DefineTest {
  const missing = programs.filter((program) => findProgram(program) === undefined);
  if (asRoot && !isRoot) missing.unshift("root");
  return needing(missing.length === 0, `needs ${missing.join(", ")}`);
}
