/**
 * All hooks of one Emperor, read once. Owns which option is fatal where; it must not perform any.
 */
import type { SetupAction } from "@emperor/linux";
import type { Settings } from "../options/settings.ts";
import type { VethSettings } from "./addresses.ts";
import { asSetupAction, parseHookActions, type ParsedAction } from "./hook-actions.ts";
import { isExecutable } from "./program-path.ts";
import { parseLifeHook, type LifeHook } from "./start-hook.ts";

export type HookSettings = Pick<
  Settings,
  | "startHook"
  | "stopHook"
  | "hookAsap"
  | "hookAsRoot"
  | "hookAsUser"
  | "hookEmperorStart"
  | "hookAsEmperor"
  | "hookAsEmperorBeforeVassal"
  | "hookAsVassal"
  | "hookAsVassalBeforeDrop"
  | "isolation"
  | "shells"
>;

/** When the Emperor runs a hook of its own start. A failure ends it. */
export type OwnPhase = "asap" | "as-root" | "as-user" | "emperor-start";

/** A list of steps of the child and, index by index, what they were called. */
export interface ChildSteps {
  readonly actions: readonly SetupAction[];
  readonly sources: readonly ParsedAction[];
}

export interface HookSet {
  readonly shell: string;
  readonly startHook: LifeHook | undefined;
  readonly stopHook: LifeHook | undefined;
  /** Hooks of the Emperor's own start, by phase. */
  readonly own: Readonly<Record<OwnPhase, readonly ParsedAction[]>>;
  readonly asEmperor: readonly ParsedAction[];
  readonly beforeVassal: readonly ParsedAction[];
  /** Interfaces for vassals; undefined: none are made. */
  readonly veth: VethSettings | undefined;
  /** Done by the Emperor in namespaces (CLONE_NEW* flags) of the vassal. */
  readonly setns: readonly { readonly namespaces: number; readonly action: ParsedAction }[];
  readonly asVassal: ChildSteps;
  readonly beforeDrop: ChildSteps;
  /** Texts of `print` and `log` among the vassal's hooks: the same for all, said by the Emperor. */
  readonly vassalTexts: readonly string[];
}

export type HookReading =
  | { readonly ok: true; readonly hooks: HookSet }
  /** Full sentences: option, place, what is wrong. */
  | { readonly ok: false; readonly problems: readonly string[] };

function childSteps(actions: readonly ParsedAction[], shell: string): ChildSteps {
  const steps: SetupAction[] = [];
  const sources: ParsedAction[] = [];
  for (const action of actions) {
    const step = asSetupAction(action, shell);
    if (step === undefined) continue;
    steps.push(step);
    sources.push(action);
  }
  return { actions: steps, sources };
}

/** Reads every hook. `path`: PATH for hooks given as a bare program name. */
export function readHooks(settings: HookSettings, path: string | undefined): HookReading {
  const problems: string[] = [];
  const list = (hooks: Settings["hookAsVassal"]): readonly ParsedAction[] => {
    const parsed = parseHookActions(hooks);
    if (parsed.ok) return parsed.actions;
    problems.push(...parsed.problems);
    return [];
  };
  const life = (option: string, text: string | undefined): LifeHook | undefined => {
    if (text === undefined) return undefined;
    const parsed = parseLifeHook(text, path);
    if (!("problem" in parsed)) return parsed;
    problems.push(`${option}: "${text}" cannot be read: ${parsed.problem}`);
    return undefined;
  };
  const shell = settings.shells.find(isExecutable) ?? "/bin/sh";
  const asVassal = list(settings.hookAsVassal);
  const beforeDrop = list(settings.hookAsVassalBeforeDrop);
  const hooks: HookSet = {
    shell,
    startHook: life("vassals-start-hook", settings.startHook),
    stopHook: life("vassals-stop-hook", settings.stopHook),
    own: {
      asap: list(settings.hookAsap),
      "as-root": list(settings.hookAsRoot),
      "as-user": list(settings.hookAsUser),
      "emperor-start": list(settings.hookEmperorStart),
    },
    asEmperor: list(settings.hookAsEmperor),
    beforeVassal: list(settings.hookAsEmperorBeforeVassal),
    veth: settings.isolation.veth,
    setns: settings.isolation.setnsHooks.flatMap(({ namespaces, hook }) =>
      list([hook]).map((action) => ({ namespaces, action })),
    ),
    asVassal: childSteps(asVassal, shell),
    beforeDrop: childSteps(beforeDrop, shell),
    vassalTexts: [...beforeDrop, ...asVassal].flatMap(({ deed }) =>
      deed.kind === "log" ? [deed.text] : [],
    ),
  };
  return problems.length > 0 ? { ok: false, problems } : { ok: true, hooks };
}
