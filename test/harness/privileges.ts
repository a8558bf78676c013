/**
 * What an integration test may need from the machine: programs, besides what unit tests may need. See
 * linux/test/privileges.ts for what becomes of a test that needs what is not there.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { isRoot, needing, otherUserTest, rootTest } from "../../linux/test/privileges.ts";
import type { DefineTest } from "../../linux/test/privileges.ts";

export { isRoot, otherUserTest, rootTest };

/** The newest Node, where `.ci/run` puts it. */
export const newestNode = resolve(import.meta.dirname, "../../.tools/node-newest/bin/node");
export const newestNodeTest = needing(existsSync(newestNode), "needs the newest Node in .tools");

export function findProgram(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/** The real uWSGI as Debian packages it: plugins are separate. */
export const realUwsgi = findProgram("uwsgi-core") ?? findProgram("uwsgi");

function hasPlugin(name: string): boolean {
  if (realUwsgi === undefined) return false;
  try {
    execFileSync(realUwsgi, ["--need-plugin", name, "--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

export const uwsgiTest = needing(hasPlugin("python3"), "needs uwsgi-core and uwsgi-plugin-python3");

/** A test with a plugin of the real uWSGI, from this Debian package. */
export function uwsgiPluginTest(plugin: string, debianPackage: string): DefineTest {
  return needing(hasPlugin(plugin), `needs uwsgi-core and ${debianPackage}`);
}

/** A test that runs these programs, as root if `asRoot`. */
export function programTest(programs: readonly string[], asRoot = false): DefineTest {
  const missing = programs.filter((program) => findProgram(program) === undefined);
  if (asRoot && !isRoot) missing.unshift("root");
  return needing(missing.length === 0, `needs ${missing.join(", ")}`);
}
