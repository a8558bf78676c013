/**
 * Says why a start failed, to an operator, and whose fault it is, to the life-cycle. Pure; it must not
 * know what follows.
 */
import type { SpawnFailure } from "@emperor/linux";
import type { SpawnFailureReport } from "../court/hands.ts";
import { quoteName } from "../log/quoting.ts";
import type { HookSet } from "./hook-set.ts";
import { exitStatusOf } from "./start-hook.ts";
import { describeExecFailure, type ProgramList } from "./programs.ts";

/** The machine has no room at this moment: no vassal is to blame. */
const SYSTEM_CODES: ReadonlySet<string> = new Set([
  "EAGAIN",
  "ENOMEM",
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOSPC",
]);

const STEP: Readonly<Record<SpawnFailure["stage"], string>> = {
  prepare: "preparing the start",
  clone: "making the process",
  "user-namespace": "mapping users into its user namespace",
  cgroup: "entering its cgroup",
  namespace: "making its namespaces",
  session: "making its session",
  signals: "resetting its signals",
  rlimit: "setting its limits",
  mount: "setting up its mounts",
  hostname: "setting its host name",
  loopback: "bringing its loopback interface up",
  "before-drop-action": "a hook before the drop of privileges",
  "capability-bound": "dropping capabilities",
  securebits: "setting its securebits",
  groups: "setting its groups",
  gid: "changing its group",
  uid: "changing its user",
  "capability-ambient": "keeping capabilities",
  "no-new-privs": "forbidding new privileges",
  "parent-death-signal": "binding its life to the Emperor",
  descriptors: "placing its descriptors",
  umask: "setting its umask",
  cwd: "entering its directory",
  action: "a hook",
  "late-cwd": "entering the directory of its attribute",
  exec: "executing its program",
};

export interface FailedStart {
  readonly failure: SpawnFailure;
  readonly programs: ProgramList;
  readonly hooks: HookSet;
  readonly cwd: string;
  readonly lateCwd: string | undefined;
}

export function isSystemCode(code: string): boolean {
  return SYSTEM_CODES.has(code);
}

/** Cause and one sentence part: what, where, errno. */
export function reportFailure(start: FailedStart): SpawnFailureReport {
  const { failure } = start;
  const detail = describe(start);
  if (
    isSystemCode(failure.code) &&
    failure.stage !== "action" &&
    failure.stage !== "before-drop-action"
  ) {
    return { cause: "system", detail };
  }
  // What cannot even be written into a call, a name with a NUL for instance, is the config's fault.
  const isExile = failure.stage === "late-cwd" || failure.stage === "prepare";
  return { cause: isExile ? "exile" : "vassal", detail };
}

function describe(start: FailedStart): string {
  const { failure, hooks } = start;
  const step = STEP[failure.stage];
  switch (failure.stage) {
    case "exec":
      if (!isSystemCode(failure.code)) return describeExecFailure(start.programs, failure.code);
      return `${step} failed: ${failure.code}`;
    case "cwd":
      return `${step} ${quoteName(start.cwd)} failed: ${failure.code}`;
    case "late-cwd":
      return `${step}, ${quoteName(start.lateCwd ?? "")}, failed: ${failure.code}`;
    case "before-drop-action":
      // Behind all hooks comes the step that narrows the file system.
      if (failure.index >= hooks.beforeDrop.sources.length)
        return `narrowing its file system ${describeAction(failure, undefined)} (the line of emperor-sandbox in the log says why)`;
      return `${step}, ${describeAction(failure, hooks.beforeDrop.sources[failure.index])}`;
    case "action": {
      // The start hook stands first; it is tolerated, so a failing index is always behind it.
      const offset = hooks.startHook === undefined ? 0 : 1;
      return `${step}, ${describeAction(failure, hooks.asVassal.sources[failure.index - offset])}`;
    }
    default:
      return `${step} failed: ${failure.code === "" ? "the child died" : failure.code}`;
  }
}

function describeAction(
  failure: SpawnFailure,
  source: { readonly label: string; readonly origin: string } | undefined,
): string {
  const which = source === undefined ? "" : `${source.origin}: "${source.label}" `;
  if (failure.code !== "") return `${which}failed: ${failure.code}`;
  if (failure.waitStatus === 0) return `${which}was interrupted: the child was killed`;
  const signal = failure.waitStatus & 0x7f;
  return signal === 0
    ? `${which}ended with status ${exitStatusOf(failure.waitStatus)}`
    : `${which}was ended by signal ${signal}`;
}
