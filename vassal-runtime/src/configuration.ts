/**
 * Reads the configuration of this vassal: files, command line, environment, and what the Emperor
 * pushes. Warnings go to the log, errors to the caller. Called again for each reload.
 */
import { loadConfiguration } from "@emperor/config";
import type { ConfigError } from "@emperor/config";
import type { EmperorConnection } from "./client.ts";
import { RuntimeError } from "./errors.ts";
import type { Launch } from "./launch.ts";
import { log } from "./log.ts";
import { vassalOptions } from "./options.ts";
import { readSettings } from "./settings.ts";
import type { RuntimeSettings } from "./settings.ts";

export type Configuration =
  | { readonly kind: "settings"; readonly settings: RuntimeSettings }
  /** `get`, `exit` or a request for help: print and end. */
  | { readonly kind: "exit"; readonly output: readonly string[]; readonly code: number }
  | { readonly kind: "help" | "version" }
  | { readonly kind: "invalid"; readonly errors: readonly (RuntimeError | ConfigError)[] };

/** Reads everything anew, as it is at this moment. `pushed` is a config that was read already. */
export async function readConfiguration(
  launch: Launch,
  emperor: EmperorConnection,
  pushed: Buffer | undefined,
): Promise<Configuration> {
  const result = await loadConfiguration({
    argv: launch.argv,
    environment: launch.environment,
    options: vassalOptions(),
    schemes: {
      emperor: async (name) => {
        const bytes = pushed ?? (await emperor.readConfig());
        if (bytes !== undefined) return bytes;
        const why = emperor.hasConfigPipe
          ? "the Emperor sent none within 5 s"
          : "there is no config pipe: this process is no vassal of an Emperor that pushes it";
        throw new RuntimeError("VASSAL_CONFIG", `no configuration for emperor://${name}: ${why}`);
      },
    },
  });
  for (const warning of result.warnings) log(`warning: ${warning.message}`);
  if (result.exit !== undefined)
    return { kind: "exit", output: result.output, code: result.exit.code };
  for (const line of result.output) process.stdout.write(`${line}\n`);
  if (result.errors.length > 0) return { kind: "invalid", errors: result.errors };
  for (const kind of ["help", "version"] as const) {
    if (result.entries.some((entry) => entry.option?.name === kind)) return { kind };
  }
  const read = readSettings(result.entries);
  for (const note of read.notes) log(note);
  return read.ok
    ? { kind: "settings", settings: read.settings }
    : { kind: "invalid", errors: read.errors };
}
