/**
 * Makes one child with its channel and config pipe, or nothing at all: whatever fails, no descriptor
 * is left over. It must not know what is heard from the child later.
 */
import type { SpawnFailure, Watcher } from "@emperor/linux";
import type { SpawnFailureReport } from "../court/hands.ts";
import { isSystemCode, reportFailure } from "./failures.ts";
import type { HookSet } from "./hook-set.ts";
import { errorCode, type Machine } from "./machine.ts";
import type { Plan, Planner } from "./plan.ts";
import { NONE, tokenOf, WATCH, type ProcessRecord, type WatchKind } from "./process-table.ts";

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
    // Our end does not block; the vassal's does, as uWSGI's vassals expect.
    const [own, theirs] = machine.socketpair({ type: "stream", nonBlocking: "first" });
    opened.push(own, theirs);
    return { own, theirs };
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
  const result = machine.spawn({
    ...plan.fixed,
    fds: planner.fds(channel.theirs, pipe?.theirs),
  });
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

/** Gives back all that `launch` made. The watcher forgets a descriptor before it is closed, never after. */
export function giveBack(machine: Machine, watcher: Watcher, record: ProcessRecord): void {
  const close = (fd: number, kind: WatchKind | undefined): typeof NONE => {
    if (fd === NONE) return NONE;
    if (kind !== undefined) watcher.remove(tokenOf(record.handle, kind));
    machine.close(fd);
    return NONE;
  };
  record.pidfd = close(record.pidfd, WATCH.process);
  record.channelFd = close(record.channelFd, WATCH.channel);
  record.statusFd = close(record.statusFd, WATCH.status);
  record.configFd = close(record.configFd, undefined);
  record.unsent = undefined;
}
