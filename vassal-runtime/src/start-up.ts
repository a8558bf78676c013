/**
 * What happens between the configuration and the app, in uWSGI's order: hooks, log files, pidfiles, sockets, namespaces,
 * cgroups, the change of root and user. A process that has to execute itself anew on the way (see `jail.ts`) comes
 * here again and passes over what is behind it. Knows not what is run afterwards.
 */
import type { HookPhase } from "./hook-settings.ts";
import type { InheritedSocket, Launch } from "./launch.ts";
import type { RuntimeSettings } from "./settings.ts";
import { bindEarly, bindTheRest } from "./sockets.ts";
import type { BoundSocket } from "./sockets.ts";

export interface StartUp {
  readonly launch: Launch;
  readonly settings: RuntimeSettings;
  /** The configuration that the Emperor has pushed. */
  readonly pushed: Buffer | undefined;
}

export interface Started {
  /** With a working directory that is there, also under another root. */
  readonly launch: Launch;
  readonly hook: (phase: HookPhase) => void;
  readonly pidfile: (option: string, path: string | undefined) => void;
  readonly sockets: readonly BoundSocket[];
}

/**
 * Does it all; rejects with a `RuntimeError` at the first step that fails. Does not return where the process
 * becomes another program (a binary patch), or executes itself anew.
 */
export async function startUp({ launch, settings, pushed }: StartUp): Promise<Started> {
  const { jail, patches } = settings;
  const passed = launch.stage?.passed ?? 0;
  const hook = await hookRunner(launch, settings);
  const pidfile = await pidfileWriter(launch, settings);
  // None of it is undone by a reload, and most of it could not be done again.
  const walls =
    jail === undefined || launch.isReload ? undefined : { ...(await import("./jail.ts")), jail };
  if (passed === 0) {
    walls?.checkMayJail(walls.jail);
    hook("asap");
    await writeLogTo("logto", settings);
    pidfile("pidfile", settings.run.pidfiles.early);
  } else {
    await writeLogTo("logto", settings, true);
  }
  const existing = await bindEarly(settings, await inheritedSockets(launch, settings));
  const passage = { launch, sockets: existing, pushed };
  if (walls !== undefined && passed < 1 && walls.jail.setns.length > 0) {
    const join = await walls.openNamespaces(walls.jail.setns);
    if (join.length > 0) walls.enter(1, { join }, passage);
  }
  if (passed < 2) {
    if (!launch.isReload) hook("pre-jail");
    if (patches?.privileged !== undefined)
      (await import("./patch.ts")).becomePatched(patches.privileged, launch, existing);
    walls?.enterCgroups(walls.jail);
    hook("in-jail");
  }
  if (walls !== undefined && passed < 2) {
    const { unshare } = walls.jail;
    const bound = walls.boundDuringStart(walls.jail, settings);
    if (unshare !== 0 || bound !== undefined) walls.enter(2, { unshare, bound }, passage);
  }
  if (passed < 3 && isRoot()) {
    if (jail?.jailed === true || (passed === 2 && jail?.unshare !== 0)) hook("post-jail");
    walls?.changeRoots(walls.jail, settings, launch);
    if (walls !== undefined && walls.jail.unshare2 !== 0)
      walls.enter(3, { unshare: walls.jail.unshare2 }, passage);
  }
  await dropRoot(launch, settings, hook);
  if (patches?.unprivileged !== undefined)
    (await import("./patch.ts")).becomePatched(patches.unprivileged, launch, existing);
  await writeLogTo("logto2", settings);
  await beginLogging(settings);
  pidfile("pidfile2", settings.run.pidfiles.late);
  const moved = walls !== undefined && (walls.jail.chroot ?? walls.jail.pivotRoot) !== undefined;
  return {
    launch: moved ? { ...launch, cwd: process.cwd() } : launch,
    hook,
    pidfile,
    sockets: await bindTheRest(settings, existing),
  };
}

/** A later life of this process has what an earlier one has fetched; a uWSGI zerg loses it and ends. */
async function inheritedSockets(
  { inherited, isReload, stage }: Launch,
  { zerg }: RuntimeSettings,
): Promise<readonly InheritedSocket[]> {
  if (zerg === undefined || zerg.attachTo.length === 0 || isReload || stage !== undefined)
    return inherited;
  const { fetchZergSockets } = await import("./zerg-client.ts");
  return [...inherited, ...(await fetchZergSockets(zerg))];
}

const isRoot = (): boolean => process.geteuid?.() === 0;

async function dropRoot(
  launch: Launch,
  settings: RuntimeSettings,
  hook: Started["hook"],
): Promise<void> {
  const { gid, jail, uid, waits } = settings;
  const { dropPrivileges } = await import("./credentials.ts");
  if (waits.length > 0) await (await import("./wait-for.ts")).waitForAll(waits);
  const wasRoot = isRoot();
  if (wasRoot) hook("as-root");
  if (jail !== undefined && !launch.isReload) {
    const { finishJail, setLimits } = await import("./jail.ts");
    setLimits(jail, settings);
    dropPrivileges(uid, gid, jail);
    finishJail(jail);
  } else dropPrivileges(uid, gid, jail);
  if (wasRoot || !launch.isReload) hook("as-user");
}

/** `isOpen`: an earlier life of this process has opened it. */
async function writeLogTo(
  option: "logto" | "logto2",
  settings: RuntimeSettings,
  isOpen = false,
): Promise<void> {
  const path = option === "logto" ? settings.log.early : settings.log.late;
  if (path !== undefined) (await import("./vassal-log.ts")).logTo(option, path, settings, isOpen);
}

/** Loggers, request lines and the rest, where any of it is asked for. */
async function beginLogging(settings: RuntimeSettings): Promise<void> {
  const { date, early, late, loggers, prefix, requestLoggers } = settings.log;
  const asked = (early ?? late ?? date) !== undefined || prefix !== "";
  if (!asked && loggers.length + requestLoggers.length === 0) return;
  const { decorate, startLogging } = await import("./vassal-log.ts");
  decorate(settings.log);
  startLogging(settings);
}

/** Runs the hooks of a phase; does nothing when there are none at all. */
async function hookRunner(
  launch: Launch,
  { hooks }: RuntimeSettings,
): Promise<(phase: HookPhase) => void> {
  if (Object.keys(hooks).length === 0) return () => undefined;
  const [{ runHooks }, { atLeaving }] = await Promise.all([
    import("./hooks.ts"),
    import("./leaving.ts"),
  ]);
  const surroundings = {
    setVariable: (name: string, value: string | undefined) => {
      // Workers, commands and later lives of this process start from it.
      const environment = launch.environment as Record<string, string>;
      if (value === undefined) {
        delete process.env[name];
        delete environment[name];
      } else process.env[name] = environment[name] = value;
    },
  };
  const run = (phase: HookPhase): void => runHooks(hooks, phase, surroundings);
  if (hooks["as-user-atexit"] !== undefined) atLeaving(() => run("as-user-atexit"));
  return run;
}

/** As in uWSGI, a reload writes no pidfile: the pid is the same. */
async function pidfileWriter(
  launch: Launch,
  { run: { pidfiles } }: RuntimeSettings,
): Promise<(option: string, path: string | undefined) => void> {
  const wanted = (pidfiles.early ?? pidfiles.late ?? pidfiles.safe) !== undefined;
  if (!wanted || launch.isReload) return () => undefined;
  return (await import("./own-process.ts")).writePidfile;
}
