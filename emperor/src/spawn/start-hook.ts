/**
 * `vassals-start-hook` and `vassals-stop-hook`: one program, with the vassal's name as its last
 * argument, without a shell. Owns how the option is read; it must not know when it runs.
 */
import { existsSync } from "node:fs";
import type { SetupAction } from "@emperor/linux";
import { ENVIRONMENT } from "@emperor/protocol";
import { quoteName } from "../log/quoting.ts";
import { findProgram } from "./program-path.ts";
import { splitWords } from "./words.ts";
import { withVariable } from "./environment.ts";

export interface LifeHook {
  /** As the administrator wrote it, for the log. */
  readonly text: string;
  readonly argv: readonly string[];
}

/**
 * Reads the option. If the whole text names a file it is that program, as in uWSGI, which takes
 * arguments for a part of the path; else it is split into program and arguments. A program without a
 * slash is searched along PATH.
 */
export function parseLifeHook(
  text: string,
  path: string | undefined,
): LifeHook | { readonly problem: string } {
  if (existsSync(text)) return { text, argv: [text] };
  const split = splitWords(text);
  if (!split.ok) return { problem: split.problem };
  const [program, ...more] = split.words;
  if (program === undefined) return { problem: "a program is missing" };
  return { text, argv: [findProgram(program, path) ?? program, ...more] };
}

/**
 * Reports the result of the start hook, which only its parent, the vassal in the making, can know.
 * The text is constant: name and program come as parameters and are never read as shell.
 */
const REPORTING_SCRIPT =
  'name=$1; shift; "$@"; printf "[emperor] %s start-hook returned %s\\n" "$name" "$?" >&2';

/** The start hook as a step of the child; its failure never keeps the vassal from starting. */
export function startHookAction(
  hook: LifeHook,
  name: string,
  directory: string,
  env: readonly string[],
): SetupAction {
  return {
    kind: "argv",
    argv: ["/bin/sh", "-c", REPORTING_SCRIPT, "start-hook", quoteName(name), ...hook.argv, name],
    env: withVariable(env, ENVIRONMENT.vassalsDir, directory),
    tolerant: true,
  };
}
