/**
 * Reads the configuration of this vassal: files, command line, environment, and what the Emperor
 * pushes. Warnings go to the log, errors to the caller. Called again for each reload.
 */
import {
  allEntries,
  ConfigError,
  createNodeHost,
  DEFAULT_LIMITS,
  lastEntry,
  loadConfiguration,
  parseFlag,
  readEnvironmentDirectory,
  renderConfiguration,
  renderOrigins,
} from "@emperor/config";
import type { ConfigEntry, EnvironmentChange, Parsed } from "@emperor/config";
import type { EmperorConnection } from "./client.ts";
import { RuntimeError } from "./errors.ts";
import type { Launch } from "./launch.ts";
import { log, writeLog } from "./log.ts";
import { vassalOptions } from "./options.ts";
import { readSettings } from "./settings.ts";
import type { RuntimeSettings } from "./settings.ts";

export type Configuration =
  | {
      readonly kind: "settings";
      readonly settings: RuntimeSettings;
      /** `fallback-config`. */
      readonly fallback: string | undefined;
    }
  /** `get`, `exit` or a request for help: print and end. */
  | { readonly kind: "exit"; readonly output: readonly string[]; readonly code: number }
  | { readonly kind: "help" | "version" }
  /** It has the option `emperor`: another program is to read it. */
  | { readonly kind: "emperor" }
  | {
      readonly kind: "invalid";
      readonly errors: readonly (RuntimeError | ConfigError)[];
      readonly exitCode: number;
      readonly fallback: string | undefined;
    };

/** A config that the Emperor pushed, once it was read: the pipe gives it only once. */
export interface PushedConfig {
  bytes: Buffer | undefined;
}

/** Reads everything anew, as it is at this moment. A config that is taken from the pipe is left in `pushed`. */
export async function readConfiguration(
  launch: Launch,
  emperor: EmperorConnection,
  pushed: PushedConfig,
): Promise<Configuration> {
  const result = await loadConfiguration({
    argv: launch.argv,
    environment: launch.environment,
    options: vassalOptions(),
    schemes: {
      emperor: async (name) => {
        pushed.bytes ??= await emperor.readConfig();
        if (pushed.bytes !== undefined) return pushed.bytes;
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
  // Before errors, because most options beside it are not of this program.
  if (lastEntry(result.entries, "emperor") !== undefined) return { kind: "emperor" };
  const fallback = lastEntry(result.entries, "fallback-config")?.value;
  if (result.errors.length > 0)
    return {
      kind: "invalid",
      errors: result.errors,
      exitCode: exitCodeOf(result.errors, emperor),
      fallback,
    };
  for (const kind of ["help", "version"] as const) {
    if (result.entries.some((entry) => entry.option?.name === kind)) return { kind };
  }
  if (asks("show-origin", result.entries))
    return { kind: "exit", output: renderOrigins(result.entries), code: 0 };
  if (asks("show-config", result.entries))
    for (const line of renderConfiguration(result.entries)) writeLog(`${line}\n`);
  const read = readSettings(result.entries);
  for (const note of read.notes) log(note);
  if (!read.ok) return { kind: "invalid", errors: read.errors, exitCode: 1, fallback };
  const late = readEnvdirs(result.entries, launch.cwd);
  if (!late.ok) return { kind: "invalid", errors: [late.error], exitCode: 1, fallback };
  const environment = [
    ...pairs(result.environmentChanges),
    ...read.settings.environment,
    ...pairs(late.value),
  ];
  return { kind: "settings", settings: { ...read.settings, environment }, fallback };
}

/** `envdir` counts after `env`, as in uWSGI. */
function readEnvdirs(
  entries: readonly ConfigEntry[],
  cwd: string,
): Parsed<readonly EnvironmentChange[]> {
  try {
    const host = createNodeHost(cwd);
    const changes = allEntries(entries, "envdir").flatMap(({ value = "", origin }) =>
      readEnvironmentDirectory(value, host, DEFAULT_LIMITS, origin),
    );
    return { ok: true, value: changes };
  } catch (error) {
    if (error instanceof ConfigError) return { ok: false, error };
    throw error;
  }
}

/**
 * 1; under an Emperor 26 when a server was asked for the config and has none: uWSGI ends so, and its
 * Emperor does not try again. A server that does not answer is another matter: it may come back.
 */
function exitCodeOf(errors: readonly ConfigError[], emperor: EmperorConnection): number {
  return emperor.connected && errors.some(({ code }) => code === "http-status") ? 26 : 1;
}

/** The last one of a flag counts. */
function asks(flag: string, entries: readonly ConfigEntry[]): boolean {
  const entry = lastEntry(entries, flag);
  return entry !== undefined && parseFlag(entry.value);
}

function pairs(changes: readonly EnvironmentChange[]): RuntimeSettings["environment"] {
  return changes.map(({ name, value }) => [name, value] as const);
}
