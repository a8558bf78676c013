/**
 * `logto` and `daemonize`: the Emperor's own descriptors 1 and 2 become the file, so that vassals,
 * which inherit them, write there too.
 */
import { closeSync, constants, openSync } from "node:fs";
import { EmperorError, reasonOf } from "../errors.ts";
import type { System } from "./system.ts";

/**
 * Opens a log file for appending, creating it for owner and group.
 * @throws EmperorError `log-failed`
 */
export function openLogFile(path: string): number {
  try {
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOCTTY } = constants;
    return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY, 0o640);
  } catch (error) {
    throw new EmperorError(
      "log-failed",
      `cannot open the log file ${path}: ${reasonOf(error)}; nothing is started`,
      { cause: error },
    );
  }
}

/**
 * Standard output and error go to the file from here on.
 * @throws EmperorError `log-failed`
 */
export function logToFile(path: string, system: Pick<System, "redirect">): void {
  const fd = openLogFile(path);
  system.redirect(fd, 1);
  system.redirect(fd, 2);
  closeSync(fd);
}
