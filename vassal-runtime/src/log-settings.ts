/** The options of the log: where it goes, when files are renewed, which requests are told. Table and meaning; pure. */
import { allEntries, parseFlag, parseInteger, parseOctal, parseText } from "@emperor/config";
import type { ConfigEntry, OptionDefinition } from "@emperor/config";
import { parseLogger } from "./logger-spec.ts";
import type { LoggerSpec } from "./logger-spec.ts";
import { flag, serve } from "./option-definitions.ts";
import { compileLogFormat } from "./request-line.ts";
import type { SettingsReader } from "./settings-reader.ts";

export interface LogSettings {
  /** File for all output, opened before the user changes. */
  readonly early: string | undefined;
  /** The same, opened after it. */
  readonly late: string | undefined;
  /** Where the output of the processes below the master goes instead; more than a single file. */
  readonly loggers: readonly LoggerSpec[];
  readonly requestLoggers: readonly LoggerSpec[];
  /** Undefined: no request is told. */
  readonly requests: RequestLogSettings | undefined;
  readonly files: LogFileSettings;
  /** In front of each line of the runtime: a strftime format, a text. */
  readonly date: string | undefined;
  readonly prefix: string;
  readonly touchReopen: readonly string[];
  readonly touchRotate: readonly string[];
  readonly reopenAfterReload: boolean;
}

/** How log files are made and renewed. */
export interface LogFileSettings {
  /** `USER` or `USER:GROUP`. */
  readonly owner: string | undefined;
  readonly mode: number | undefined;
  /** Larger files are rotated. */
  readonly maxBytes: number | undefined;
  /** Name of the old file; undefined: its own name with the time behind it. */
  readonly backupName: string | undefined;
  readonly truncate: boolean;
}

/** Which requests are told, and how. Goes to workers as JSON. */
export interface RequestLogSettings {
  /** Undefined: uWSGI's own. */
  readonly format: string | undefined;
  readonly strftime: boolean;
  readonly date: string | undefined;
  readonly micros: boolean;
  readonly forwardedFor: boolean;
  /** False: only those that one of the following names. */
  readonly all: boolean;
  readonly slowMs: number | undefined;
  readonly bigBytes: number | undefined;
  readonly zero: boolean;
  readonly clientErrors: boolean;
  readonly serverErrors: boolean;
  readonly ioErrors: boolean;
}

/** What `log-date` means without a format. */
const DATE = "%a %b %e %H:%M:%S %Y";
const GROUP = "Log";
const files = { kind: "list", repeatable: true, placeholder: "FILE" } as const;

/** Their part of the option table. */
export const LOG_OPTIONS: readonly OptionDefinition[] = [
  serve(GROUP, "logto", "append all output to this file, opened before uid is changed", {
    kind: "path",
    placeholder: "FILE",
  }),
  serve(GROUP, "logto2", "the same, opened after that", { kind: "path", placeholder: "FILE" }),
  serve(GROUP, "logger", "send all output there; may repeat", {
    kind: "list",
    repeatable: true,
    placeholder: "[NAME ]KIND[:ARGUMENT]",
  }),
  flag(GROUP, "log-syslog", "send all output to syslog"),
  flag(GROUP, "log-master", "output passes through the master (it does where it has to)"),
  serve(GROUP, "req-logger", "tell of requests, there instead of in the log; may repeat", {
    aliases: ["logger-req"],
    kind: "list",
    repeatable: true,
    placeholder: "[NAME ]KIND[:ARGUMENT]",
  }),
  serve(GROUP, "log-format", "tell of requests, in this form", { aliases: ["logformat"] }),
  flag(GROUP, "log-format-strftime", "and read the form as one of strftime, too", {
    aliases: ["logformat-strftime"],
  }),
  flag(GROUP, "disable-logging", "tell only of requests that an option below names", {
    short: "L",
  }),
  flag(GROUP, "log-micros", "tell times of requests in microseconds"),
  flag(GROUP, "log-x-forwarded-for", "take the address of X-Forwarded-For"),
  flag(GROUP, "log-4xx", "tell of requests answered with 4xx"),
  flag(GROUP, "log-5xx", "tell of requests answered with 5xx"),
  serve(GROUP, "log-slow", "tell of requests that take so many milliseconds", { kind: "integer" }),
  serve(GROUP, "log-big", "tell of answers with so many bytes", { kind: "integer" }),
  flag(GROUP, "log-zero", "tell of answers without a body"),
  flag(GROUP, "log-ioerror", "tell of requests that were cut"),
  serve(GROUP, "log-maxsize", "rotate a log file that has more bytes", { kind: "integer" }),
  serve(GROUP, "log-backupname", "name of the rotated file", { kind: "path" }),
  flag(GROUP, "log-truncate", "empty log files at the start"),
  flag(GROUP, "log-reopen", "open log files again after a reload under a master"),
  serve(GROUP, "touch-logreopen", "open log files again", files),
  serve(GROUP, "touch-logrotate", "rotate log files", files),
  serve(GROUP, "logfile-chown", "owner of log files, instead of the user of the vassal", {
    placeholder: "USER[:GROUP]",
    argument: "optional",
  }),
  serve(GROUP, "logfile-chmod", "mode of log files", { kind: "octal" }),
  serve(GROUP, "log-date", "time in front of the runtime's lines, as strftime", {
    aliases: ["logdate"],
    argument: "optional",
  }),
  serve(GROUP, "log-prefix", "text in front of the runtime's lines"),
];

