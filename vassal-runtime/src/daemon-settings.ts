/**
 * The options of programs that accompany the app: `attach-daemon` and its relatives. Table and meaning;
 * pure.
 */
import { formatOrigin } from "@emperor/config";
import type { ConfigEntry, OptionDefinition } from "@emperor/config";
import { parseKeyValues } from "./key-values.ts";
import { serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";
import { signalNumber } from "./signal-number.ts";

export interface DaemonSetting {
  /** For `/bin/sh -c`, as in uWSGI: the tenant's own line, with the tenant's own rights. */
  readonly line: string;
  readonly origin: string;
  /** A daemon that may be there already, and stays when the vassal ends: this file names its process. */
  readonly pidfile: string | undefined;
  /** Its end is the vassal's end. */
  readonly control: boolean;
  readonly stopSignal: number;
  /** For the end before a reload; undefined: the stop signal. */
  readonly reloadSignal: number | undefined;
  readonly chdir: string | undefined;
  readonly uid: string | undefined;
  readonly gid: string | undefined;
  /** The longest pause between two starts. */
  readonly mostDelayMs: number;
  /** How often the pidfile is looked at while no process of it is known. */
  readonly lookAgainMs: number;
}

const GROUP = "Daemons";

const list = (name: string, help: string, placeholder: string): OptionDefinition =>
  serve(GROUP, name, help, { kind: "list", repeatable: true, placeholder });

/** Their part of the option table. */
export const DAEMON_OPTIONS: readonly OptionDefinition[] = [
  list("attach-daemon", "run a program beside the app, and start it again when it ends", "COMMAND"),
  list("attach-control-daemon", "the same; when it ends the vassal stops", "COMMAND"),
  list(
    "smart-attach-daemon",
    "the same for a daemon that may run already and outlives the vassal",
    "PIDFILE COMMAND",
  ),
  list("smart-attach-daemon2", "the same: one that goes into the background", "PIDFILE COMMAND"),
  list("attach-daemon2", "the same with all of its properties", "KEY=VALUE,..."),
];

const DEFAULTS = {
  pidfile: undefined,
  control: false,
  stopSignal: 15,
  reloadSignal: undefined,
  chdir: undefined,
  uid: undefined,
  gid: undefined,
  mostDelayMs: 60_000,
  lookAgainMs: 10_000,
} as const;

const KEYS: Readonly<Record<string, string>> = {
  cmd: "cmd",
  command: "cmd",
  exec: "cmd",
  pidfile: "pidfile",
  control: "control",
  stopsignal: "stopsignal",
  stop_signal: "stopsignal",
  reloadsignal: "reloadsignal",
  reload_signal: "reloadsignal",
  chdir: "chdir",
  uid: "uid",
  gid: "gid",
  max_throttle: "max_throttle",
  freq: "freq",
  // Whether it goes into the background is seen by itself.
  daemonize: "daemonize",
  daemon: "daemonize",
};

/** Reads them in their order; mistakes are noted in the reader. */
export function readDaemons(reader: SettingsReader): readonly DaemonSetting[] {
  const daemons: DaemonSetting[] = [];
  for (const entry of reader.entries) {
    if (entry.placeholder === true) continue;
    const daemon = readDaemon(reader, entry);
    if (daemon !== undefined) daemons.push(daemon);
  }
  return daemons;
}

function readDaemon(reader: SettingsReader, entry: ConfigEntry): DaemonSetting | undefined {
  const text = (entry.value ?? "").trim();
  const origin = formatOrigin(entry.origin);
  const fail = (reason: string): undefined => {
    reader.fail("VASSAL_CONFIG", entry, `option "${entry.key}": ${reason}`);
    return undefined;
  };
  const name = entry.option?.name;
  switch (name) {
    case "attach-daemon":
    case "attach-control-daemon":
      if (text === "") return fail("it names no program");
      return { ...DEFAULTS, line: text, origin, control: name === "attach-control-daemon" };
    case "smart-attach-daemon":
    case "smart-attach-daemon2": {
      const [, pidfile, line] = /^(\S+)\s+(\S[^]*)$/.exec(text) ?? [];
      if (pidfile === undefined || line === undefined)
        return fail(`it needs PIDFILE COMMAND, not ${JSON.stringify(text)}`);
      return { ...DEFAULTS, line, origin, pidfile };
    }
    case "attach-daemon2":
      return readProperties(text, origin, fail);
    default:
      return undefined;
  }
}

function readProperties(
  text: string,
  origin: string,
  fail: (reason: string) => undefined,
): DaemonSetting | undefined {
  const parsed = parseKeyValues(text);
  if (!parsed.ok) return fail(parsed.reason);
  const values = new Map<string, string>();
  for (const [key, value] of parsed.values) {
    const known = KEYS[key];
    if (known === undefined)
      return fail(
        `the key ${JSON.stringify(key)} is not served (served: ${Object.keys(KEYS).join(", ")})`,
      );
    values.set(known, value);
  }
  const line = values.get("cmd");
  if (line === undefined || line.trim() === "") return fail("the key cmd is missing");
  const signals: Record<string, number | undefined> = {};
  for (const key of ["stopsignal", "reloadsignal"]) {
    const word = values.get(key);
    if (word === undefined) continue;
    signals[key] = signalNumber(word);
    if (signals[key] === undefined) return fail(`${key}: ${JSON.stringify(word)} is no signal`);
  }
  const seconds: Record<string, number> = {};
  for (const key of ["max_throttle", "freq"]) {
    const word = values.get(key);
    if (word === undefined) continue;
    if (!/^\d{1,6}(\.\d+)?$/.test(word) || Number(word) === 0)
      return fail(`${key}: ${JSON.stringify(word)} is no number of seconds`);
    seconds[key] = Number(word) * 1000;
  }
  return {
    line,
    origin,
    pidfile: values.get("pidfile"),
    control: isTrue(values.get("control")),
    stopSignal: signals["stopsignal"] ?? DEFAULTS.stopSignal,
    reloadSignal: signals["reloadsignal"],
    chdir: values.get("chdir"),
    uid: values.get("uid"),
    gid: values.get("gid"),
    mostDelayMs: seconds["max_throttle"] ?? DEFAULTS.mostDelayMs,
    lookAgainMs: seconds["freq"] ?? DEFAULTS.lookAgainMs,
  };
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && !["", "0", "false", "no", "off"].includes(text.trim().toLowerCase());
}
