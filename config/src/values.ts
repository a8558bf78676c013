/**
 * Values of options, read strictly: uWSGI takes the leading digits of a number and rubbish as 0, we
 * say what is wrong and where. Every parser takes the whole entry, so that it can.
 */
import { ConfigError } from "./errors.ts";
import type { Parsed } from "./errors.ts";
import type { ConfigEntry } from "./origin.ts";

function invalid(
  entry: ConfigEntry,
  what: string,
): { readonly ok: false; readonly error: ConfigError } {
  const shown = entry.value === undefined ? "no value" : JSON.stringify(entry.value);
  return {
    ok: false,
    error: new ConfigError(
      "invalid-value",
      `option "${entry.key}" needs ${what}, not ${shown}`,
      entry.origin,
    ),
  };
}

/**
 * A flag: `false`, `off`, `no` in any case and `0` turn it off; anything else, an empty or missing
 * value too, turns it on, as in uWSGI.
 */
export function parseFlag(value: string | undefined): boolean {
  return value === undefined || !/^(?:false|off|no|0)$/i.test(value);
}

export interface IntegerRange {
  /** Default 0. */
  readonly minimum?: number;
  /** Default 2147483647. */
  readonly maximum?: number;
}

/** Decimal digits only. A missing value is 1, as in uWSGI (`--emperor-freq` without one cannot happen). */
export function parseInteger(entry: ConfigEntry, range: IntegerRange = {}): Parsed<number> {
  const { minimum = 0, maximum = 2_147_483_647 } = range;
  if (entry.value === undefined) return { ok: true, value: 1 };
  const text = entry.value.trim();
  const number = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= minimum && number <= maximum)) {
    return invalid(entry, `a whole number from ${minimum} to ${maximum}`);
  }
  return { ok: true, value: number };
}

/** A decimal number of seconds, fractions allowed; the result is in milliseconds. */
export function parseSeconds(entry: ConfigEntry): Parsed<number> {
  const text = entry.value?.trim() ?? "";
  if (!/^\d{1,9}(?:\.\d{1,6})?$/.test(text)) return invalid(entry, "a number of seconds");
  return { ok: true, value: Math.round(Number(text) * 1000) };
}

/** A file mode: `0700`, `700`. */
export function parseOctal(entry: ConfigEntry): Parsed<number> {
  const text = entry.value?.trim() ?? "";
  if (!/^[0-7]{1,5}$/.test(text)) return invalid(entry, "an octal mode such as 0750");
  return { ok: true, value: Number.parseInt(text, 8) };
}

const SIZE_FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/** Bytes: digits with an optional `k`, `m`, `g` or `t` (powers of 1024), and an optional `b` or `ib` after it. */
export function parseSize(entry: ConfigEntry): Parsed<number> {
  const match = /^(\d{1,12})(?:([kmgt])i?)?b?$/i.exec(entry.value?.trim() ?? "");
  const bytes =
    match === null
      ? Number.NaN
      : Number(match[1]) * (SIZE_FACTORS[(match[2] ?? "").toLowerCase()] ?? Number.NaN);
  if (!Number.isSafeInteger(bytes)) return invalid(entry, "a size such as 4096, 64k or 2g");
  return { ok: true, value: bytes };
}

/** A text that must not be empty. */
export function parseText(entry: ConfigEntry, what = "a value"): Parsed<string> {
  if (entry.value === undefined || entry.value === "") return invalid(entry, what);
  return { ok: true, value: entry.value };
}

/** Words of a list in one value, split at any of the separators, empty ones dropped. */
export function splitWords(value: string, separators: RegExp = /[ ,]+/): readonly string[] {
  return value.split(separators).filter((word) => word !== "");
}

/**
 * An option that must be one of some words.
 * @returns the word, in the candidates' spelling
 */
export function parseChoice<Choice extends string>(
  entry: ConfigEntry,
  choices: readonly Choice[],
): Parsed<Choice> {
  const found = choices.find((choice) => choice === entry.value);
  return found === undefined
    ? invalid(entry, `one of ${choices.join(", ")}`)
    : { ok: true, value: found };
}

/** The value of a single-valued option: its last entry. `name` is the canonical name. */
export function lastEntry(entries: readonly ConfigEntry[], name: string): ConfigEntry | undefined {
  return entries.findLast((entry) => entry.option?.name === name && entry.placeholder !== true);
}

/** All entries of a list option, in order. */
export function allEntries(entries: readonly ConfigEntry[], name: string): readonly ConfigEntry[] {
  return entries.filter((entry) => entry.option?.name === name && entry.placeholder !== true);
}
