/**
 * Puts format and destination together. pino writes the JSON lines and is loaded for them only: text
 * needs nothing of it, and it costs 2.7 MB of anonymous memory and 25 to 40 ms at start (measured
 * with Node 20.20), a good part of what the whole Emperor may have.
 */
import { isatty } from "node:tty";
import { descriptorSink } from "./descriptor-sink.ts";
import type { LogSink } from "./descriptor-sink.ts";
import { textFormatter } from "./format.ts";
import { isWanted, loggerOf } from "./logger.ts";
import type { Logger, LogLevel, LogLine } from "./logger.ts";

export interface LoggerOptions {
  readonly format: "text" | "json";
  /** Descriptor to write to; normally 2. It stays open. */
  readonly fd: number;
  /** Wall clock, ms. */
  readonly wallNow: () => number;
  /** Least level that is written; default `info`. */
  readonly threshold?: LogLevel;
  /** Colours on a terminal; default: unless NO_COLOR is set or TERM is `dumb`. */
  readonly colour?: boolean;
}

function wantsColour(fd: number): boolean {
  const environment = process.env;
  return isatty(fd) && (environment["NO_COLOR"] ?? "") === "" && environment["TERM"] !== "dumb";
}

function droppedLine(format: (line: LogLine) => string): (count: number) => string {
  return (count) =>
    format({
      level: "warning",
      message: `[emperor] ${count} log lines were dropped: whatever reads this log is too slow or the disk was full`,
      fields: { dropped: count },
    });
}

/** A logger over an open descriptor. With `json` pino is loaded first. */
export async function createLogger(options: LoggerOptions): Promise<Logger> {
  const threshold = options.threshold ?? "info";
  if (options.format === "json") {
    const { jsonLogger } = await import("./json-logger.ts");
    return jsonLogger({ ...options, threshold });
  }
  return textLogger(options, threshold);
}

/** The text logger alone: needs nothing that is loaded later, so it also serves before the options are read. */
export function textLogger(options: LoggerOptions, threshold: LogLevel = "info"): Logger {
  const format = textFormatter({
    wallNow: options.wallNow,
    colour: options.colour ?? wantsColour(options.fd),
  });
  const sink: LogSink = descriptorSink({ fd: options.fd, droppedLine: droppedLine(format) });
  return loggerOf(
    (line) => {
      if (isWanted(line.level, threshold)) sink.write(format(line));
    },
    () => sink.flush(),
  );
}
