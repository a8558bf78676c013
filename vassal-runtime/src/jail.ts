/**
 * Performs what `jail-settings.ts` describes, each at its place in the order of `start-up.ts`. Namespaces and
 * capabilities belong to threads, of which Node has many, so this process executes itself anew for them and goes
 * on where it was. Loaded only where something is asked for.
 */
import {
  chmodSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import {
  CAPABILITY_NAMES,
  CLONE_NEW,
  MOUNT,
  RLIMIT,
  changeRoot,
  getCapabilities,
  holdCapabilities,
  limitBoundingSet,
  mount,
  pivotRoot,
  setNoNewPrivileges,
  setParentDeathSignal,
  setrlimit,
} from "@emperor/linux";
import { ENVIRONMENT } from "@emperor/protocol";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { JailSettings, LimitSetting, Located } from "./jail-settings.ts";
import { LAUNCH_VARIABLES } from "./launch.ts";
import type { InheritedSocket, Launch, LaunchStage } from "./launch.ts";
import { log, logPrefix, quote } from "./log.ts";
import { executeInside } from "./platform.ts";
import type { RuntimeSettings } from "./settings.ts";

function refuse(origin: string, what: string, error?: unknown): never {
  const why = error === undefined ? "" : `: ${reasonOf(error)}`;
  throw new RuntimeError(
    "VASSAL_JAIL",
    `${origin}${origin === "" ? "" : ": "}${what}${why}; the vassal ends`,
    {},
    { cause: error },
  );
}

/** `CLONE_NEWUSER`: the one that a plain user may have. */
const NEW_USER = CLONE_NEW.user;

/**
 * Throws a `RuntimeError` when something is asked for that only root can do. uWSGI ends for `chroot` and passes over
 * the others in silence, which leaves a vassal without its walls.
 */
export function checkMayJail(jail: JailSettings): void {
  if (process.geteuid?.() === 0 || (jail.unshare & NEW_USER) !== 0) return;
  const [first] = [
    jail.chroot === undefined ? [] : ["chroot"],
    jail.pivotRoot === undefined ? [] : ["pivot-root"],
    jail.unshare === 0 ? [] : ["unshare"],
    (jail.unshare2 & ~NEW_USER) === 0 ? [] : ["unshare2"],
    jail.setns.length === 0 ? [] : ["setns"],
    jail.capabilities === undefined ? [] : ["cap"],
  ].flat();
  if (first === undefined) return;
  const call = { "pivot-root": "pivot_root", cap: "capset", unshare2: "unshare" }[first] ?? first;
  refuse(
    "",
    `cannot ${call}() as non-root user: "${first}" needs a vassal that is started as root (this process runs with uid ${process.geteuid?.()})`,
  );
}

/** What the next life of this process needs to know of this one. */
export interface Passage {
  readonly launch: Launch;
  readonly sockets: readonly InheritedSocket[];
  readonly pushed: Buffer | undefined;
}

/** Executes this process anew inside. Does not return; throws a `RuntimeError` when it cannot be. */
export function enter(
  passed: LaunchStage["passed"],
  inside: {
    readonly join?: readonly number[];
    readonly unshare?: number;
    readonly bound?: readonly number[] | undefined;
  },
  { launch, sockets, pushed }: Passage,
): never {
  const channels = [ENVIRONMENT.emperorFd, ENVIRONMENT.emperorFdConfig]
    .map((name) => launch.environment[name])
    .filter((text) => text !== undefined && /^\d+$/.test(text))
    .map(Number);
  const stage: LaunchStage = { passed, directory: process.cwd() };
  const environment = {
    ...launch.environment,
    [LAUNCH_VARIABLES.stage]: JSON.stringify(stage),
    [LAUNCH_VARIABLES.sockets]: JSON.stringify(sockets),
    [LAUNCH_VARIABLES.node]: JSON.stringify({ base: launch.base, choice: launch.node }),
    ...(pushed === undefined ? {} : { [LAUNCH_VARIABLES.config]: pushed.toString("base64") }),
  };
  try {
    process.chdir(launch.cwd);
    return executeInside({
      prefix: logPrefix(),
      join: inside.join ?? [],
      unshare: inside.unshare ?? 0,
      bound: inside.bound,
      path: process.execPath,
      argv: [process.argv0, ...process.execArgv, launch.script, ...launch.argv],
      environment,
      keep: [0, 1, 2, ...channels, ...sockets.map(({ fd }) => fd)],
    });
  } catch (error) {
    return refuse("", "this process cannot execute itself anew in its namespaces", error);
  }
}

/**
 * The capabilities that the rest of the start may use: those that are to be left, and what later steps need, as
 * in uWSGI. Undefined: all.
 */
export function boundDuringStart(
  { capabilities, chroot, unshare2, pivotRoot: pivot, addGroups }: JailSettings,
  { uid, gid }: Pick<RuntimeSettings, "uid" | "gid">,
): readonly number[] | undefined {
  if (capabilities === undefined) return undefined;
  const changes = uid !== undefined || gid !== undefined || addGroups.length > 0;
  const extra = [
    ...(changes ? ["setuid", "setgid", "setpcap"] : []),
    ...(chroot === undefined ? [] : ["sys_chroot", "setpcap"]),
    ...(pivot === undefined && unshare2 === 0 ? [] : ["sys_admin", "setpcap"]),
  ];
  const numbers = extra.map((name) => (CAPABILITY_NAMES as readonly string[]).indexOf(name));
  return [...new Set([...capabilities, ...numbers])];
}

/** Descriptors of the namespaces to be joined, without those that this process is in already. */
export async function openNamespaces(setns: readonly Located[]): Promise<number[]> {
  const fds: number[] = [];
  for (const { text, origin } of setns) {
    const found = statSync(text, { throwIfNoEntry: false });
    try {
      if (found !== undefined && !found.isSocket()) fds.push(openSync(text, "r"));
      else fds.push(...(await (await import("./setns.ts")).receiveNamespaces(text)));
    } catch (error) {
      refuse(origin, `setns = ${quote(text)} gives no namespace`, error);
    }
  }
  const own = readdirSync("/proc/self/ns").map((name) => statSync(`/proc/self/ns/${name}`));
  return fds.filter((fd) => {
    const { dev, ino } = fstatSync(fd);
    if (own[0]?.dev !== dev)
      return refuse("", `setns: ${quote(readlinkSync(`/proc/self/fd/${fd}`))} is no namespace`);
    // The kernel refuses some that are no change at all.
    return !own.some((namespace) => namespace.ino === ino);
  });
}

/** Creates the cgroups where they are missing, enters them and sets their values. */
export function enterCgroups({ cgroups, cgroupOptions, cgroupMode }: JailSettings): void {
  for (const { text, origin } of cgroups) {
    const what = `cgroup ${quote(text)}`;
    try {
      mkdirSync(text);
      chmodSync(text, cgroupMode);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST"))
        refuse(origin, `${what} cannot be created`, error);
    }
    for (const option of cgroupOptions) {
      try {
        writeFileSync(join(text, option.text), option.value, { flag: "r+" });
      } catch (error) {
        refuse(
          option.origin,
          `${what}: ${quote(option.text)} cannot be set to ${quote(option.value)}`,
          error,
        );
      }
    }
    try {
      // Not "tasks", as in uWSGI: that would move one thread of many.
      writeFileSync(join(text, "cgroup.procs"), "0", { flag: "r+" });
    } catch (error) {
      refuse(origin, `${what} cannot be entered`, error);
    }
    log(`process ${process.pid} is in the ${what}`);
  }
}

/** `chroot`, then `pivot-root`, as in uWSGI; the working directory stays the same path if the new root has it. */
export function changeRoots(jail: JailSettings, settings: RuntimeSettings, launch: Launch): void {
  const { chroot, pivotRoot: pivot } = jail;
  if (chroot === undefined && pivot === undefined) return;
  const directory = process.cwd();
  if (chroot !== undefined) {
    try {
      if (!statSync(chroot.text).isDirectory()) throw new Error("it is no directory");
      changeRoot(chroot.text);
    } catch (error) {
      refuse(chroot.origin, `chroot = ${quote(chroot.text)} is not possible`, error);
    }
  }
  if (pivot !== undefined) {
    try {
      mount({ source: "none", target: "/", fstype: "none", flags: MOUNT.rec | MOUNT.private });
      process.chdir(pivot.text);
      pivotRoot(".", pivot.putOld);
    } catch (error) {
      refuse(
        pivot.origin,
        `pivot-root = ${quote(pivot.text)} ${quote(pivot.putOld)} is not possible (NEW has to be a mount point, OLD a directory below it, and the mount namespace the vassal's own: unshare = mount)`,
        error,
      );
    }
  }
  process.chdir("/"); // a directory outside of the root would be a way out of it
  if (existsSync(directory)) process.chdir(directory);
  checkNewRoot(settings, launch, chroot ?? pivot);
}

/** What the runtime itself needs in there; without it the failures would come later and say less. */
function checkNewRoot({ app }: RuntimeSettings, { script }: Launch, at: Located | undefined): void {
  const origin = at?.origin ?? "";
  const hint = "mount it there (unshare = mount, mount-post-jail = none SOURCE TARGET bind)";
  for (const path of app.kind === "node" ? [process.execPath, script] : [])
    if (!existsSync(path))
      refuse(origin, `${quote(path)} is not in the new root, where the runtime needs it: ${hint}`);
  if (app.kind === "command" && !existsSync("/proc/self/stat"))
    refuse(
      origin,
      "there is no /proc in the new root, by which the runtime sees that a command ends: unshare = mount, mount-post-jail = proc none NEWROOT/proc",
    );
}

/** Limits that this process sets itself; those of its memory are the command's, if there is one. */
export function setLimits(jail: JailSettings, { app }: RuntimeSettings): void {
  for (const limit of jail.limits) {
    if (limit.resource === RLIMIT.as) {
      if (app.kind === "command") continue;
      checkAddressSpace(limit);
    }
    try {
      setrlimit(limit.resource, { soft: limit.value, hard: limit.value });
    } catch (error) {
      refuse(limit.origin, `${limit.option} cannot be set to ${limit.value}`, error);
    }
  }
  if (jail.priority === undefined) return;
  try {
    setPriority(jail.priority);
  } catch (error) {
    refuse("", `prio = ${jail.priority} is not possible`, error);
  }
}

const PAGE_BYTES = 4096;
const ROOM_BYTES = 64 * 1024 * 1024;
const MEGABYTE = 1024 * 1024;

/** Below what is reserved already the next allocation would end the process without a word. */
function checkAddressSpace({ value, origin }: LimitSetting): void {
  const pages = Number(/^\d+/.exec(readFileSync("/proc/self/statm", "utf8"))?.[0] ?? 0);
  const least = pages * PAGE_BYTES + ROOM_BYTES;
  if (value < least)
    refuse(
      origin,
      `limit-as = ${value / MEGABYTE} is too little: Node reserves ${Math.ceil(least / MEGABYTE)} MB of address space before the app is loaded, most of which it never uses; limit its memory by reload-on-rss, node-options = --max-old-space-size or a cgroup`,
    );
}

/** After the user was changed: what was left for the start only is given up. */
export function finishJail(jail: JailSettings): void {
  if (jail.capabilities !== undefined) {
    if (process.geteuid?.() === 0) {
      limitBoundingSet(jail.capabilities);
      holdCapabilities(jail.capabilities);
    }
    const names = getCapabilities().effective.map(
      (number) => CAPABILITY_NAMES[number] ?? `${number}`,
    );
    log(`capabilities: ${names.join(", ") || "none"}`);
  }
  if (jail.noNewPrivs) setNoNewPrivileges();
  // The kernel forgot it at the change of the user. Nobody else would end us if the guardian were killed.
  if (process.pid === 1 && ((jail.unshare | jail.unshare2) & CLONE_NEW.pid) !== 0)
    setParentDeathSignal(constants.signals.SIGKILL);
}
