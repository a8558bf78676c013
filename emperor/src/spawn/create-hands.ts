/**
 * Puts the hands together for one Emperor: settings in, working parts out. The only place that knows
 * all of them.
 */
import { readFileSync } from "node:fs";
import { getrlimit, openPidfd, RLIMIT } from "@emperor/linux";
import type { VassalCgroups } from "../cgroups/vassal-cgroups.ts";
import type { HandsListener } from "../court/hands.ts";
import { EmperorError } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import type { Settings } from "../options/settings.ts";
import { ProcessGroupTree, type ProcessTree } from "./cgroup.ts";
import { endRunningCommands, runCommand } from "./command-runner.ts";
import { EmperorHooks, type HookWorld } from "./emperor-hooks.ts";
import { MachineHands } from "./hands.ts";
import { HelperChildren } from "./helper-children.ts";
import { readHooks, type HookSettings } from "./hook-set.ts";
import { CLONE } from "./isolation.ts";
import type { Machine } from "./machine.ts";
import { Planner } from "./plan.ts";
import { withReserve } from "./reserve.ts";
import { usableSafeFds } from "./safe-fds.ts";
import { rangesFrom, rangesOfUser, UserRanges } from "./user-ranges.ts";
import type { Profiles } from "./profiles.ts";
import type { signalAs } from "./signal-as.ts";
import type { Tyrant } from "./tyrant.ts";

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
    endRunning: () => {
      endRunningCommands();
      helpers.endRunning();
    },
    perform: (action, cwd) => helpers.perform(action, cwd),
    performWithin: (action, within) => helpers.perform(action, undefined, within),
    openProcess: (pid) => {
      try {
        return openPidfd(pid);
      } catch {
        return undefined;
      }
    },
    closeProcess: (pidfd) => machine.close(pidfd),
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

export interface Isolators {
  readonly tyrant?: Tyrant;
  readonly signalAs?: typeof signalAs;
  readonly profiles?: Profiles;
}

/**
 * Who decides as whom vassals run and what they see, loaded for those who want it.
 * @throws EmperorError `unknown-user`
 */
export async function createIsolators(settings: Settings, logger: Logger): Promise<Isolators> {
  return {
    ...(settings.tyrant ? await createTyrant(settings, logger) : {}),
    ...(hasProfiles(settings.profiles)
      ? { profiles: new (await import("./profiles.ts")).Profiles(settings.profiles) }
      : {}),
  };
}

function hasProfiles({ attribute, base }: Settings["profiles"]): boolean {
  const { sandbox, rlimits } = base;
  const { privateTmp, readOnly, hidePid, hide } = sandbox;
  const narrows = privateTmp || readOnly || hidePid || hide.length > 0;
  return attribute !== undefined || narrows || rlimits.length > 0;
}

async function createTyrant(
  settings: Settings,
  logger: Logger,
): Promise<Pick<Isolators, "tyrant" | "signalAs">> {
  const [{ Tyrant: Judge }, { SystemAccounts }, { signalAs: inTheirName }] = await Promise.all([
    import("./tyrant.ts"),
    import("./accounts.ts"),
    import("./signal-as.ts"),
  ]);
  if (settings.wrapper !== undefined && settings.environmentMode === "auto") {
    logger.warning(
      "[emperor-tyrant] emperor-wrapper is given, so it and its vassals inherit the Emperor's environment, which their users can read; vassal-env = clean withholds it, vassal-env = inherit ends this warning",
    );
  }
  const tyrant = new Judge({
    settings,
    accounts: new SystemAccounts(wholeMilliseconds),
    ownUid: ownIds().uid,
    warn: (message) => logger.warning(message),
  });
  return { tyrant, signalAs: inTheirName };
}

/** What tests replace, and what others share. */
export interface HandsOverrides extends Isolators {
  readonly tree?: ProcessTree;
  readonly now?: () => number;
  readonly ids?: Ids;
  readonly cgroups?: VassalCgroups;
  readonly signature?: number;
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
  const ids = overrides.ids ?? ownIds();
  const ranges = userRanges(settings, ids.uid, () => hands.living());
  const planner = new Planner({
    settings: { ...settings, safeFds: usableSafeFds(settings.safeFds, warn) },
    hooks: emperorHooks.set,
    environment: () => process.env,
    ids,
    warn,
    ranges,
    ...(overrides.signature === undefined ? {} : { signature: overrides.signature }),
    ...(overrides.tyrant === undefined ? {} : { tyrant: overrides.tyrant }),
    ...(overrides.profiles === undefined ? {} : { profiles: overrides.profiles }),
  });
  emperorHooks.onEnvironmentChange = () => planner.invalidateEnvironment();
  const { soft } = getrlimit(RLIMIT.nofile);
  const hands = new MachineHands({
    machine: withReserve(machine, soft),
    listener,
    logger,
    planner,
    hooks: emperorHooks.set,
    emperorHooks,
    ...(overrides.signalAs === undefined ? {} : { signalAs: overrides.signalAs }),
    tree: overrides.tree ?? new ProcessGroupTree(machine),
    now: overrides.now ?? wholeMilliseconds,
    ...(overrides.cgroups === undefined ? {} : { cgroups: overrides.cgroups }),
  });
  return hands;
}

/** Ranges for user namespaces, where they are wanted and there are any. Only root may hand them out. */
function userRanges(
  { cloneFlags, isolation }: Pick<Settings, "cloneFlags" | "isolation">,
  uid: number,
  living: () => ReadonlySet<string>,
): UserRanges | undefined {
  const isWanted = (cloneFlags & CLONE.newUser) !== 0 || isolation.cloneAttribute !== undefined;
  if (!isWanted || uid !== 0) return undefined;
  const { usernsBase: base, usernsSize: size } = isolation;
  const source =
    base === undefined
      ? rangesOfUser(
          { subuid: textOf("/etc/subuid"), subgid: textOf("/etc/subgid") },
          { name: "root", uid },
          size,
        )
      : rangesFrom(base, size);
  return source === undefined ? undefined : new UserRanges(source, living);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
