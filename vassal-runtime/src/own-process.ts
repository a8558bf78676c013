/**
 * The process's own trimmings, as the configuration says: umask, pidfiles, and the
 * Node that it is. Knows no app and no Emperor.
 */
import { writeFileSync } from "node:fs";
import { RuntimeError, reasonOf } from "./errors.ts";
import { log } from "./log.ts";
import type { RunSettings } from "./run-settings.ts";

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

/** Writes all of them again; what cannot be written is only told. */
export function rewritePidfiles(pidfiles: RunSettings["pidfiles"]): void {
  const named = Object.entries({
    pidfile: pidfiles.early,
    pidfile2: pidfiles.late,
    "safe-pidfile": pidfiles.safe,
  });
  for (const [option, path] of named) {
    try {
      writePidfile(option, path);
    } catch (error) {
      log(`${reasonOf(error)}; going on`);
    }
  }
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
