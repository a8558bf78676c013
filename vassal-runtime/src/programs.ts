/** Finds a program as a shell would, so that a wrong name is told before anything is started. */
import { accessSync, constants, statSync } from "node:fs";
import { resolve } from "node:path";
import { reasonOf } from "./errors.ts";

export type FoundProgram =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly reason: string };

const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

/** `name` with a slash is a path (relative to `directory`), without one it is looked up along `path`. */
export function findProgram(
  name: string,
  path: string | undefined,
  directory: string,
): FoundProgram {
  if (name.includes("/")) {
    const file = resolve(directory, name);
    const reason = whyNot(file);
    return reason === undefined ? { ok: true, path: file } : { ok: false, reason };
  }
  let refusal: string | undefined;
  for (const folder of (path ?? DEFAULT_PATH).split(":")) {
    const file = resolve(directory, folder, name);
    const reason = whyNot(file);
    if (reason === undefined) return { ok: true, path: file };
    if (!reason.startsWith("ENOENT")) refusal ??= reason;
  }
  return {
    ok: false,
    reason: refusal ?? `there is no such program in PATH (${path ?? DEFAULT_PATH})`,
  };
}

function whyNot(file: string): string | undefined {
  try {
    if (statSync(file).isDirectory()) return `${file} is a directory`;
    accessSync(file, constants.X_OK);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}
