/**
 * Reads single options out of the pairs of a configuration, and collects the mistakes, so that all of them
 * are told at once. Knows no option by name.
 */
import { formatOrigin, lastEntry } from "@emperor/config";
import type { ConfigEntry, Parsed } from "@emperor/config";
import { RuntimeError } from "./errors.ts";
import type { RuntimeErrorCode } from "./errors.ts";

/** Collects mistakes so that all of them are told at once. */
export class SettingsReader {
  readonly errors: RuntimeError[] = [];
  readonly entries: readonly ConfigEntry[];

  constructor(entries: readonly ConfigEntry[]) {
    this.entries = entries;
  }

  /** The entry that counts; undefined when the option is not set. */
  last(name: string): ConfigEntry | undefined {
    return lastEntry(this.entries, name);
  }

  /** Notes a mistake with its place. */
  fail(code: RuntimeErrorCode, entry: ConfigEntry, message: string): void {
    const { origin } = entry;
    this.errors.push(
      new RuntimeError(code, `${formatOrigin(origin)}: ${message}`, {
        option: entry.key,
        file: origin.source,
        line: origin.line,
      }),
    );
  }

  /** The parsed value; undefined when the option is not set or its value makes no sense, which is noted. */
  take<Value>(name: string, parse: (entry: ConfigEntry) => Parsed<Value>): Value | undefined {
    const entry = this.last(name);
    if (entry === undefined) return undefined;
    const parsed = parse(entry);
    if (parsed.ok) return parsed.value;
    const { error } = parsed;
    this.errors.push(
      new RuntimeError("VASSAL_CONFIG", error.message, { option: entry.key }, { cause: error }),
    );
    return undefined;
  }
}
