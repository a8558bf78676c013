/**
 * The values of `run-options.ts`: parsed, checked against each other, every mistake with file and line.
 * Pure: opens nothing, looks at no clock and no machine.
 */
import { allEntries, parseFlag, parseInteger, parseOctal } from "@emperor/config";
import { parseSeconds, parseText } from "@emperor/config";
import type { ConfigEntry } from "@emperor/config";
import type { CheaperPolicy } from "./cheaper.ts";
import { splitCommandLine } from "./command-line.ts";
import type { DemandSettings } from "./demand.ts";
import { checkAction } from "./hook-actions.ts";
import { readTouchHooks } from "./hook-settings.ts";
import type { TouchHook } from "./hook-settings.ts";
import type { SettingsReader } from "./settings-reader.ts";
import type { TitleSettings } from "./titles.ts";
import type { LimitSettings } from "./worker-limits.ts";

export interface RunSettings {
  /** The Node of the app; undefined: the one that runs the runtime. */
  readonly nodeBinary: string | undefined;
  readonly nodeOptions: readonly string[];
  readonly umask: number | undefined;
  readonly forkbombDelayMs: number;
  readonly titles: TitleSettings;
  readonly pidfiles: {
    readonly early: string | undefined;
    readonly late: string | undefined;
    readonly safe: string | undefined;
  };
  readonly cheaper: CheaperPolicy | undefined;
  readonly harakiriMs: number | undefined;
  readonly limits: LimitSettings;
  readonly demand: DemandSettings;
  readonly dieOnIdle: boolean;
  /** A new generation that does not accept by then is abandoned; 0: never. */
  readonly reloadTimeoutMs: number;
  readonly cheap: boolean;
  readonly touch: {
    readonly reload: readonly string[];
    readonly workers: readonly string[];
    readonly chain: readonly string[];
    readonly hooks: readonly TouchHook[];
  };
  /** The first option that only a master can carry out; undefined when there is none. */
  readonly needsMaster: string | undefined;
}

/** Reads them; mistakes are noted in the reader. */
export function readRunSettings(reader: SettingsReader, processes: number): RunSettings {
  const milliseconds = (name: string): number | undefined =>
    reader.take(name, parseSeconds) || undefined;
  const count = (name: string): number | undefined =>
    reader.take(name, (entry) => parseInteger(entry)) || undefined;
  const text = (name: string): string | undefined =>
    reader.take(name, (entry) => parseText(entry, "a text"));
  const flag = (name: string): boolean => isOn(reader.last(name));
  const list = (name: string): string[] =>
    allEntries(reader.entries, name)
      .map((entry) => entry.value?.trim() ?? "")
      .filter((value) => value !== "");
  const rss = count("reload-on-rss");
  const dieOnIdle = flag("die-on-idle");
  const settings: Omit<RunSettings, "needsMaster"> = {
    nodeBinary: text("node-binary"),
    nodeOptions: readNodeOptions(reader),
    umask: reader.take("umask", parseOctal),
    forkbombDelayMs: reader.take("forkbomb-delay", parseSeconds) ?? 2000,
    titles: {
      procname: text("procname"),
      procnameMaster: text("procname-master"),
      prefix: readPrefix(text("procname-prefix"), text("procname-prefix-spaced")),
      append: text("procname-append") ?? "",
      auto: flag("auto-procname"),
    },
    pidfiles: { early: text("pidfile"), late: text("pidfile2"), safe: text("safe-pidfile") },
    cheaper: readCheaper(reader, processes),
    harakiriMs: milliseconds("harakiri"),
    limits: {
      maxRequests: count("max-requests"),
      maxRequestsDelta: count("max-requests-delta") ?? 0,
      maxLifetimeMs: milliseconds("max-worker-lifetime"),
      maxLifetimeDeltaMs: milliseconds("max-worker-lifetime-delta") ?? 0,
      minLifetimeMs: reader.take("min-worker-lifetime", parseSeconds) ?? 60_000,
      reloadOnRssBytes: rss === undefined ? undefined : rss * 1024 * 1024,
    },
    demand: {
      idleMs: milliseconds("idle"),
      sosMs: milliseconds("vassal-sos"),
      sosBacklog: count("vassal-sos-backlog"),
    },
    dieOnIdle,
    reloadTimeoutMs: reader.take("reload-timeout", parseSeconds) ?? 300_000,
    cheap: flag("cheap"),
    touch: {
      reload: list("touch-reload"),
      workers: list("touch-workers-reload"),
      chain: list("touch-chain-reload"),
      hooks: readTouchHooks(reader, checkAction),
    },
  };
  return { ...settings, needsMaster: whatNeedsMaster(settings) };
}

