/**
 * The command line, the environment and the files they name become `Settings`, or the reasons why
 * not. It writes nothing: what there is to say is in the result.
 */
import { fileURLToPath } from "node:url";
import {
  editDistance,
  loadConfiguration,
  nearest,
  renderConfiguration,
  renderOrigins,
  type ConfigEntry,
  type ConfigWarning,
} from "@emperor/config";
import { maskAddress } from "@emperor/monitors";
import { buildSettings } from "./build-settings.ts";
import type { SettingsSurroundings } from "./build-vassal-start.ts";
import { EntryReader } from "./entry-reader.ts";
import { IGNORED_FAMILIES } from "./ignored-options.ts";
import { emperorOptionTable } from "./option-table.ts";
import { buildProfile, PROFILE_NAMES, type Profile } from "./profile-options.ts";
import type { Settings } from "./settings.ts";

export interface SettingsRequest extends SettingsSurroundings {
  /** Arguments after the program. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For the magic variable `%V`. */
  readonly version: string;
}

/** Something to say once the log is there. */
export interface Remark {
  readonly level: "debug" | "info" | "warning";
  readonly message: string;
}

/** What the command line asks for beside governing. */
export interface Questions {
  readonly help: boolean;
  readonly version: boolean;
  readonly monitorList: boolean;
  /** `show-config`: the configuration as it was understood. */
  readonly shownConfig: readonly string[] | undefined;
}

export type SettingsReading =
  | {
      readonly ok: true;
      readonly settings: Settings;
      readonly questions: Questions;
      readonly remarks: readonly Remark[];
      /** Lines for standard output (`print`). */
      readonly output: readonly string[];
    }
  /** `exit` or `get` in the configuration. */
  | { readonly ok: "exit"; readonly code: number; readonly output: readonly string[] }
  /** Nothing may be started. Each message says what, where and why. */
  | {
      readonly ok: false;
      readonly problems: readonly string[];
      readonly output: readonly string[];
    };

/** Reads everything. Never rejects for what a user can write. */
export async function readSettings(request: SettingsRequest): Promise<SettingsReading> {
  const options = emperorOptionTable();
  const load = (argv: readonly string[], environment: SettingsRequest["environment"]) =>
    loadConfiguration({
      argv,
      environment,
      options,
      facts: { cwd: request.startDirectory, version: request.version },
    });
  let loaded = await load(request.argv, request.environment);
  const profile = new EntryReader(loaded.entries).text("vassal-profile");
  // As if it were the first file on the command line: what is said elsewhere counts more.
  if (profile !== undefined && loaded.errors.length === 0)
    loaded = await load(["--ini", profilePath(profile), ...request.argv], request.environment);
  const { output } = loaded;
  if (loaded.errors.length > 0) {
    return { ok: false, problems: loaded.errors.map((error) => error.message), output };
  }
  if (loaded.exit !== undefined) return { ok: "exit", code: loaded.exit.code, output };
  const reader = new EntryReader(loaded.entries);
  if (reader.flag("show-origin")) {
    return { ok: "exit", code: 0, output: [...output, ...renderOrigins(loaded.entries)] };
  }
  const built = buildSettings(reader, request);
  const offered =
    built.profiles.attribute === undefined
      ? {}
      : await offeredProfiles((path) => load(["--ini", path], {}));
  const settings = {
    ...built,
    profiles: { ...built.profiles, offered },
    environment: [...loaded.environmentChanges, ...built.environment],
  };
  const questions: Questions = {
    help: reader.flag("help"),
    version: reader.flag("version"),
    monitorList: reader.flag("imperial-monitor-list"),
    // It goes to the log, and no password does.
    shownConfig: reader.flag("show-config")
      ? renderConfiguration(loaded.entries).map(maskAddress)
      : undefined,
  };
  const problems = [...reader.errors.map((error) => error.message), ...refused(loaded.entries)];
  if (problems.length > 0 && !questions.help && !questions.version) {
    return { ok: false, problems, output };
  }
  const remarks = [
    ...slips(loaded.warnings),
    ...ignored(loaded.entries),
    ...requestLogFormat(reader),
    ...doubtful(settings),
  ];
  return { ok: true, settings, questions, remarks, output };
}

/** Where the profiles of this installation are, seen from src/options and from dist/options. */
const PROFILES = new URL("../../profiles/", import.meta.url);

/** A known name is a file of ours, everything else a path. */
function profilePath(text: string): string {
  const known = PROFILE_NAMES.find((name) => name === text);
  return known === undefined ? text : fileURLToPath(new URL(`${known}.ini`, PROFILES));
}

/** What vassals may ask for. These files are ours: that they can be read is a matter of course. */
async function offeredProfiles(
  load: (path: string) => ReturnType<typeof loadConfiguration>,
): Promise<Readonly<Record<string, Profile>>> {
  const offered: Record<string, Profile> = {};
  for (const name of PROFILE_NAMES) {
    const { entries } = await load(profilePath(name));
    offered[name] = buildProfile(new EntryReader(entries));
  }
  return offered;
}

