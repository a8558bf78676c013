/**
 * The trial before a reload of a one-process vassal: a child loads the new configuration and the new app
 * without serving, and only says whether that worked. Loaded for reloads only.
 */
import { spawn } from "node:child_process";
import { ENVIRONMENT } from "@emperor/protocol";
import { changeOwnEnvironment, enterDirectory } from "./credentials.ts";
import { RUNTIME_ERRORS } from "./errors.ts";
import { LAUNCH_VARIABLES } from "./launch.ts";
import { captureListen } from "./listen-capture.ts";
import { loadNodeApp, resolveApp } from "./node-app.ts";
import { dieWithParent } from "./platform.ts";
import { commandProgram } from "./programs.ts";
import type { RuntimeSettings } from "./settings.ts";
import type { Vassal } from "./vassal.ts";

/** An app that has neither loaded nor failed by then counts as loadable: it may wait for the network. */
const TRIAL_MS = 20_000;

/** Undefined when a new generation loads; else what went wrong (the child has written the details). */
export async function tryNewGeneration(
  vassal: Vassal,
  pushed: Buffer | undefined,
): Promise<string | undefined> {
  const { launch } = vassal;
  const environment: Record<string, string> = {
    ...launch.environment,
    [LAUNCH_VARIABLES.trial]: "1",
    [LAUNCH_VARIABLES.node]: JSON.stringify({ base: launch.base, choice: launch.node }),
    ...(pushed === undefined ? {} : { [LAUNCH_VARIABLES.config]: pushed.toString("base64") }),
  };
  delete environment[ENVIRONMENT.emperorFd];
  delete environment[ENVIRONMENT.emperorFdConfig];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...process.execArgv, launch.script, ...launch.argv], {
      cwd: launch.cwd,
      env: environment,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const timer = setTimeout(() => {
      resolve(undefined);
      child.kill("SIGKILL");
    }, TRIAL_MS);
    timer.unref();
    child.once("error", (error) => {
      clearTimeout(timer);
      resolve(`the trial could not be started: ${error.message}`);
    });
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      resolve(
        code === 0
          ? undefined
          : `the new version does not load (trial ${signal === null ? `exited with ${code}` : `ended by ${signal}`})`,
      );
    });
  });
}

/** Certificates are read again by the process that comes after the trial. */
async function checkCertificates({ sockets }: RuntimeSettings): Promise<void> {
  for (const { tls, text } of sockets) {
    if (tls === undefined) continue;
    const { readCertificate } = await import("./tls-sockets.ts");
    readCertificate(tls, text);
  }
}

/** The child's part. Rejects, or exits with 0 as soon as the app is known to load. */
export async function runTrial({
  launch,
  settings,
}: Pick<Vassal, "launch" | "settings">): Promise<void> {
  dieWithParent();
  await checkCertificates(settings);
  changeOwnEnvironment(settings.environment);
  enterDirectory(settings.chdir);
  const { app } = settings;
  if (app.kind === "command") {
    commandProgram(app, settings, launch);
    process.exit(0);
  }
  // Only a node-app without a master is tried, and commands.
  if (app.kind === "pool") process.exit(0);
  captureListen({
    sockets: [],
    backlog: settings.backlog,
    onServer: () => process.exit(0),
    onExtraListener: () => undefined,
    onListening: () => undefined,
    trial: true,
  });
  const exported = await loadNodeApp(resolveApp(app.file, app.origin), app.origin);
  if (exported.kind !== "nothing") process.exit(0);
  // A script may call listen() later. With nothing left to do it never will.
  process.once("beforeExit", () => process.exit(RUNTIME_ERRORS.VASSAL_NO_APP));
}
