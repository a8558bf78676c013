/**
 * The process's own trimmings, as the configuration says: umask, pidfiles, variables from `envdir`, and the
 * Node that it is. Knows no app and no Emperor.
 */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { RuntimeSettings } from "./settings.ts";

/** The oldest Node that the runtime runs on. */
const OLDEST = [20, 19] as const;

/** Throws when this Node is too old for the runtime; `node-binary` may name any. */
export function checkNodeVersion(version = process.versions.node): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return;
  throw new RuntimeError(
    "VASSAL_CONFIG",
    `${process.execPath} is Node ${version}; the vassal runtime needs ${OLDEST.join(".")} or newer: set "node-binary" to one`,
  );
}

/** Writes the pid of this process. */
export function writePidfile(option: string, path: string | undefined): void {
  if (path === undefined) return;
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch (error) {
    throw new RuntimeError(
      "VASSAL_CONFIG",
      `${option} = ${JSON.stringify(path)} cannot be written: ${reasonOf(error)}`,
      {},
      { cause: error },
    );
  }
}

/**
 * The variables of the `envdir` folders: a file is a variable, its first line the value (NUL stands for a
 * line feed, blanks at the end do not count); an empty file removes the variable, as daemontools does it.
 * A name with `=` and hidden files are no variables.
 */
export function readEnvdirs(folders: readonly string[]): RuntimeSettings["environment"] {
  return folders.flatMap((folder) => {
    try {
      return readdirSync(folder, { withFileTypes: true })
        .filter((entry) => !entry.isDirectory() && !/^\.|=/.test(entry.name))
        .map(({ name }): readonly [string, string | undefined] => [
          name,
          firstLine(readFileSync(join(folder, name), "utf8")),
        ]);
    } catch (error) {
      throw new RuntimeError(
        "VASSAL_CONFIG",
        `envdir = ${JSON.stringify(folder)} cannot be read: ${reasonOf(error)}`,
        {},
        { cause: error },
      );
    }
  });
}

function firstLine(text: string): string | undefined {
  if (text === "") return undefined;
  return (text.split("\n", 1)[0] ?? "").trimEnd().replaceAll("\0", "\n");
}
