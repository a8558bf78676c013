/**
 * The options of hooks: which actions run in which phase. Table and order; pure. What an action does is
 * a matter of `hook-actions.ts`.
 */
import { allEntries, formatOrigin } from "@emperor/config";
import type { ConfigEntry, OptionDefinition } from "@emperor/config";
import { serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";

/** The phases that there are, in their order. */
export const HOOK_PHASES = [
  "asap",
  "pre-jail",
  "in-jail",
  "post-jail",
  "as-root",
  "as-user",
  "pre-app",
  "post-fork",
  "post-app",
  "accepting",
  "accepting-once",
  "accepting1",
  "accepting1-once",
  "master-start",
  "emperor-reload",
  "emperor-stop",
  "emperor-lost",
  "as-user-atexit",
] as const;

export type HookPhase = (typeof HOOK_PHASES)[number];

/** Those of the process that runs the app (each worker, or the one process), in uWSGI's order. */
export const ACCEPTING_PHASES = [
  "accepting",
  "accepting-once",
  "accepting1",
  "accepting1-once",
] as const satisfies readonly HookPhase[];
export const WORKER_PHASES: readonly HookPhase[] = ["post-fork", "post-app", ...ACCEPTING_PHASES];

export interface HookAction {
  /** `exec`, `mount`, `write` ... */
  readonly action: string;
  readonly argument: string;
  /** Not to be shown in the log. */
  readonly hidden: boolean;
  readonly origin: string;
}

export type HookSettings = Readonly<Partial<Record<HookPhase, readonly HookAction[]>>>;

/** `hook-touch`: an action for a file. */
export interface TouchHook {
  readonly file: string;
  readonly hook: HookAction;
}

const GROUP = "Hooks";
const ROOT_PHASES: readonly HookPhase[] = ["asap", "pre-jail", "in-jail", "post-jail", "as-root"];
const EXEC_PHASES: readonly HookPhase[] = ["as-user", "pre-app", "post-app", "as-user-atexit"];

function kindsOf(phase: HookPhase): readonly string[] {
  if (ROOT_PHASES.includes(phase)) return ["hook", "mount", "umount", "exec"];
  return EXEC_PHASES.includes(phase) ? ["hook", "exec"] : ["hook"];
}

/** Their part of the option table. */
export const HOOK_OPTIONS: readonly OptionDefinition[] = [
  ...HOOK_PHASES.flatMap((phase) =>
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
  ),
  serve(GROUP, "hook-touch", "do something when a file is touched", {
    kind: "list",
    repeatable: true,
    placeholder: "FILE ACTION:ARGUMENT",
  }),
];

const NO_SYMBOLS =
  "there are no C symbols to be called in this program; use exec or a module of the app";

/** What uWSGI has and what makes no sense here, with the reason. */
export const ABSENT_HOOKS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [...ROOT_PHASES, ...EXEC_PHASES].map((phase) => [`call-${phase}`, NO_SYMBOLS]),
  ),
  "hook-as-mule": "there are no mules",
  "hook-as-gateway": "there are no gateways",
};

/**
 * The actions of each phase: `hook-` first, then mount, umount and exec, each kind in its own order, as in
 * uWSGI. `check` says why an action cannot be performed; mistakes are noted in the reader.
 */
export function readHooks(reader: SettingsReader, check: CheckAction): HookSettings {
  const hooks: Partial<Record<HookPhase, HookAction[]>> = {};
  for (const phase of HOOK_PHASES) {
    const actions = kindsOf(phase).flatMap((kind) =>
      allEntries(reader.entries, `${kind}-${phase}`).flatMap(
        (entry) => readAction(reader, entry, kind, entry.value ?? "", check) ?? [],
      ),
    );
    if (actions.length > 0) hooks[phase] = actions;
  }
  return hooks;
}

/** `hook-touch = FILE ACTION:ARGUMENT`, in order; mistakes are noted in the reader. */
export function readTouchHooks(reader: SettingsReader, check: CheckAction): readonly TouchHook[] {
  return allEntries(reader.entries, "hook-touch").flatMap((entry): TouchHook[] => {
    const [, file, value] = /^\s*(\S+)\s+(\S[^]*)$/.exec(entry.value ?? "") ?? [];
    if (file === undefined || value === undefined) {
      reader.fail("VASSAL_CONFIG", entry, 'option "hook-touch": it needs FILE ACTION:ARGUMENT');
      return [];
    }
    const hook = readAction(reader, entry, "hook", value, check);
    return hook === undefined ? [] : [{ file, hook }];
  });
}

type CheckAction = (action: string, argument: string) => string | undefined;

function readAction(
  reader: SettingsReader,
  entry: ConfigEntry,
  kind: string,
  value: string,
  check: CheckAction,
): HookAction | undefined {
  const action = split(kind, value, formatOrigin(entry.origin));
  const problem =
    action === undefined ? "it needs ACTION:ARGUMENT" : check(action.action, action.argument);
  if (problem === undefined) return action;
  reader.fail("VASSAL_CONFIG", entry, `option "${entry.key}": ${problem}`);
  return undefined;
}

function split(kind: string, value: string, origin: string): HookAction | undefined {
  const hidden = value.startsWith("!");
  const text = hidden ? value.slice(1) : value;
  if (kind !== "hook") return { action: kind, argument: text, hidden, origin };
  const colon = text.indexOf(":");
  if (colon < 1) return undefined;
  return { action: text.slice(0, colon), argument: text.slice(colon + 1), hidden, origin };
}