/** Is there anything to look at each second, beside the workers themselves? */
export function isPaced({ cheap, cheaper, demand, touch }: RunSettings): boolean {
  const { idleMs, sosBacklog, sosMs } = demand;
  return (
    cheap ||
    cheaper !== undefined ||
    (idleMs ?? sosMs ?? sosBacklog) !== undefined ||
    touch.reload.length + touch.workers.length + touch.chain.length + touch.hooks.length > 0
  );
}

/** Everything that replaces, stops or counts workers. With a process of its own the app has no successor. */
function whatNeedsMaster(settings: Omit<RunSettings, "needsMaster">): string | undefined {
  const { limits, touch } = settings;
  const wanted: readonly (readonly [string, boolean])[] = [
    ["cheaper", settings.cheaper !== undefined],
    ["cheap", settings.cheap],
    ["harakiri", settings.harakiriMs !== undefined],
    ["max-requests", limits.maxRequests !== undefined],
    ["max-worker-lifetime", limits.maxLifetimeMs !== undefined],
    ["reload-on-rss", limits.reloadOnRssBytes !== undefined],
    ["idle", settings.demand.idleMs !== undefined && !settings.dieOnIdle],
    ["touch-workers-reload", touch.workers.length > 0],
    ["touch-chain-reload", touch.chain.length > 0],
  ];
  return wanted.find(([, isWanted]) => isWanted)?.[0];
}

function readCheaper(reader: SettingsReader, processes: number): CheaperPolicy | undefined {
  const minimum = reader.take("cheaper", (entry) => parseInteger(entry, { minimum: 0 }));
  if (minimum === undefined || minimum === 0) return undefined;
  const entry = reader.last("cheaper");
  if (minimum >= processes && entry !== undefined) {
    reader.fail(
      "VASSAL_CONFIG",
      entry,
      `"cheaper" (${minimum}) must be less than "processes" (${processes}): it is the fewest workers of so many`,
    );
    return undefined;
  }
  const initial =
    reader.take("cheaper-initial", (value) => parseInteger(value, { minimum: 1 })) ?? minimum;
  const initialEntry = reader.last("cheaper-initial");
  if (initialEntry !== undefined && (initial < minimum || initial > processes)) {
    reader.fail(
      "VASSAL_CONFIG",
      initialEntry,
      `"cheaper-initial" (${initial}) must lie between "cheaper" (${minimum}) and "processes" (${processes})`,
    );
  }
  return {
    minimum,
    initial,
    maximum: processes,
    step: reader.take("cheaper-step", (value) => parseInteger(value, { minimum: 1 })) ?? 1,
    overloadMs: reader.take("cheaper-overload", parseSeconds) ?? 3000,
  };
}

function readNodeOptions(reader: SettingsReader): string[] {
  return allEntries(reader.entries, "node-options").flatMap((entry) => {
    if ((entry.value ?? "").trim() === "") return [];
    const split = splitCommandLine(entry.value ?? "");
    if (!split.ok) {
      reader.fail(
        "VASSAL_CONFIG",
        entry,
        `option "node-options" cannot be split into words: ${split.reason}`,
      );
      return [];
    }
    const stray = split.argv[0];
    if (stray !== undefined && !stray.startsWith("-")) {
      reader.fail(
        "VASSAL_CONFIG",
        entry,
        `option "node-options" takes flags of Node, and ${JSON.stringify(stray)} is none`,
      );
      return [];
    }
    return [...split.argv];
  });
}

function readPrefix(plain: string | undefined, spaced: string | undefined): string {
  if (spaced !== undefined) return `${spaced} `;
  return plain ?? "";
}

function isOn(entry: ConfigEntry | undefined): boolean {
  return entry !== undefined && parseFlag(entry.value);
}