/** Options that would mean something if they were ignored. */
function refused(entries: readonly ConfigEntry[]): readonly string[] {
  const reader = new EntryReader([]);
  for (const entry of entries) {
    const { option } = entry;
    if (option?.status !== "later" || entry.placeholder === true) continue;
    if (entry.option?.argument === "none" && isOff(entry.value)) continue;
    reader.reject(entry, `is not available in this version: ${option.reason ?? "it is planned"}`);
  }
  return reader.errors.map((error) => error.message);
}

function isOff(value: string | undefined): boolean {
  return value !== undefined && /^(?:false|off|no|0)$/i.test(value);
}

/**
 * A key of a file that is no option is a placeholder, and nothing to speak of even if nobody uses it,
 * unless it looks like a slip of the pen: near to an option, or a word that only options begin with.
 */
function slips(warnings: readonly ConfigWarning[]): readonly Remark[] {
  return warnings.map(({ code, key = "", suggestion, message }) => {
    const spelling = key.toLowerCase().replaceAll("_", "-");
    // With a thousand names almost every word is near to some option: only the nearest count.
    const isNear =
      suggestion !== undefined &&
      editDistance(spelling, suggestion, 1) <= (spelling.length >= 6 ? 1 : 0);
    const isSlip = isNear || /^(?:emperor|vassals?)-/.test(spelling);
    const level = code !== "unknown-key" || isSlip ? "warning" : "debug";
    return { level, message: `[emperor] ${message}` };
  });
}

/** One line per family of options without effect here. */
function ignored(entries: readonly ConfigEntry[]): readonly Remark[] {
  const namesByFamily = new Map<string, Set<string>>();
  for (const entry of entries) {
    if (entry.option?.status !== "ignored" || entry.placeholder === true) continue;
    // UWSGI_VASSAL_X in the environment is meant for the vassals, whatever else it spells.
    if (entry.origin.kind === "environment" && entry.key.startsWith("vassal-")) continue;
    const names = namesByFamily.get(entry.option.group) ?? new Set();
    names.add(entry.key);
    namesByFamily.set(entry.option.group, names);
  }
  const remarks: Remark[] = [];
  for (const { title, reason, loses } of IGNORED_FAMILIES) {
    const names = namesByFamily.get(title);
    if (names === undefined) continue;
    const list = [...names].join(", ");
    remarks.push({
      level: loses ? "warning" : "info",
      message: `[emperor] ${names.size === 1 ? "option" : "options"} ${list} ${names.size === 1 ? "is" : "are"} ignored: ${reason}`,
    });
  }
  return remarks;
}

function requestLogFormat(reader: EntryReader): readonly Remark[] {
  const value = reader.last("log-format")?.value;
  if (value === undefined || value === "text" || value === "json") return [];
  const meant = nearest(value, ["text", "json"]);
  const hint =
    meant === undefined
      ? "it looks like a format of request lines, and the Emperor serves no requests"
      : `did you mean ${meant}?`;
  return [
    {
      level: "warning",
      message: `[emperor] log-format is "text" or "json" here; the value "${value}" is ignored (${hint})`,
    },
  ];
}

/** Combinations that work, but hardly as they were meant. */
function doubtful(settings: Settings): readonly Remark[] {
  const remarks: Remark[] = [];
  const keepsIds =
    settings.ownCapabilities !== undefined &&
    [6, 7].every((id) => settings.ownCapabilities?.includes(id) === true);
  const dropped = settings.uid ?? settings.immediateUid;
  if (
    settings.tyrant &&
    dropped !== undefined &&
    dropped !== "root" &&
    dropped !== "0" &&
    !keepsIds
  ) {
    remarks.push({
      level: "warning",
      message: `[emperor] emperor-tyrant with uid = ${dropped}: without "cap = setgid,setuid" the Emperor cannot start vassals as other users`,
    });
  }
  const { remote, control, forkServer, isolation, cloneFlags } = settings;
  const adopts = forkServer.address !== undefined || forkServer.attribute !== undefined;
  if (adopts && (cloneFlags !== 0 || isolation.cgroup !== undefined)) {
    remarks.push({
      level: "warning",
      message:
        "[emperor] vassals of a fork server get no namespaces and no cgroup of emperor-use-clone and emperor-cgroup: only vassals that the Emperor starts itself do",
    });
  }
  if (remote.waitForCommand && remote.commandSockets.length === 0 && control === undefined) {
    remarks.push({
      level: "warning",
      message:
        "[emperor] emperor-wait-for-command is ignored: without emperor-command-socket or emperor-control nobody could give a command",
    });
  }
  return remarks;
}
