/**
 * JSON lines through pino, over our own sink. Loaded only for `--log-format json`. Text in, pino's
 * line out; the sink is what guards the loop.
 */
import { pino } from "pino";
import { descriptorSink } from "./descriptor-sink.ts";
import { loggerOf } from "./logger.ts";
import type { Logger, LogLevel, LogLine } from "./logger.ts";

/** pino's names of our levels. */
const LEVELS = {
  debug: "debug",
  info: "info",
  warning: "warn",
  error: "error",
  fatal: "fatal",
} as const;

export interface JsonLoggerOptions {
  readonly fd: number;
  readonly wallNow: () => number;
  readonly threshold: LogLevel;
}

/**
 * One JSON object per line: `level` (our names), `time` (ISO 8601, UTC), the line's fields,
 * `detail` if any, `msg`. `msg` is the classic text, so filters find the same words in both formats.
 */
export function jsonLogger(options: JsonLoggerOptions): Logger {
  const sink = descriptorSink({
    fd: options.fd,
    droppedLine: (count) =>
      `${JSON.stringify({ level: "warning", time: new Date(options.wallNow()).toISOString(), dropped: count, msg: `${count} log lines were dropped` })}\n`,
  });
  const destination = { write: (text: string): void => sink.write(text) };
  const instance = pino(
    {
      base: null,
      level: LEVELS[options.threshold],
      timestamp: () => `,"time":"${new Date(options.wallNow()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label === "warn" ? "warning" : label }) },
    },
    destination,
  );
  return loggerOf(
    (line: LogLine) => {
      const fields =
        line.detail === undefined ? (line.fields ?? {}) : { ...line.fields, detail: line.detail };
      instance[LEVELS[line.level]](fields, line.message);
    },
    () => sink.flush(),
  );
}
