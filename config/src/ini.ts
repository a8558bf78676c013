/**
 * The ini format as uWSGI reads it: no quotes, no escapes, no continuation lines, comments only as
 * whole lines. Two readers share the line rules: the full one and a cheap one for single sections.
 */
import { ConfigError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import type { RawPair, ReaderContext } from "./reader.ts";

/** Blanks, tabs and carriage returns at both ends; other white space is part of a name or value. */
function trimIni(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d;
}

/** Calls `visit` for each line without its newline; a NUL ends the line before the newline does. */
function visitLines(text: string, visit: (line: string, number: number) => void): void {
  let start = 0;
  for (let number = 1; start < text.length; number += 1) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end);
    const nul = line.indexOf("\0");
    visit(nul < 0 ? line : line.slice(0, nul), number);
    start = end + 1;
  }
}

/** Name of a section header, `undefined` for other lines. The last character is not looked at. */
function headerOf(line: string): string | undefined {
  return line.startsWith("[") ? line.slice(1, Math.max(1, line.length - 1)) : undefined;
}

function pairOf(line: string, number: number): RawPair {
  const equals = line.indexOf("=");
  if (equals < 0) return { key: line, value: "", line: number };
  return {
    key: trimIni(line.slice(0, equals)),
    value: trimIni(line.slice(equals + 1)),
    line: number,
  };
}

function isComment(line: string): boolean {
  return line.startsWith(";") || line.startsWith("#");
}

/**
 * All pairs of the wanted section, which may stand in the text several times. Where uWSGI is silent
 * or only warns: a header that differs from the wanted one by blanks or by text behind it is an
 * error, a section that was asked for by name and is missing too; without the default section the
 * file counts as empty, with a warning, because all may come from a template.
 */
export function readIni(text: string, context: ReaderContext): readonly RawPair[] {
  const pairs: RawPair[] = [];
  const others = new Set<string>();
  let current = "";
  let found = false;
  let outsideLine = 0;
  let slip: { readonly header: string; readonly line: number } | undefined;
  visitLines(text, (raw, number) => {
    let line = trimIni(raw);
    if (line === "" || isComment(line)) return;
    line = trimIni(context.expand(raw, number));
    if (line === "" || isComment(line)) return;
    const header = headerOf(line);
    if (header !== undefined) {
      current = header;
      if (header === context.section) found = true;
      else {
        others.add(header);
        if (slip === undefined && line.slice(1).split("]", 1)[0]?.trim() === context.section)
          slip = { header: line, line: number };
      }
    } else if (current === context.section) {
      if (pairs.length >= context.maxPairs)
        throw new ConfigError(
          "too-large",
          `more than ${context.maxPairs} lines`,
          context.at(number),
        );
      pairs.push(pairOf(line, number));
    } else if (current === "" && outsideLine === 0) outsideLine = number;
  });
  if (outsideLine > 0) {
    context.warn("outside-section", outsideLine, "lines before the first [section] are ignored");
  }
  if (slip !== undefined) {
    throw new ConfigError(
      "missing-section",
      `the header ${JSON.stringify(slip.header)} is not the section [${context.section}]: write it without blanks and without anything behind it`,
      context.at(slip.line),
    );
  }
  if (!found) missingSection(context, others);
  return pairs;
}

/** Reports a section that is not there: an error if it was asked for, else a warning. */
export function missingSection(context: ReaderContext, others: Iterable<string>): void {
  const near = nearest(context.section, others);
  const hint = near === undefined ? "" : `; did you mean [${near}]?`;
  const { source } = context.at(0);
  const message = `Can't find section ${JSON.stringify(context.section)} in configuration file ${source}${hint}`;
  if (context.sectionGiven) throw new ConfigError("missing-section", message, context.at(0));
  context.warn("missing-section", 0, `${message}; it counts as empty`);
}

/**
 * Pairs of one section with the same line rules, nothing else: no magic variables, no warnings. One
 * pass; text of other sections is not kept.
 */
export function readIniSection(text: string, section: string): readonly RawPair[] {
  if (!text.includes(`[${section}`)) return [];
  const pairs: RawPair[] = [];
  let inside = false;
  visitLines(text, (raw, number) => {
    if (!inside && !raw.includes("[")) return;
    const line = trimIni(raw);
    if (line === "" || isComment(line)) return;
    const header = headerOf(line);
    if (header !== undefined) inside = header === section;
    else if (inside) pairs.push(pairOf(line, number));
  });
  return pairs;
}

/** The section whose keys are a vassal's attributes (uWSGI 2.1). */
const ATTRIBUTE_SECTION = "emperor";
const ATTRIBUTE_HEADER = `[${ATTRIBUTE_SECTION}`;

/**
 * Attributes of a vassal: the values of the named keys in `[emperor]` of its ini file, in order;
 * names that do not occur are absent. A file without that section costs one search in its bytes.
 */
export function readIniAttributes(
  source: Uint8Array | string,
  names: readonly string[],
): Record<string, string[]> {
  if (names.length === 0) return {};
  let text: string;
  if (typeof source === "string") text = source;
  else {
    const bytes = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
    if (!bytes.includes(ATTRIBUTE_HEADER)) return {};
    text = bytes.toString("utf8");
  }
  // Any name is legal here, `__proto__` too.
  const attributes = new Map<string, string[]>();
  for (const { key, value } of readIniSection(text, ATTRIBUTE_SECTION)) {
    if (!names.includes(key)) continue;
    const values = attributes.get(key);
    if (values === undefined) attributes.set(key, [value]);
    else values.push(value);
  }
  return Object.fromEntries(attributes);
}
