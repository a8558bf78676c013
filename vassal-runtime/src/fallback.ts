/**
 * `fallback-config`: a vassal that fails before it accepts becomes one with another configuration, once.
 * Decides only that; knows no option but this one.
 */
import { ENVIRONMENT } from "@emperor/protocol/environment";
import { reasonOf } from "./errors.ts";
import { LAUNCH_VARIABLES } from "./launch.ts";
import type { Launch } from "./launch.ts";
import { leave } from "./leaving.ts";
import { log, quote } from "./log.ts";
import { execute } from "./platform.ts";

const MARK = "VASSAL_FALLBACK";
/** The exit code of a failed start. */
const FAILED = 1;

/** From now on an exit with 1 is none: the process executes itself with `file`. The result ends that. */
export function fallBackTo(file: string, launch: Launch): () => void {
  if (launch.environment[MARK] !== undefined) return () => undefined; // it is the fallback that failed
  const onExit = (code: number): void => {
    if (code !== FAILED) return;
    leave("exit");
    log(`the start failed: falling back to the configuration ${quote(file)}`);
    const channels = [ENVIRONMENT.emperorFd, ENVIRONMENT.emperorFdConfig]
      .map((name) => launch.environment[name])
      .filter((text) => text !== undefined && /^\d+$/.test(text))
      .map(Number);
    try {
      process.chdir(launch.cwd);
      execute({
        path: process.execPath,
        argv: [process.argv0, ...process.execArgv, launch.script, file],
        environment: {
          ...launch.environment,
          [MARK]: "1",
          [LAUNCH_VARIABLES.node]: JSON.stringify({ base: launch.base, choice: launch.node }),
        },
        keep: [0, 1, 2, ...channels],
      });
    } catch (error) {
      log(`falling back is not possible: ${reasonOf(error)}; exiting`);
    }
  };
  process.on("exit", onExit);
  return () => void process.off("exit", onExit);
}
