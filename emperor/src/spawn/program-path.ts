/**
 * Finds programs along PATH, so that the child only ever calls execve with a path. Owns nothing; it
 * must not know what the programs are for.
 */
import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";

/** What execvp searches when there is no PATH at all. */
export const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

/**
 * The paths under which `name` may be found, in the order of PATH. A name with a slash stands for
 * itself. Nothing is looked at on disk: the kernel's answer at exec time is the only one that counts.
 *
 * Empty elements of PATH mean "the present directory" to execvp. They are left out: the present
 * directory of a vassal belongs to its tenant, who would then choose the Emperor's programs.
 */
export function programCandidates(name: string, path: string | undefined): readonly string[] {
  if (name.includes("/")) return [name];
  return (path ?? DEFAULT_PATH)
    .split(":")
    .filter((directory) => directory.startsWith("/"))
    .map((directory) => join(directory, name));
}

/** A regular file that this process may execute. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The first candidate of `name` that can be executed now; `undefined` when there is none. */
export function findProgram(name: string, path: string | undefined): string | undefined {
  return programCandidates(name, path).find(isExecutable);
}
