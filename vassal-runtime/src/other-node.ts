/**
 * `node-binary` and `node-options` of a vassal of one process: it executes itself anew with the Node that
 * its configuration asks for, with the same pid. Loaded only where it is asked for.
 */
import { ENVIRONMENT } from "@emperor/protocol";
import { RuntimeError, reasonOf } from "./errors.ts";
import { LAUNCH_VARIABLES } from "./launch.ts";
import type { Launch, NodeChoice } from "./launch.ts";
import { execute } from "./platform.ts";
import { findProgram } from "./programs.ts";

/** Does not return. Throws a `RuntimeError` when that Node cannot be executed. */
export function executeWithNode(
  launch: Launch,
  choice: NodeChoice,
  pushed: Buffer | undefined,
): never {
  const { base } = launch;
  const wanted = choice.binary ?? base.path;
  const found = findProgram(wanted, launch.environment["PATH"], launch.cwd);
  const refuse = (reason: string): never => {
    throw new RuntimeError(
      "VASSAL_CONFIG",
      `node-binary = ${JSON.stringify(wanted)} cannot be executed: ${reason}`,
    );
  };
  if (!found.ok) return refuse(found.reason);
  const channels = [ENVIRONMENT.emperorFd, ENVIRONMENT.emperorFdConfig]
    .map((name) => launch.environment[name])
    .filter((text) => text !== undefined && /^\d+$/.test(text))
    .map(Number);
  const environment = {
    ...launch.environment,
    [LAUNCH_VARIABLES.node]: JSON.stringify({ base, choice }),
    ...(launch.inherited.length === 0
      ? {}
      : { [LAUNCH_VARIABLES.sockets]: JSON.stringify(launch.inherited) }),
    ...(pushed === undefined ? {} : { [LAUNCH_VARIABLES.config]: pushed.toString("base64") }),
    ...(launch.trial ? { [LAUNCH_VARIABLES.trial]: "1" } : {}),
  };
  try {
    return execute({
      path: found.path,
      argv: [process.argv0, ...base.flags, ...choice.options, launch.script, ...launch.argv],
      environment,
      keep: [0, 1, 2, ...channels, ...launch.inherited.map(({ fd }) => fd)],
    });
  } catch (error) {
    return refuse(reasonOf(error));
  }
}
