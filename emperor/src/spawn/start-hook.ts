/**
 * `vassals-start-hook` and `vassals-stop-hook`: one program, with the vassal's name as its last
 * argument, without a shell. Owns how the option is read; it must not know when it runs.
 */
import { existsSync } from "node:fs";
import type { SetupAction, SpawnFailure } from "@emperor/linux";
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

/** The start hook as a step of the child; its failure never keeps the vassal from starting. */
export function startHookAction(
  hook: LifeHook,
  name: string,
  directory: string,
  env: readonly string[],
): SetupAction {
  return {
    kind: "argv",
    argv: [...hook.argv, name],
    env: withVariable(env, ENVIRONMENT.vassalsDir, directory),
    tolerant: true,
  };
}

/** The line uWSGI logs with the hook's result. `failure`: what the child said of a hook that failed. */
export function startHookResult(name: string, failure: SpawnFailure | undefined): string {
  const status =
    failure === undefined
      ? "0"
      : failure.code === ""
        ? String(exitStatusOf(failure.waitStatus))
        : `127 (${failure.code})`;
  return `[emperor] ${quoteName(name)} start-hook returned ${status}`;
}

/** What a shell would show of a wait status: the exit status, or 128 + signal. */
export function exitStatusOf(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}
