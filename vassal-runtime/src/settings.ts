/**
 * From the ordered pairs of a configuration to the settings of one vassal: every value parsed, every
 * mistake reported with file and line. Pure: opens nothing, looks at no clock and no machine.
 */
import { formatOrigin, parseFlag, parseInteger, parseSeconds, parseText } from "@emperor/config";
import type { ConfigEntry } from "@emperor/config";
import { splitCommandLine } from "./command-line.ts";
import { readCommandSettings } from "./command-settings.ts";
import type { CommandSettings } from "./command-settings.ts";
import { readDaemons } from "./daemon-settings.ts";
import type { DaemonSetting } from "./daemon-settings.ts";
import { RuntimeError } from "./errors.ts";
import { readFifos } from "./fifo-settings.ts";
import { checkAction } from "./hook-actions.ts";
import { readHooks } from "./hook-settings.ts";
import type { HookSettings } from "./hook-settings.ts";
import { readJail } from "./jail-settings.ts";
import type { JailSettings } from "./jail-settings.ts";
import { readLog } from "./log-settings.ts";
import type { LogSettings } from "./log-settings.ts";
import { readPatches } from "./patch-settings.ts";
import type { PatchSettings } from "./patch-settings.ts";
import { readRunSettings } from "./run-settings.ts";
import type { RunSettings } from "./run-settings.ts";
import { SettingsReader } from "./settings-reader.ts";
import { readSocketSettings } from "./socket-settings.ts";
import type { SocketSettings } from "./socket-settings.ts";
import { readStats } from "./stats-settings.ts";
import type { StatsSettings } from "./stats-settings.ts";
import { readSubscriptions } from "./subscription-settings.ts";
import type { SubscriptionSettings } from "./subscription-settings.ts";
import { readWaits } from "./wait-settings.ts";
import type { Wait } from "./wait-settings.ts";
import { readZerg } from "./zerg-settings.ts";
import type { ZergSettings } from "./zerg-settings.ts";

/** What the vassal runs. Paths are as written: relative to the working directory after `chdir`. */
export type AppSetting =
  | { readonly kind: "node"; readonly file: string; readonly origin: string }
  | { readonly kind: "command"; readonly argv: readonly string[]; readonly origin: string }
  /** Nothing but the sockets of `zergpool`. */
  | { readonly kind: "pool" };

export interface RuntimeSettings extends SocketSettings {
  readonly app: AppSetting;
  readonly processes: number;
  /** A master process keeps the sockets; otherwise the app runs in the runtime's own process. */
  readonly master: boolean;
  /** In order; `undefined` removes the variable. */
  readonly environment: readonly (readonly [name: string, value: string | undefined])[];
  readonly chdir: string | undefined;
  readonly uid: string | undefined;
  readonly gid: string | undefined;
  readonly heartbeatMs: number | undefined;
  readonly reloadMercyMs: number;
  readonly workerReloadMercyMs: number;
  readonly run: RunSettings;
  readonly command: CommandSettings;
  readonly daemons: readonly DaemonSetting[];
  readonly stats: StatsSettings | undefined;
  /** Paths of `master-fifo`, slot 0 first. */
  readonly fifos: readonly string[];
  readonly hooks: HookSettings;
  readonly log: LogSettings;
  /** What has to be there before the start. */
  readonly waits: readonly Wait[];
  /** Undefined: none of its options is set. */
  readonly jail: JailSettings | undefined;
  readonly patches: PatchSettings | undefined;
  /** Undefined: none of its options is set. */
  readonly zerg: ZergSettings | undefined;
  /** Undefined: nothing is subscribed. */
  readonly subscription: SubscriptionSettings | undefined;
}

/** The settings, or every mistake that was found; `notes` are for the log in both cases. */
export type SettingsResult =
  | { readonly ok: true; readonly settings: RuntimeSettings; readonly notes: readonly string[] }
  | {
      readonly ok: false;
      readonly errors: readonly RuntimeError[];
      readonly notes: readonly string[];
    };

