/**
 * Puts the hands together for one Emperor: settings in, working parts out. The only place that knows
 * all of them.
 */
import type { HandsListener } from "../court/hands.ts";
import type { Logger } from "../log/logger.ts";
import type { Settings } from "../options/settings.ts";
import { processGroupTree, type ProcessTree } from "./cgroup.ts";
import { runCommand } from "./command-runner.ts";
import { EmperorHooks } from "./emperor-hooks.ts";
import { MachineHands } from "./hands.ts";
import { HelperChildren } from "./helper-children.ts";
import { readHooks } from "./hook-set.ts";
import type { Machine } from "./machine.ts";
import { Planner } from "./plan.ts";
import { usableSafeFds } from "./safe-fds.ts";

/** A hook of the settings cannot be performed. `problems`: one full sentence each, with its option. */
export class HookError extends Error {
  readonly code = "EMPEROR_HOOK";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the Emperor does not start: ${problems.join("; ")}`);
    this.name = "HookError";
    this.problems = problems;
  }
}

/** What tests replace. */
export interface HandsOverrides {
  readonly tree?: ProcessTree;
  readonly now?: () => number;
  readonly ids?: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
}

function ownIds(): {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
} {
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
  };
}

/**
 * Hands for `settings`. Throws `HookError` when a hook cannot be read.
 *
 * `hook-emperor-start` is not run here: the Emperor does that with `emperorStart()` of the answer's
 * `emperorHooks` before its monitors start, because a failure there is fatal.
 */
export function createHands(
  settings: Settings,
  machine: Machine,
  listener: HandsListener,
  logger: Logger,
  overrides: HandsOverrides = {},
): MachineHands {
  const reading = readHooks(settings, process.env["PATH"]);
  if (!reading.ok) throw new HookError(reading.problems);
  const { hooks } = reading;
  const warn = (message: string): void => logger.warning(message);
  const planner = new Planner({
    settings: { ...settings, safeFds: usableSafeFds(settings.safeFds, warn) },
    hooks,
    environment: () => process.env,
    ids: overrides.ids ?? ownIds(),
    warn,
  });
  const helpers = new HelperChildren(machine, () => hands.watcher, settings.hookTimeoutMs);
  const emperorHooks = new EmperorHooks(
    hooks,
    {
      run: (command) => runCommand(command, settings.hookTimeoutMs),
      perform: (action) => helpers.perform(action),
      environment: () => process.env,
      changeDirectory: (path) => process.chdir(path),
      setVariable: (name, value) => {
        process.env[name] = value;
        planner.invalidateEnvironment();
      },
      exit: (code) => {
        logger.flush();
        process.exit(code);
      },
    },
    logger,
  );
  const hands: MachineHands = new MachineHands({
    machine,
    listener,
    logger,
    planner,
    hooks,
    emperorHooks,
    helpers,
    tree: overrides.tree ?? processGroupTree,
    now: overrides.now ?? (() => performance.now()),
  });
  return hands;
}
