/**
 * A vassal that is any other program: started with the sockets as systemd hands them over, told to stop
 * by SIGTERM, killed with its session when it does not. Its exit is the vassal's exit. Knows no HTTP.
 */
import { reasonOf } from "./errors.ts";
import { log } from "./log.ts";
import { THE_EMPEROR, followOrders } from "./orders.ts";
import { CommandProcess } from "./command-process.ts";
import { commandProgram } from "./programs.ts";
import { renewConfig } from "./vassal.ts";
import type { Vassal } from "./vassal.ts";

/** The runtime does not see the command's requests; one that stays up so long counts as loyal. */
const LOYAL_AFTER_MS = 5000;

/** Runs the vassal; the process exits or executes itself anew. */
export function runCommand(vassal: Vassal): void {
  const { emperor, launch, settings, sockets } = vassal;
  const { app } = settings;
  if (app.kind !== "command") throw new Error("not a command");
  const program = commandProgram(app, settings, launch);

  /** What happens when the command has ended; undefined: its exit is ours. */
  let after: (() => void) | undefined;
  const command = new CommandProcess({
    program: program.path,
    argv: app.argv,
    environment: program.environment,
    directory: program.directory,
    sockets,
    onExit: (exit) => {
      if (after !== undefined) return after();
      log(
        `command ${app.argv[0]} (process ${command.pid}) ${exit.text}: exiting with ${exit.code}`,
      );
      process.exit(exit.code);
    },
  });
  let renewal = Promise.resolve();
  const end = (then: () => void, graceful: boolean): void => {
    after = then;
    command.stop(graceful ? settings.reloadMercyMs : 0);
  };
  followOrders(emperor, THE_EMPEROR, {
    reload: () => {
      renewal = renewal
        .then(renew)
        .catch((error: unknown) => log(`reload failed: ${reasonOf(error)}`));
    },
    stop: (graceful) => {
      end(() => process.exit(0), graceful);
    },
    lost: () => {
      end(() => process.exit(1), true);
    },
  });

  async function renew(): Promise<void> {
    const [{ tryNewGeneration }, { reexecute }] = await Promise.all([
      import("./trial.ts"),
      import("./reexecute.ts"),
    ]);
    const config = await renewConfig(vassal);
    const failure = config.ok ? await tryNewGeneration(vassal, config.pushed) : config.reason;
    if (after !== undefined) return;
    if (failure !== undefined || !config.ok)
      return log(`reload refused, the command goes on as it is: ${failure}`);
    end(() => reexecute(launch, sockets, config.pushed), true);
  }

  if (!launch.isReload) emperor.spawned();
  emperor.accepting();
  log(`command ${app.argv[0]} runs as process ${command.pid}`);
  setTimeout(() => emperor.loyal(), LOYAL_AFTER_MS).unref();
}
