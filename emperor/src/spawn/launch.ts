/**
 * Makes one child with its channel and config pipe, or nothing at all: whatever fails, no descriptor
 * is left over. It must not know what is heard from the child later.
 */
import type { SpawnFailure } from "@emperor/linux";
import type { SpawnFailureReport } from "../court/hands.ts";
import { isSystemCode, reportFailure } from "./failures.ts";
import type { HookSet } from "./hook-set.ts";
import type { Machine } from "./machine.ts";
import type { Plan, Planner } from "./plan.ts";
import { NONE, type ProcessRecord } from "./process-table.ts";

/** The symbolic errno of what a system call threw. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}

/** What the Emperor's descriptors were when the system had none left. */
function noDescriptors(what: string, error: unknown): SpawnFailureReport {
  const code = errorCode(error);
  return {
    cause: isSystemCode(code) ? "system" : "vassal",
    detail: `${what} cannot be made: ${code}`,
  };
}

/**
 * Starts the child of `plan` and writes pid and descriptors into `record`. The answer is the index of
 * the program that runs (-1 in `copied` mode, where the outcome is still to come), or why there is no
 * child.
 */
export function launch(
  machine: Machine,
  planner: Planner,
  plan: Plan,
  hooks: HookSet,
  record: ProcessRecord,
): number | SpawnFailureReport {
  const opened: number[] = [];
  const pair = (): { readonly own: number; readonly theirs: number } => {
    const made = machine.socketPair();
    opened.push(made.own, made.theirs);
    return made;
  };
  const giveUp = (report: SpawnFailureReport): SpawnFailureReport => {
    for (const fd of opened) machine.close(fd);
    return report;
  };
  let channel: { readonly own: number; readonly theirs: number };
  let pipe: { readonly own: number; readonly theirs: number } | undefined;
  try {
    channel = pair();
    pipe = plan.piped ? pair() : undefined;
  } catch (error) {
    return giveUp(noDescriptors("the channel to the vassal", error));
  }
  let result;
  try {
    result = machine.spawn({ ...plan.fixed, fds: planner.fds(channel.theirs, pipe?.theirs) });
  } catch (error) {
    // The native side throws only when it was asked for something that cannot be put into a call.
    const reason = error instanceof Error ? error.message : String(error);
    return giveUp({ cause: "exile", detail: `it cannot be started as it is described: ${reason}` });
  }
  if (!result.ok) return giveUp(failureReport(plan, hooks, result));
  machine.close(channel.theirs);
  if (pipe !== undefined) machine.close(pipe.theirs);
  record.pid = result.pid;
  record.pidfd = result.pidfd;
  record.channelFd = channel.own;
  record.configFd = pipe?.own ?? NONE;
  record.statusFd = result.statusFd ?? NONE;
  record.plan = plan;
  record.stage = "alive";
  return result.statusFd === undefined ? result.program : NONE;
}

export function failureReport(
  plan: Plan,
  hooks: HookSet,
  failure: SpawnFailure,
): SpawnFailureReport {
  const { cwd = "", lateCwd } = plan.fixed;
  return reportFailure({ failure, programs: plan.programs, hooks, cwd, lateCwd });
}
