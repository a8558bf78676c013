/**
 * Files of unix sockets: whose they are, and which may go. Whatever is done to a name is done in the
 * directory that was looked at, so that nobody can put another directory in its place in between.
 */
import type { SocketAddress } from "@emperor/linux";
import type * as linux from "@emperor/linux";
import { closeSync, constants, lstatSync, openSync, unlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import { errorCode } from "./machine.ts";

export interface SocketFile {
  readonly path: string;
  readonly dev: number;
  readonly ino: number;
}

/** Linux has it, Node's constants have not. */
const O_PATH = 0o10000000;

/**
 * What is at a path itself; undefined: nothing. With big numbers, because of a defect of Node 20: an
 * `lstatSync` of a socket without them leaves its kind behind in memory that `realpathSync`, and so the
 * next `import()` of a linked package, takes for its own and stops at.
 */
function look(
  path: string,
):
  | { readonly isSocket: boolean; readonly dev: number; readonly ino: number; readonly uid: number }
  | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  if (found === undefined) return undefined;
  const [dev, ino, uid] = [Number(found.dev), Number(found.ino), Number(found.uid)];
  return { isSocket: found.isSocket(), dev, ino, uid };
}

/** The file that a fresh socket made; undefined for addresses without one. */
export function fileOf(address: SocketAddress): SocketFile | undefined {
  if (address.family !== "unix" || address.path.startsWith("\0")) return undefined;
  const found = look(address.path);
  if (found === undefined) return undefined;
  return { path: address.path, dev: found.dev, ino: found.ino };
}

export function isStillThere({ path, dev, ino }: SocketFile): boolean {
  try {
    const found = look(path);
    return found?.isSocket === true && found.dev === dev && found.ino === ino;
  } catch {
    // A directory that cannot be searched tells nothing.
    return true;
  }
}

/** Removes the very file that was made here; another one in its place stays. */
export function removeIfOurs({ path, dev, ino }: SocketFile): void {
  inDirectoryOf(path, (name) => {
    const found = look(name);
    if (found?.isSocket === true && found.dev === dev && found.ino === ino) unlinkSync(name);
  });
}

/**
 * Removes a socket that a dead Emperor or vassal left behind: a socket file of one of `owners` at
 * which nobody listens. Anything else stays, while uWSGI unlinks whatever has the name.
 * @returns why it stays
 */
export function removeStaleSocket(
  machine: Pick<typeof linux, "connect" | "close">,
  path: string,
  owners: readonly (number | undefined)[],
): string | undefined {
  let problem: string | undefined;
  const looked = inDirectoryOf(path, (name) => {
    const found = look(name);
    if (found === undefined) return;
    if (!found.isSocket) problem = "there is something that is no socket; it is left alone";
    else if (!owners.includes(found.uid))
      problem = `there is a socket of user ${found.uid}; it is left alone`;
    else if (!isDeserted(machine, path)) problem = "another program listens there";
    else unlinkSync(name);
  });
  return problem ?? looked;
}

/** Does `act` with a name that stays in the directory that it is in now. Resolves to what went wrong. */
function inDirectoryOf(path: string, act: (name: string) => void): string | undefined {
  let directory: number | undefined;
  try {
    directory = openSync(dirname(path), O_PATH | constants.O_DIRECTORY);
    act(`/proc/self/fd/${directory}/${basename(path)}`);
    return undefined;
  } catch (error) {
    return `its file cannot be looked at: ${errorCode(error)}`;
  } finally {
    if (directory !== undefined) closeSync(directory);
  }
}

/** A full queue (EAGAIN) is a listener too. */
function isDeserted(machine: Pick<typeof linux, "connect" | "close">, path: string): boolean {
  try {
    machine.close(machine.connect({ family: "unix", path }).fd);
    return false;
  } catch (error) {
    return errorCode(error) === "ECONNREFUSED";
  }
}
