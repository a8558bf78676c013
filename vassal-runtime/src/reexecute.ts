/**
 * Executes this process anew: same pid, same arguments, directory and environment as at the first
 * start, with its listening sockets and the Emperor's descriptors. Loaded when it happens only.
 */
import { ENVIRONMENT } from "@emperor/protocol";
import { reasonOf } from "./errors.ts";
import { LAUNCH_VARIABLES } from "./launch.ts";
import type { Launch } from "./launch.ts";
import { leave } from "./leaving.ts";
import { log } from "./log.ts";
import { execute } from "./platform.ts";
import type { BoundSocket } from "./sockets.ts";

/** Does not return. If it cannot be done the process exits with 1, and the Emperor starts it again. */
export function reexecute(
  launch: Launch,
  sockets: readonly BoundSocket[],
  pushed: Buffer | undefined,
): never {
  leave("reload");
  const channels = [ENVIRONMENT.emperorFd, ENVIRONMENT.emperorFdConfig]
    .map((name) => launch.environment[name])
    .filter((text) => text !== undefined && /^\d+$/.test(text))
    .map(Number);
  const environment = {
    ...launch.environment,
    [ENVIRONMENT.reloads]: String(launch.reloads + 1),
    [LAUNCH_VARIABLES.sockets]: JSON.stringify(sockets),
    // The new configuration may ask for another Node; then its flags replace these.
    [LAUNCH_VARIABLES.node]: JSON.stringify({ base: launch.base, choice: launch.node }),
    ...(pushed === undefined ? {} : { [LAUNCH_VARIABLES.config]: pushed.toString("base64") }),
  };
  try {
    process.chdir(launch.cwd);
    execute({
      path: process.execPath,
      argv: [process.argv0, ...process.execArgv, launch.script, ...launch.argv],
      environment,
      keep: [0, 1, 2, ...channels, ...sockets.map(({ fd }) => fd)],
    });
  } catch (error) {
    log(`reload failed: this process cannot execute itself anew: ${reasonOf(error)}; exiting`);
  }
  process.exit(1);
}