/** Turns the pairs of a configuration into settings. */
export function readSettings(entries: readonly ConfigEntry[]): SettingsResult {
  const reader = new SettingsReader(entries);
  const notes = reportStatus(reader);
  const patches = readPatches(reader);
  const zerg = readZerg(reader);
  const app = readApp(reader, patches, (zerg?.pools.length ?? 0) > 0);
  const processes =
    reader.take("processes", (entry) => parseInteger(entry, { minimum: 1, maximum: 4096 })) ?? 1;
  const master = reader.last("master");
  const run = readRunSettings(reader, processes);
  const logSettings = readLog(reader, notes);
  const settings: Omit<RuntimeSettings, "app"> = {
    ...readSocketSettings(reader, notes, app?.kind === "command", zerg),
    processes,
    master:
      processes > 1 ||
      run.needsMaster !== undefined ||
      // A busy app would keep zergs waiting; uWSGI forces a master as well.
      (app?.kind === "node" && zerg?.server !== undefined) ||
      // The app may hang, and its last words count: somebody else has to pass them on.
      (app?.kind === "node" && logSettings.loggers.length > 0) ||
      (master !== undefined && parseFlag(master.value)),
    environment: readEnvironment(reader),
    chdir: reader.take("chdir", (entry) => parseText(entry, "a directory")),
    uid: reader.take("uid", (entry) => parseText(entry, "a user")),
    gid: reader.take("gid", (entry) => parseText(entry, "a group")),
    heartbeatMs: reader.take("heartbeat", parseSeconds) || undefined,
    reloadMercyMs: reader.take("reload-mercy", parseSeconds) ?? 10_000,
    workerReloadMercyMs: reader.take("worker-reload-mercy", parseSeconds) ?? 60_000,
    run,
    command: readCommandSettings(reader),
    daemons: readDaemons(reader),
    stats: readStats(reader),
    fifos: readFifos(reader),
    hooks: readHooks(reader, checkAction),
    log: logSettings,
    waits: readWaits(reader),
    jail: readJail(reader),
    patches,
    zerg,
    subscription: readSubscriptions(reader, processes),
  };
  if (app?.kind === "command" && run.needsMaster !== undefined) {
    notes.push(
      `"${run.needsMaster}" has no effect on a command: it is about workers of a node-app`,
    );
  }
  for (const phase of ["post-fork", "post-app"] as const)
    if (app?.kind === "command" && settings.hooks[phase] !== undefined)
      notes.push(`hooks of ${phase} have no effect on a command: it forks and loads by itself`);
  if (reader.errors.length > 0 || app === undefined)
    return { ok: false, errors: reader.errors, notes };
  return { ok: true, settings: { app, ...settings }, notes };
}

/** Options that are refused become errors, those without effect notes. */
function reportStatus(reader: SettingsReader): string[] {
  const notes: string[] = [];
  for (const entry of reader.entries) {
    const { option } = entry;
    if (option === undefined || entry.placeholder === true) continue;
    if (option.status === "later") {
      reader.fail(
        "VASSAL_NOT_YET",
        entry,
        `option "${entry.key}" is not served: ${option.reason ?? "not yet"}`,
      );
    } else if (option.status === "ignored") {
      notes.push(
        `${formatOrigin(entry.origin)}: option "${entry.key}" has no effect: ${option.reason ?? "ignored"}`,
      );
    }
  }
  return notes;
}

function readApp(
  reader: SettingsReader,
  patches: PatchSettings | undefined,
  isPool: boolean,
): AppSetting | undefined {
  const node = reader.last("node-app");
  const command = reader.last("command");
  if (node !== undefined && command !== undefined) {
    reader.fail(
      "VASSAL_CONFIG",
      command,
      `"command" and "node-app" (${formatOrigin(node.origin)}) exclude each other: keep one`,
    );
    return undefined;
  }
  if (node !== undefined) {
    const file = reader.take("node-app", (entry) => parseText(entry, "a file"));
    return file === undefined
      ? undefined
      : { kind: "node", file, origin: formatOrigin(node.origin) };
  }
  if (command !== undefined) {
    const split = splitCommandLine(command.value ?? "");
    if (split.ok)
      return { kind: "command", argv: split.argv, origin: formatOrigin(command.origin) };
    reader.fail(
      "VASSAL_CONFIG",
      command,
      `option "command" cannot be split into words: ${split.reason}`,
    );
    return undefined;
  }
  const patch = patches?.privileged ?? patches?.unprivileged;
  // The runtime becomes that program: a command of which nobody waits for the end.
  if (patch !== undefined) return { kind: "command", argv: [patch.text], origin: patch.origin };
  if (isPool) return { kind: "pool" };
  // Options that are refused already say why there is nothing to run.
  if (reader.errors.length === 0) {
    reader.errors.push(
      new RuntimeError(
        "VASSAL_CONFIG",
        'the configuration names nothing to run: set "node-app = FILE" or "command = PROGRAM ARGUMENTS"',
      ),
    );
  }
  return undefined;
}

function readEnvironment(reader: SettingsReader): (readonly [string, string | undefined])[] {
  const environment: (readonly [string, string | undefined])[] = [];
  for (const entry of reader.entries) {
    if (entry.placeholder === true) continue;
    const text = entry.value ?? "";
    if (entry.option?.name === "unenv") {
      environment.push([text.trim(), undefined]);
    } else if (entry.option?.name === "env") {
      const equals = text.indexOf("=");
      if (equals > 0 && !text.includes("\0"))
        environment.push([text.slice(0, equals).trim(), text.slice(equals + 1)]);
      else
        reader.fail(
          "VASSAL_CONFIG",
          entry,
          `option "env" needs NAME=VALUE, not ${JSON.stringify(text)}`,
        );
    }
  }
  return environment;
}
