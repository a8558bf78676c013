/** Starting a process: options in, result or failure out. Decides nothing about either. */
import { constants } from "node:os";
import { errnoName } from "./constants.ts";
import { native } from "./native.ts";
import { packPlan, SPAWN_STAGES } from "./plan.ts";
import type { SpawnFailure, SpawnOptions, SpawnResult } from "./types.ts";

/** A failure out of the addon's numbers. */
export function makeFailure(
  stage: number,
  errno: number,
  index: number,
  waitStatus: number,
): SpawnFailure {
  return {
    ok: false,
    stage: SPAWN_STAGES[stage] ?? "prepare",
    errno,
    code: errnoName(errno),
    index,
    waitStatus,
  };
}

/**
 * Starts a child as `options` say and never throws for what the machine or the options refuse: a
 * full process table (EAGAIN), no descriptor left (EMFILE), a string with a NUL or a combination that
 * is not allowed (stage `prepare`, EINVAL), a step of the set-up. After a failure neither a process
 * nor a descriptor is left. The result's descriptors belong to the caller.
 *
 * The parent-death signal is tied to the calling thread, as the kernel has it: spawn from the main one.
 */
export function spawn(options: SpawnOptions): SpawnResult {
  const plan = packPlan(options);
  if (plan === undefined) return makeFailure(0, constants.errno.EINVAL, -1, 0);
  const [ok, first = 0, second = 0, third = 0, fourth = 0] = native.spawn(plan.numbers, plan.text);
  if (ok !== 1) return makeFailure(first, second, third, fourth);
  const child = { ok: true, pid: first, pidfd: second, program: fourth } as const;
  return options.mode === "copied" ? { ...child, statusFd: third } : child;
}
