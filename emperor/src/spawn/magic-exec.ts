/**
 * `emperor-magic-exec`: a config that is a program is run by its vassal, which reads what it prints.
 * Owns the decision which files may be that; it must not know how arguments are built.
 */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { VassalSpec } from "@emperor/monitors";

export type MagicExec =
  | { readonly kind: "no" }
  /** Executable, but not to be trusted or not to be named to a shell: started by its plain name. */
  | { readonly kind: "refused"; readonly reason: string }
  /** `config` follows `exec://`; `pathDirectory`: to be found along PATH by the vassal's shell. */
  | { readonly kind: "yes"; readonly config: string; readonly pathDirectory: string | undefined };

export interface MagicExecRunner {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** In Tyrant mode the vassal runs as the file's owner, so the owner is always trusted. */
  readonly tyrant: boolean;
}

/** The vassal's shell reads the name as a command line: only these characters mean themselves there. */
const SHELL_SAFE = /^[A-Za-z0-9_./+@%,:=-]+$/;

interface FileFacts {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Whether permission bits let the runner read and execute. Root reads all, and executes what anybody may. */
export function mayRun(file: FileFacts, runner: MagicExecRunner): boolean {
  if (runner.uid === 0) return (file.mode & 0o111) !== 0;
  const inGroup = file.gid === runner.gid || runner.groups.includes(file.gid);
  const bits = file.uid === runner.uid ? file.mode >> 6 : inGroup ? file.mode >> 3 : file.mode;
  return (bits & 0o5) === 0o5;
}

/**
 * Whether the vassal's config is to be passed as `exec://NAME`.
 *
 * The argument stays what uWSGI gives, the vassal's own name. With `dir` that is a bare file name,
 * which the vassal's shell looks up along PATH; uWSGI leaves it at that, and the vassal never starts.
 * Here the vassal's directory is appended to its PATH, so it does (or, where the directory's name
 * cannot stand in PATH, the absolute path is given).
 *
 * Without Tyrant the file must belong to root or to the Emperor's user: otherwise an execute bit would
 * be enough to run a program with the Emperor's rights.
 */
export function magicExec(
  spec: Pick<VassalSpec, "name" | "path">,
  runner: MagicExecRunner,
): MagicExec {
  if (spec.path === undefined) return { kind: "no" };
  let file: FileFacts & { isFile(): boolean };
  try {
    file = statSync(spec.path);
  } catch {
    return { kind: "no" };
  }
  if (!file.isFile() || !mayRun(file, runner)) return { kind: "no" };
  if (!runner.tyrant && file.uid !== 0 && file.uid !== runner.uid) {
    return { kind: "refused", reason: `it belongs to user ${file.uid}, not to root` };
  }
  if (!SHELL_SAFE.test(spec.name) || !SHELL_SAFE.test(spec.path) || spec.name.startsWith("-")) {
    return { kind: "refused", reason: "its name has characters that mean something to a shell" };
  }
  if (spec.name.includes("/")) return { kind: "yes", config: spec.name, pathDirectory: undefined };
  const directory = dirname(spec.path);
  return directory.includes(":")
    ? { kind: "yes", config: spec.path, pathDirectory: undefined }
    : { kind: "yes", config: spec.name, pathDirectory: directory };
}
