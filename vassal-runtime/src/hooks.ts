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

/** Throws a `RuntimeError` when a hook of the start fails. */
export function runHooks(
  hooks: HookSettings,
  phase: HookPhase,
  surroundings: HookSurroundings,
): void {
  for (const hook of hooks[phase] ?? []) {
    log(`running ${nameOf(hook)} (${phase})...`);
    try {
      performAction(hook.action, hook.argument, surroundings);
    } catch (error) {
      const message = `${hook.origin}: ${nameOf(hook)} (${phase}) failed: ${reasonOf(error)}`;
      if (!TOLERANT.includes(phase))
        throw new RuntimeError("VASSAL_HOOK", `${message}; the vassal ends`, {}, { cause: error });
      log(`${message}; going on`);
    }
  }
}

function nameOf({ action, argument, hidden }: HookAction): string {
  return hidden ? "--- PRIVATE HOOK ---" : quote(`${action}:${argument}`);
}
