/**
 * Puts the output of this process, and of all that it starts, into a file. The file is opened by number,
 * so no line passes through this program. Loaded only where `logto` or `logto2` is set.
 */
import { constants, fchownSync } from "node:fs";
import { close, openFile, redirect } from "@emperor/linux";
import { RuntimeError, reasonOf } from "./errors.ts";
import { findUser } from "./platform.ts";

const { O_APPEND, O_CREAT, O_EXCL, O_NOCTTY, O_WRONLY } = constants;
const APPEND = O_WRONLY | O_APPEND | O_NOCTTY;
const MODE = 0o640;
const OUTPUTS = [1, 2] as const;

/**
 * Descriptors 1 and 2 become the file. One that is created here belongs to `owner`, so that a reload as
 * that user can open it again; one that was there keeps its owner. Throws a `RuntimeError`.
 */
export function logTo(option: string, path: string, owner: string | undefined): void {
  try {
    const fd = open(path, owner);
    for (const output of OUTPUTS) redirect(fd, output);
    close(fd);
  } catch (error) {
    throw new RuntimeError(
      "VASSAL_CONFIG",
      `${option} = ${JSON.stringify(path)} cannot be opened: ${reasonOf(error)}`,
      {},
      { cause: error },
    );
  }
}

function open(path: string, owner: string | undefined): number {
  let fd: number;
  try {
    fd = openFile(path, APPEND | O_CREAT | O_EXCL, MODE);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    return openFile(path, APPEND, MODE);
  }
  const user = owner === undefined ? undefined : findUser(owner);
  if (user !== undefined && process.geteuid?.() === 0) fchownSync(fd, user.uid, user.gid);
  return fd;
}
