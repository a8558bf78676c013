/**
 * A finished configuration as text: `show-config` in uWSGI's layout, `show-origin` with the place of
 * each value. Pure: who prints it, and whether the program goes on, is decided elsewhere.
 */
import { formatOrigin } from "./origin.ts";
import type { ConfigEntry } from "./origin.ts";

/** A flag of the command line has no value at all and is shown as `true`; an empty value stays empty. */
function pairText({ key, value }: ConfigEntry): string {
  return `${key} = ${value ?? "true"}`;
}

/**
 * The lines of `show-config`: every pair in order, as uWSGI prints them. A value with newlines spans
 * lines; a key or value is written as it is, so the text can be read again only if none has them.
 */
export function renderConfiguration(entries: readonly ConfigEntry[]): readonly string[] {
  return [
    ";uWSGI instance configuration",
    "[uwsgi]",
    ...entries.map(pairText),
    ";end of configuration",
  ];
}

/**
 * The lines of `show-origin`: place, tab, pair; one line per pair in the order of `show-config`. The
 * place is `FILE:LINE`, an argument or a variable, with the includes that led there. Control
 * characters are escaped, so that each line is one pair.
 */
export function renderOrigins(entries: readonly ConfigEntry[]): readonly string[] {
  return entries.map(
    (entry) => `${escaped(formatOrigin(entry.origin))}\t${escaped(pairText(entry))}`,
  );
}

function escaped(text: string): string {
  return text.replaceAll(
    // eslint-disable-next-line no-control-regex -- these are the characters to be escaped
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (character) => (character === "\n" ? "\\n" : hexOf(character)),
  );
}

function hexOf(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
