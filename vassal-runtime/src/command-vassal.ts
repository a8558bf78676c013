/**
 * A vassal that is any other program: started with the sockets as systemd hands them over, told to stop
 * by SIGTERM, killed with its session when it does not. Its exit is the vassal's exit. Knows no HTTP.
 */
import { applyEnvironment } from "./credentials.ts";
import { RuntimeError } from "./errors.ts";
import { log } from "./log.ts";
import { THE_EMPEROR, followOrders } from "./orders.ts";
import { CommandProcess } from "./command-process.ts";
import { reexecute } from "./reexecute.ts";
import { findProgram } from "./programs.ts";
import { isPushed } from "./vassal.ts";
import type { Vassal } from "./vassal.ts";

/** The runtime does not see the command's requests; one that stays up so long counts as loyal. */
const LOYAL_AFTER_MS = 5000;

/** Runs the vassal; the process exits or executes itself anew. */
export function runCommand(vassal: Vassal): void {
  const { emperor, launch, settings, sockets } = vassal;
  const { app } = settings;
  if (app.kind !== "command") throw new Error("not a command");
  const directory = settings.chdir ?? launch.cwd;
  const environment = applyEnvironment(launch.environment, settings.environment);
  const program = findProgram(app.argv[0] ?? "", environment["PATH"], directory);
  if (!program.ok)
    throw new RuntimeError(
      "VASSAL_COMMAND",
      `${app.origin}: command ${JSON.stringify(app.argv[0])} cannot be executed: ${program.reason}`,
    );

  /** What happens when the command has ended; undefined: its exit is ours. */
  let after: (() => void) | undefined;
  const command = new CommandProcess({
    program: program.path,
    argv: app.argv,
    environment,
    directory,
    sockets,
    onExit: (exit) => {
      if (after !== undefined) return after();
      log(
        `command ${app.argv[0]} (process ${command.pid}) ${exit.text}: exiting with ${exit.code}`,
      );
      process.exit(exit.code);
    },
  });
  const end = (then: () => void, graceful: boolean): void => {
    after = then;
    command.stop(graceful ? settings.reloadMercyMs : 0);
  };
  let stopping = false;
  followOrders(emperor, THE_EMPEROR, {
    reload: () => {
      if (after !== undefined) return;
      void renew();
    },
    stop: (graceful) => {
      stopping = true;
      end(() => process.exit(0), graceful);
    },
    lost: () => {
      stopping = true;
      end(() => process.exit(1), true);
    },
  });

  async function renew(): Promise<void> {
    if (isPushed(launch)) emperor.wantConfig();
    else if ((await vassal.readSettings()) === undefined)
      return log("reload refused: the command goes on as it is");
    if (!stopping) end(() => reexecute(launch, sockets), true);
  }

  if (!launch.isReload) emperor.spawned();
  emperor.accepting();
  log(`command ${app.argv[0]} runs as process ${command.pid}`);
  setTimeout(() => emperor.loyal(), LOYAL_AFTER_MS).unref();
}
