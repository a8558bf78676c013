/**
 * Makes the process what the settings want before anything is governed: log, limits, pidfiles, ids,
 * directory, title. The order is uWSGI's; each step may refuse, and then nothing is started.
 */
import { EmperorError, reasonOf } from "../errors.ts";
import { createLogger } from "../log/create-logger.ts";
import { loggerOf, type Logger } from "../log/logger.ts";
import type { Settings } from "../options/settings.ts";
import type { EmperorHooks } from "../spawn/emperor-hooks.ts";
import type { OwnPhase } from "../spawn/hook-set.ts";
import { logToFile } from "./log-file.ts";
import { raiseOpenFiles } from "./open-files.ts";
import type { Pidfiles } from "./pidfile.ts";
import { dropAtOnce, dropPrivileges, type OwnIds } from "./privileges.ts";
import type { System } from "./system.ts";

/** The log, which `logto2` moves to another file later on. */
export interface OwnLog {
  readonly logger: Logger;
  /** What is written from here on goes to what descriptor 2 is now. */
  reopen(): Promise<void>;
}

export async function openLog(settings: Pick<Settings, "logFormat" | "logLevel">): Promise<OwnLog> {
  const open = (): Promise<Logger> =>
    createLogger({
      format: settings.logFormat,
      threshold: settings.logLevel,
      fd: 2,
      wallNow: () => Date.now(),
    });
  let current = await open();
  return {
    logger: loggerOf(
      (line) => current.write(line),
      () => current.flush(),
    ),
    reopen: async () => {
      current.flush();
      current = await open();
    },
  };
}

/** `env` and `unenv`: for the Emperor's hooks, and inherited by vassals. */
export function applyEnvironment(
  changes: Settings["environment"],
  environment: NodeJS.ProcessEnv,
): void {
  for (const { name, value } of changes) {
    if (value === undefined) delete environment[name];
    else environment[name] = value;
  }
}

export interface Preparation {
  readonly settings: Settings;
  readonly log: OwnLog;
  readonly hooks: Pick<EmperorHooks, "ownPhase">;
  readonly pidfiles: Pidfiles;
  readonly system: System;
  /** What the launcher said of the limit of open descriptors. */
  readonly launchedOpenFiles: string | undefined;
}

/**
 * Everything from `immediate-uid` to the title.
 * @returns the settings with what only now is known
 * @throws EmperorError
 */
export async function prepareProcess(preparation: Preparation): Promise<Settings> {
  const { settings, log, hooks, pidfiles, system, launchedOpenFiles } = preparation;
  const { logger } = log;
  if (settings.umask !== undefined) process.umask(settings.umask);
  dropAtOnce({ uid: settings.immediateUid, gid: settings.immediateGid }, ownIds(), system, logger);
  // Before the drop: only root may raise a hard limit.
  const vassalOpenFiles = raiseOpenFiles(settings.maxFd, launchedOpenFiles, system, logger);
  await runPhase(hooks, "asap");
  for (const path of settings.pidfiles) pidfiles.write(path, process.pid);
  await runPhase(hooks, "as-root");
  dropPrivileges(
    {
      uid: settings.uid,
      gid: settings.gid,
      addGids: settings.addGids,
      initgroups: settings.initgroups,
      capabilities: settings.ownCapabilities,
    },
    ownIds(),
    system,
    logger,
  );
  await runPhase(hooks, "as-user");
  if (settings.logtoAfterDrop !== undefined) {
    logToFile(settings.logtoAfterDrop, system);
    await log.reopen();
  }
  enter(settings.workingDirectory);
  for (const path of settings.pidfilesAfterDrop) pidfiles.write(path, process.pid);
  process.title = settings.procname;
  return { ...settings, vassalOpenFiles };
}

function ownIds(): OwnIds {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

/** Hooks of the Emperor's own start are fatal, as in uWSGI. */
export async function runPhase(
  hooks: Pick<EmperorHooks, "ownPhase">,
  phase: OwnPhase,
): Promise<void> {
  const problem = await hooks.ownPhase(phase);
  if (problem !== undefined) {
    throw new EmperorError("hook-failed", `${problem}; nothing is started`);
  }
}

function enter(directory: string): void {
  try {
    process.chdir(directory);
  } catch (error) {
    throw new EmperorError(
      "directory-failed",
      `cannot go to the directory ${directory}: ${reasonOf(error)}; nothing is started`,
      { cause: error },
    );
  }
}
