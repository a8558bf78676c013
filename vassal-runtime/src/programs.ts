/** Finds a program as a shell would, so that a wrong name is told before anything is started. Runs nothing. */
import { accessSync, constants, statSync } from "node:fs";
import { resolve } from "node:path";
import { applyEnvironment } from "./credentials.ts";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { Launch } from "./launch.ts";
import type { AppSetting, RuntimeSettings } from "./settings.ts";

export type FoundProgram =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly reason: string };

/** The program of a `command`, in its own directory and PATH; throws a `RuntimeError` if it cannot be executed. */
export function commandProgram(
  app: AppSetting & { readonly kind: "command" },
  settings: RuntimeSettings,
  launch: Launch,
): {
  readonly path: string;
  readonly directory: string;
  readonly environment: Record<string, string>;
} {
  const directory = settings.chdir ?? launch.cwd;
  const environment = applyEnvironment(launch.environment, settings.environment);
  const program = findProgram(app.argv[0] ?? "", environment["PATH"], directory);
  if (program.ok) return { path: program.path, directory, environment };
  throw new RuntimeError(
    "VASSAL_COMMAND",
    `${app.origin}: command ${JSON.stringify(app.argv[0])} cannot be executed: ${program.reason}`,
  );
}

const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

/** `name` with a slash is a path (relative to `directory`), without one it is looked up along `path`. */
export function findProgram(
  name: string,
  path: string | undefined,
  directory: string,
): FoundProgram {
  if (name.includes("/")) {
    const file = resolve(directory, name);
    const reason = whyNot(file);
    return reason === undefined ? { ok: true, path: file } : { ok: false, reason };
  }
  let refusal: string | undefined;
  for (const folder of (path ?? DEFAULT_PATH).split(":")) {
    const file = resolve(directory, folder, name);
    const reason = whyNot(file);
    if (reason === undefined) return { ok: true, path: file };
    if (!reason.startsWith("ENOENT")) refusal ??= reason;
  }
  return {
    ok: false,
    reason: refusal ?? `there is no such program in PATH (${path ?? DEFAULT_PATH})`,
  };
}

function whyNot(file: string): string | undefined {
  try {
    if (statSync(file).isDirectory()) return `${file} is a directory`;
    accessSync(file, constants.X_OK);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}
