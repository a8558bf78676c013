/**
 * The options of hooks: which actions run in which phase. Table and order; pure. What an action does is
 * a matter of `hook-actions.ts`.
 */
import { formatOrigin } from "@emperor/config";
import type { OptionDefinition } from "@emperor/config";
import { serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";

/** The phases that there are, in their order. */
export const HOOK_PHASES = [
  "asap",
  "pre-jail",
  "in-jail",
  "as-root",
  "as-user",
  "pre-app",
  "emperor-reload",
  "emperor-stop",
  "emperor-lost",
  "as-user-atexit",
] as const;

export type HookPhase = (typeof HOOK_PHASES)[number];

export interface HookAction {
  /** `exec`, `mount`, `write` ... */
  readonly action: string;
  readonly argument: string;
  /** Not to be shown in the log. */
  readonly hidden: boolean;
  readonly origin: string;
}

export type HookSettings = Readonly<Partial<Record<HookPhase, readonly HookAction[]>>>;

const GROUP = "Hooks";
const ROOT_PHASES: readonly HookPhase[] = ["asap", "pre-jail", "in-jail", "as-root"];
const EMPEROR_PHASES: readonly HookPhase[] = ["emperor-reload", "emperor-stop", "emperor-lost"];

function kindsOf(phase: HookPhase): readonly string[] {
  if (ROOT_PHASES.includes(phase)) return ["hook", "mount", "umount", "exec"];
  return EMPEROR_PHASES.includes(phase) ? ["hook"] : ["hook", "exec"];
}

/** Their part of the option table. */
export const HOOK_OPTIONS: readonly OptionDefinition[] = HOOK_PHASES.flatMap((phase) =>
  kindsOf(phase).map((kind) =>
    serve(
      GROUP,
      `${kind}-${phase}`,
      kind === "hook" ? `do something in the phase ${phase}` : `the same as the action ${kind}`,
      {
        kind: "list",
        repeatable: true,
        placeholder: kind === "hook" ? "ACTION:ARGUMENT" : "ARGUMENT",
      },
    ),
  ),
);

/** The phases of uWSGI's that do not exist here. */
export const ABSENT_HOOKS: readonly string[] = [
  "hook-post-jail",
  "exec-post-jail",
  "mount-post-jail",
  "umount-post-jail",
  "hook-post-app",
  "exec-post-app",
  "hook-master-start",
  "hook-post-fork",
  "hook-accepting",
  "hook-accepting1",
  "hook-accepting-once",
  "hook-accepting1-once",
];

/**
 * The actions of each phase: `hook-` first, then mount, umount and exec, each kind in its own order, as in
 * uWSGI. `check` says why an action cannot be performed; mistakes are noted in the reader.
 */
export function readHooks(
  reader: SettingsReader,
  check: (action: string, argument: string) => string | undefined,
): HookSettings {
  const hooks: Partial<Record<HookPhase, HookAction[]>> = {};
  for (const phase of HOOK_PHASES) {
    const actions: HookAction[] = [];
    for (const kind of kindsOf(phase)) {
      for (const entry of reader.entries) {
        if (entry.placeholder === true || entry.option?.name !== `${kind}-${phase}`) continue;
        const action = split(kind, entry.value ?? "", formatOrigin(entry.origin));
        const problem =
          action === undefined ? "it needs ACTION:ARGUMENT" : check(action.action, action.argument);
        if (problem !== undefined)
          reader.fail("VASSAL_CONFIG", entry, `option "${entry.key}": ${problem}`);
        else if (action !== undefined) actions.push(action);
      }
    }
    if (actions.length > 0) hooks[phase] = actions;
  }
  return hooks;
}

function split(kind: string, value: string, origin: string): HookAction | undefined {
  const hidden = value.startsWith("!");
  const text = hidden ? value.slice(1) : value;
  if (kind !== "hook") return { action: kind, argument: text, hidden, origin };
  const colon = text.indexOf(":");
  if (colon < 1) return undefined;
  return { action: text.slice(0, colon), argument: text.slice(colon + 1), hidden, origin };
}