/** Reads them; mistakes are noted in the reader, what else is to be told in `notes`. */
export function readLog(reader: SettingsReader, notes: string[]): LogSettings {
  const isOn = (name: string): boolean => isFlagOn(reader.last(name));
  const text = (name: string): string | undefined =>
    reader.take(name, (entry) => parseText(entry, "a text"));
  const list = (name: string): string[] =>
    allEntries(reader.entries, name)
      .map((entry) => entry.value?.trim() ?? "")
      .filter((value) => value !== "");
  const loggers = readLoggers(reader, "logger");
  if (isOn("log-syslog")) loggers.push({ kind: "syslog", identity: "vassal", facility: 3 });
  // One file is what logto is about, and one descriptor or none needs nobody in between either.
  const only = loggers.length === 1 ? loggers[0] : undefined;
  const asFile = only?.kind === "file" ? only.path : undefined;
  const date = reader.last("log-date");
  return {
    early: reader.take("logto", (entry) => parseText(entry, "a file")) ?? asFile,
    late: reader.take("logto2", (entry) => parseText(entry, "a file")),
    loggers: only?.kind === "stdio" || asFile !== undefined ? [] : loggers,
    requestLoggers: readLoggers(reader, "req-logger"),
    requests: readRequests(reader, notes, isOn),
    files: {
      owner: text("logfile-chown"),
      mode: reader.take("logfile-chmod", parseOctal),
      maxBytes: reader.take("log-maxsize", (entry) => parseInteger(entry)) || undefined,
      backupName: text("log-backupname"),
      truncate: isOn("log-truncate"),
    },
    date: date === undefined ? undefined : dateFormat(date),
    prefix: text("log-prefix") ?? "",
    touchReopen: list("touch-logreopen"),
    touchRotate: list("touch-logrotate"),
    reopenAfterReload: isOn("log-reopen"),
  };
}

/** May log files have to be opened anew while the vassal runs? */
export function renewsFiles({ files: { maxBytes }, ...log }: LogSettings): boolean {
  return (
    maxBytes !== undefined ||
    log.touchReopen.length + log.touchRotate.length > 0 ||
    log.reopenAfterReload
  );
}

function readLoggers(reader: SettingsReader, option: string): LoggerSpec[] {
  return allEntries(reader.entries, option).flatMap((entry) => {
    const parsed = parseLogger(entry.value ?? "");
    if (parsed.ok) return [parsed.spec];
    reader.fail("VASSAL_CONFIG", entry, `option "${entry.key}": ${parsed.reason}`);
    return [];
  });
}

function readRequests(
  reader: SettingsReader,
  notes: string[],
  isOn: (name: string) => boolean,
): RequestLogSettings | undefined {
  const format = reader.take("log-format", (entry) => parseText(entry, "a form"));
  const unknown = format === undefined ? [] : compileLogFormat(format).unknown;
  if (unknown.length > 0)
    notes.push(
      `log-format: ${unknown.map((name) => `%(${name})`).join(", ")} has no meaning here and gives "-"`,
    );
  const slowMs = reader.take("log-slow", (value) => parseInteger(value, { minimum: 0 }));
  const bigBytes = reader.take("log-big", (value) => parseInteger(value, { minimum: 0 }));
  const some = {
    slowMs: slowMs === 0 ? undefined : slowMs,
    bigBytes: bigBytes === 0 ? undefined : bigBytes,
    zero: isOn("log-zero"),
    clientErrors: isOn("log-4xx"),
    serverErrors: isOn("log-5xx"),
    ioErrors: isOn("log-ioerror"),
  };
  const disabled = reader.last("disable-logging");
  const wanted =
    format !== undefined ||
    reader.last("req-logger") !== undefined ||
    isOn("log-micros") ||
    isOn("log-x-forwarded-for") ||
    (disabled !== undefined && !parseFlag(disabled.value));
  const all = wanted && !isFlagOn(disabled);
  if (!all && !Object.values(some).some((value) => value !== undefined && value !== false))
    return undefined;
  const date = reader.last("log-date");
  return {
    ...some,
    format,
    strftime: isOn("log-format-strftime"),
    date: date === undefined ? undefined : dateFormat(date),
    micros: isOn("log-micros"),
    forwardedFor: isOn("log-x-forwarded-for"),
    all,
  };
}

function dateFormat({ value }: ConfigEntry): string | undefined {
  const text = (value ?? "").trim();
  if (text.includes("%")) return text;
  return parseFlag(value) ? DATE : undefined;
}

function isFlagOn(entry: ConfigEntry | undefined): boolean {
  return entry !== undefined && parseFlag(entry.value);
}
