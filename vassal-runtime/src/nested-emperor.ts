/**
 * A vassal whose config has `emperor` is an Emperor of its own: this process becomes the `emperor` of
 * the same installation, with the same pid and arguments. Loaded only where it is asked for.
 */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { ENVIRONMENT } from "@emperor/protocol";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { Launch } from "./launch.ts";
import { log, quote } from "./log.ts";
import { execute } from "./platform.ts";

/** Does not return. Throws a `RuntimeError` when there is no Emperor beside this program. */
export function becomeEmperor(launch: Launch): never {
  const refusal = (why: string): RuntimeError =>
    new RuntimeError(
      "VASSAL_COMMAND",
      `this vassal is to be an Emperor (option "emperor"), which is not possible: ${why}; the vassal ends`,
    );
  if (launch.argv.some((argument) => argument.includes("emperor://")))
    throw refusal("its config came through a pipe, and an Emperor reads its own from files only");
  const path = join(dirname(realpathSync(launch.script)), "emperor");
  if (!existsSync(path)) throw refusal(`there is no ${quote(path)}`);
  const channel = launch.environment[ENVIRONMENT.emperorFd] ?? "";
  log(`becoming an Emperor (${quote(path)})`);
  try {
    return execute({
      path,
      argv: [path, ...launch.argv],
      environment: launch.environment,
      keep: [0, 1, 2, ...(/^\d+$/.test(channel) ? [Number(channel)] : [])],
    });
  } catch (error) {
    throw refusal(reasonOf(error));
  }
}
