/**
 * The log of the `vassal` command: one line per fact on standard error, written at once so that the
 * last words before an exit are never lost. Not for request logs, and not for the app's own output.
 */
import { writeSync } from "node:fs";

let label = "vassal";
/** What is in front of each line; `log-date`, `log-prefix`. */
let lead: () => string = () => "";
let write = (text: string): void => void writeSync(2, text);

/** Names the vassal in each following line; usually its config file. */
export function labelLog(name: string): void {
  label = quote(name);
}

/** What each line begins with. */
export function logPrefix(): string {
  return `${lead()}[vassal ${label}] `;
}

/** From now on each line begins so. */
export function decorateLog(next: () => string): void {
  lead = next;
}

/** From now on lines go there instead of standard error. */
export function sendLogTo(next: (text: string) => void): void {
  write = next;
}

/** Writes one line. A standard error that is full or closed loses it: a log never stops a vassal. */
export function log(text: string): void {
  writeLog(`${logPrefix()}${text}\n`);
}

/** Writes a text as it is, newlines included: only for what another program reads, as `show-config`. */
export function writeLog(text: string): void {
  try {
    write(text);
  } catch {
    // Nobody reads; there is no other place to say so.
  }
}

/** Text of a tenant for a log line: control characters cannot forge a second line. */
export function quote(text: string): string {
  return /^[\w./:@+,%=~-]+$/.test(text) ? text : JSON.stringify(text);
}
