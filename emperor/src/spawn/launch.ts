/**
 * Makes one child with its channel and config pipe, or nothing at all: whatever fails, no descriptor
 * is left over. It must not know what is heard from the child later.
 */
import type { SpawnFailure, SpawnOptions, SpawnResult, Watcher } from "@emperor/linux";
import type { SpawnFailureReport } from "../court/hands.ts";
import { isSystemCode, reportFailure } from "./failures.ts";
import type { HookSet } from "./hook-set.ts";
import { errorCode, type Machine } from "./machine.ts";
import type { Plan, Planner } from "./plan.ts";
import { NONE, tokenOf, WATCH, type ProcessRecord, type WatchKind } from "./process-table.ts";

export function noDescriptors(what: string, error: unknown): SpawnFailureReport {
  const code = errorCode(error);
  return {
    cause: isSystemCode(code) ? "system" : "vassal",
    detail: `${what} cannot be made: ${code}`,
  };
}

/** Our end of a pair and the vassal's. */
export interface Pair {
  readonly own: number;
  readonly theirs: number;
}

/** The index of the program that runs (-1 in `copied` mode, where that is still to come), or why there is no child. */
export type LaunchOutcome = number | SpawnFailureReport;

/**
 * Starts the child of `plan` and writes pid and descriptors into `record`, whose stage is `launching`
 * meanwhile; then calls `done`, possibly before this returns. Only a `copied` start is over at once: a
 * `shared` one waits for its turn and for the child's exec, and the event loop does not.
 */
export function launch(
  machine: Machine,
  planner: Planner,
  plan: Plan,
  hooks: HookSet,
  record: ProcessRecord,
  done: (outcome: LaunchOutcome) => void,
): void {
  const pairs: Pair[] = [];
  try {
    // The channel, and the config pipe.
    for (let wanted = plan.piped ? 2 : 1; wanted > 0; wanted -= 1) pairs.push(makePair(machine));
  } catch (error) {
    closePairs(machine, pairs);
    return done(noDescriptors("the channel to the vassal", error));
  }
  const [channel, pipe] = pairs;
  const options: SpawnOptions = {
    ...plan.fixed,
    fds: planner.fds(channel?.theirs ?? NONE, pipe?.theirs, record.sockets),
  };
  const settle = (result: SpawnResult): void => {
    if (!result.ok) {
      closePairs(machine, pairs);
      return done(failureReport(plan, hooks, result));
    }
    // Not before: until now the child was still to inherit them.
    for (const { theirs } of pairs) machine.close(theirs);
    record.pid = result.pid;
    record.pidfd = result.pidfd;
    record.channelFd = channel?.own ?? NONE;
    record.configFd = pipe?.own ?? NONE;
    record.statusFd = result.statusFd ?? NONE;
    record.plan = plan;
    record.stage = "alive";
    done(result.statusFd === undefined ? result.program : NONE);
  };
  record.stage = "launching";
  if (options.mode === "shared") machine.spawnAsync(options, settle);
  else settle(machine.spawn(options));
}

/** Our end does not block; the vassal's does, as uWSGI's vassals expect. */
export function makePair(machine: Machine): Pair {
  const [own, theirs] = machine.socketpair({ type: "stream", nonBlocking: "first" });
  return { own, theirs };
}

export function closePairs(machine: Machine, pairs: readonly Pair[]): void {
  for (const { own, theirs } of pairs) {
    machine.close(own);
    machine.close(theirs);
  }
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
