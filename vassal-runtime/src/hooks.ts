/**
 * Runs the hooks of a phase, in order. In the phases of the start the first failure ends the vassal;
 * later ones are only told. Loaded only where there are hooks.
 */
import { RuntimeError, reasonOf } from "./errors.ts";
import { performAction } from "./hook-actions.ts";
import type { HookSurroundings } from "./hook-actions.ts";
import type { HookAction, HookPhase, HookSettings } from "./hook-settings.ts";
import { log, quote } from "./log.ts";

const TOLERANT: readonly HookPhase[] = [
  "emperor-reload",
  "emperor-stop",
  "emperor-lost",
  "as-user-atexit",
];

/** Hooks change the variables of this process, from which all that it starts has its own. */
const OWN_VARIABLES: HookSurroundings = {
  setVariable: (name, value) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  },
};

/** Throws a `RuntimeError` when a hook of the start fails. */
export function runHooks(
  hooks: HookSettings,
  phase: HookPhase,
  surroundings: HookSurroundings = OWN_VARIABLES,
): void {
  for (const hook of hooks[phase] ?? []) {
    if (TOLERANT.includes(phase)) runTolerantly(hook, phase, surroundings);
    else {
      const failure = run(hook, phase, surroundings);
      if (failure !== undefined)
        throw new RuntimeError(
          "VASSAL_HOOK",
          `${failure.message}; the vassal ends`,
          {},
          { cause: failure.cause },
        );
    }
  }
}

/** A failure is only told. */
export function runTolerantly(
  hook: HookAction,
  phase: string,
  surroundings: HookSurroundings = OWN_VARIABLES,
): void {
  const failure = run(hook, phase, surroundings);
  if (failure !== undefined) log(`${failure.message}; going on`);
}

function run(
  hook: HookAction,
  phase: string,
  surroundings: HookSurroundings,
): { readonly message: string; readonly cause: unknown } | undefined {
  log(`running ${nameOf(hook)} (${phase})...`);
  try {
    performAction(hook.action, hook.argument, surroundings);
    return undefined;
  } catch (error) {
    return {
      message: `${hook.origin}: ${nameOf(hook)} (${phase}) failed: ${reasonOf(error)}`,
      cause: error,
    };
  }
}

/** What a worker accepting for the first, or not the first, time has to run. */
export function runAcceptingHooks(
  hooks: HookSettings,
  worker: { readonly number: number; readonly first: boolean },
): void {
  runHooks(hooks, "accepting");
  if (worker.first) runHooks(hooks, "accepting-once");
  if (worker.number !== 1) return;
  runHooks(hooks, "accepting1");
  if (worker.first) runHooks(hooks, "accepting1-once");
}

function nameOf({ action, argument, hidden }: HookAction): string {
  return hidden ? "--- PRIVATE HOOK ---" : quote(`${action}:${argument}`);
}
