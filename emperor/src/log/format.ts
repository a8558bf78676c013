/**
 * Turns a log line into the bytes that are written: classic text, or JSON. The text is made straight
 * from the line, never by parsing JSON again. Knows no destination.
 */
import { createClassicClock } from "./clock-text.ts";
import type { LogLevel, LogLine } from "./logger.ts";
import { singleLine } from "./quoting.ts";

/** Gives the text of one line with its newline. */
export type LogFormatter = (line: LogLine) => string;

const RESET = "\u001b[0m";
const DIM = "\u001b[2m";
const COLOURS: Readonly<Record<LogLevel, string>> = {
  debug: DIM,
  info: "",
  warning: "\u001b[33m",
  error: "\u001b[31m",
  fatal: "\u001b[1;31m",
};

/**
 * The classic form: `[date - ]message`. Operators search for these lines, so nothing is added to
 * them: no level, no pid, no fields. On a terminal the same letters, the date dim, warnings yellow,
 * errors red.
 */
export function textFormatter(options: {
  readonly wallNow: () => number;
  readonly colour: boolean;
}): LogFormatter {
  const date = createClassicClock(options.wallNow);
  return (line) => {
    const message = singleLine(line.message);
    const detail = line.detail === undefined ? "" : indented(line.detail);
    if (!options.colour)
      return line.dated === false ? `${message}\n${detail}` : `${date()} - ${message}\n${detail}`;
    const prefix = line.dated === false ? "" : `${DIM}${date()} - ${RESET}`;
    const colour = COLOURS[line.level];
    return `${prefix}${colour === "" ? message : `${colour}${message}${RESET}`}\n${detail}`;
  };
}

function indented(detail: string): string {
  let text = "";
  for (const part of detail.split("\n")) if (part !== "") text += `    ${singleLine(part)}\n`;
  return text;
}
