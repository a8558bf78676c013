/**
 * What every part of the Emperor logs through. It owns the shape of a line; it knows neither the
 * format in which lines are written nor where they go.
 */

export type LogLevel = "debug" | "info" | "warning" | "error" | "fatal";

/** Facts beside the text, for JSON lines and for machines. Values are plain data. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface LogLine {
  readonly level: LogLevel;
  /**
   * The whole sentence: what, where, why, what happens next. Tenant strings in it went through
   * `quoteName`. Never more than one line.
   */
  readonly message: string;
  /** The text format puts `Www Mmm dd HH:MM:SS YYYY - ` before it. Default: true. */
  readonly dated?: boolean;
  readonly fields?: LogFields;
  /** Further lines that belong to this one (a stack): the text format indents them. */
  readonly detail?: string;
}

export interface Logger {
  write(line: LogLine): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  fatal(message: string, fields?: LogFields): void;
  /** Writes everything that is still buffered before it returns (at most about a second). */
  flush(): void;
}

const RANK: Readonly<Record<LogLevel, number>> = {
  debug: 10,
  info: 20,
  warning: 30,
  error: 40,
  fatal: 50,
};

/** Whether a line of `level` is written when `threshold` is the least that is wanted. */
export function isWanted(level: LogLevel, threshold: LogLevel): boolean {
  return RANK[level] >= RANK[threshold];
}

/** A logger on top of the one function that writes a line. */
export function loggerOf(write: (line: LogLine) => void, flush: () => void): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void =>
      write(fields === undefined ? { level, message } : { level, message, fields });
  return {
    write,
    debug: at("debug"),
    info: at("info"),
    warning: at("warning"),
    error: at("error"),
    fatal: at("fatal"),
    flush,
  };
}

/** For tests and for parts that are run without a log. */
export function memoryLogger(): Logger & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  return {
    lines,
    ...loggerOf(
      (line) => void lines.push(line),
      () => undefined,
    ),
  };
}
