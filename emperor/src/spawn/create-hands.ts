/**
 * Puts the hands together for one Emperor: settings in, working parts out. The only place that knows
 * all of them.
 */
import * as linux from "@emperor/linux";
import { getrlimit, RLIMIT } from "@emperor/linux";
import type { HandsListener } from "../court/hands.ts";
import { EmperorError } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import type { Settings } from "../options/settings.ts";
import { ProcessGroupTree, type ProcessTree } from "./cgroup.ts";
import { captureCommand, endRunningCommands, runCommand } from "./command-runner.ts";
import { EmperorHooks, type HookWorld } from "./emperor-hooks.ts";
import { MachineHands } from "./hands.ts";
import type { ForkServerClient } from "./fork-server.ts";
import { HelperChildren } from "./helper-children.ts";
import { readHooks, type HookSettings } from "./hook-set.ts";
import type { Machine } from "./machine.ts";
import type { SocketMachine } from "./on-demand-sockets.ts";
import { ownerOf } from "./socket-owner.ts";
import { Planner } from "./plan.ts";
import { RESERVED_DESCRIPTORS, withReserve } from "./reserve.ts";
import { usableSafeFds } from "./safe-fds.ts";

/**
 * The hooks that run in the Emperor itself, and the reading of all others. Throws
 * `EmperorError` `bad-hook` that names every hook that cannot be performed, with option and place.
 * Needed before there are hands: `ownPhase("asap")` and its kin belong to the Emperor's own start.
 */
export function createEmperorHooks(
  settings: HookSettings & Pick<Settings, "hookTimeoutMs">,
  machine: Machine,
  logger: Logger,
): EmperorHooks {
  const reading = readHooks(settings, process.env["PATH"]);
  if (!reading.ok) {
    const problems = reading.problems.join("; ");
    throw new EmperorError("bad-hook", `${problems}; nothing is started`);
  }
  const helpers = new HelperChildren(machine, settings.hookTimeoutMs);
  const world: HookWorld = {
    run: (command) => runCommand(command, settings.hookTimeoutMs),
    capture: (command) => captureCommand(command, settings.hookTimeoutMs),
    endRunning: () => {
      endRunningCommands();
      helpers.endRunning();
    },
    perform: (action, cwd) => helpers.perform(action, cwd),
    environment: () => process.env,
    changeDirectory: (path) => process.chdir(path),
    setVariable: (name, value) => {
      process.env[name] = value;
    },
    exit: (code) => {
      logger.flush();
      process.exit(code);
    },
  };
  return new EmperorHooks(reading.hooks, world, logger);
}

/** What tests replace, and what only some Emperors have. */
export interface HandsOverrides {
  readonly tree?: ProcessTree;
  readonly now?: () => number;
  readonly ids?: Ids;
  readonly socketMachine?: SocketMachine;
  /** Made where `emperor-use-fork-server` or `emperor-fork-server-attr` is set. */
  readonly forkServer?: (machine: Machine) => ForkServerClient;
}

interface Ids {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** Whole, because every fraction that is kept costs a vassal 16 bytes and decides nothing. */
function wholeMilliseconds(): number {
  return Math.floor(performance.now());
}

function ownIds(): Ids {
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
  };
}

/** Hands for `settings`, which report to `listener`. To be made after the Emperor dropped privileges. */
export function createHands(
  settings: Settings,
  machine: Machine,
  listener: HandsListener,
  logger: Logger,
  emperorHooks: EmperorHooks,
  overrides: HandsOverrides = {},
): MachineHands {
  const warn = (message: string): void => logger.warning(message);
  const planner = new Planner({
    settings: { ...settings, safeFds: usableSafeFds(settings.safeFds, warn) },
    hooks: emperorHooks.set,
    environment: () => process.env,
    ids: overrides.ids ?? ownIds(),
    warn,
  });
  emperorHooks.onEnvironmentChange = () => planner.invalidateEnvironment();
  const { soft } = getrlimit(RLIMIT.nofile);
  const reserved = withReserve(machine, soft);
  return new MachineHands({
    machine: reserved,
    forkServer: overrides.forkServer?.(reserved),
    listener,
    logger,
    planner,
    hooks: emperorHooks.set,
    emperorHooks,
    sockets: {
      machine: overrides.socketMachine ?? linux,
      idleMs: settings.onDemand.idleMs,
      policy: {
        mode: settings.onDemand.mode,
        backlog: settings.onDemand.backlog,
        tyrant: settings.tyrant,
        firstReserved: soft - RESERVED_DESCRIPTORS,
        ...ownerOf("emperor-on-demand-owner", settings.onDemand.owner),
      },
    },
    tree: overrides.tree ?? new ProcessGroupTree(machine),
    now: overrides.now ?? wholeMilliseconds,
  });
}
