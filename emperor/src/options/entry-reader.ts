/**
 * Typed access to the ordered pairs that `config` gives, by canonical option name. It collects what
 * is wrong instead of stopping at the first error. Knows no option by name.
 */
import {
  ConfigError,
  formatOrigin,
  parseChoice,
  parseFlag,
  parseInteger,
  parseOctal,
  parseSeconds,
  type ConfigEntry,
  type IntegerRange,
  type Parsed,
} from "@emperor/config";
import type { NamesRead } from "./kernel-names.ts";
import type { HookAction } from "./settings.ts";

export class EntryReader {
  readonly errors: ConfigError[] = [];
  readonly #entries: readonly ConfigEntry[];
  readonly #byName = new Map<string, ConfigEntry[]>();

  constructor(entries: readonly ConfigEntry[]) {
    this.#entries = entries;
    for (const entry of entries) {
      if (entry.option === undefined || entry.placeholder === true) continue;
      const known = this.#byName.get(entry.option.name);
      if (known === undefined) this.#byName.set(entry.option.name, [entry]);
      else known.push(entry);
    }
  }

  /** Every occurrence, in order. */
  all(name: string): readonly ConfigEntry[] {
    return this.#byName.get(name) ?? [];
  }

  /** Occurrences of several options in the order in which they stand. */
  inOrder(...names: readonly string[]): readonly ConfigEntry[] {
    const wanted = new Set(names.flatMap((name) => this.all(name)));
    return this.#entries.filter((entry) => wanted.has(entry));
  }

  /** The one that counts for a single-valued option. */
  last(name: string): ConfigEntry | undefined {
    return this.all(name).at(-1);
  }

  flag(name: string): boolean {
    const entry = this.last(name);
    return entry !== undefined && parseFlag(entry.value);
  }

  integer(name: string, fallback: number, range: IntegerRange = {}): number {
    return this.#parse(name, fallback, (entry) => parseInteger(entry, range));
  }

  optionalInteger(name: string, range: IntegerRange = {}): number | undefined {
    return this.last(name) === undefined ? undefined : this.integer(name, 0, range);
  }

  /** Seconds as written, in milliseconds. */
  secondsMs(name: string, fallbackMs: number): number {
    return this.#parse(name, fallbackMs, parseSeconds);
  }

  octal(name: string): number | undefined {
    return this.last(name) === undefined ? undefined : this.#parse(name, 0, parseOctal);
  }

  choice<Choice extends string>(
    name: string,
    choices: readonly Choice[],
    fallback: Choice,
  ): Choice {
    return this.#parse(name, fallback, (entry) => parseChoice(entry, choices));
  }

  /** A text; an empty one is an error, because it never means what was wanted. */
  text(name: string): string | undefined {
    const entry = this.last(name);
    if (entry === undefined) return undefined;
    if (entry.value === undefined || entry.value === "") {
      this.reject(entry, "needs a value");
      return undefined;
    }
    return entry.value;
  }

  /** Values of a list, in order; empty ones are errors. */
  list(name: string): readonly string[] {
    const values: string[] = [];
    for (const entry of this.all(name)) {
      if (entry.value === undefined || entry.value === "") this.reject(entry, "needs a value");
      else values.push(entry.value);
    }
    return values;
  }

  /** Names read by a table; of several occurrences `merge` makes one value. */
  names<Value>(
    name: string,
    read: (text: string) => NamesRead<Value>,
    merge: (before: Value | undefined, value: Value) => Value,
  ): Value | undefined {
    let merged: Value | undefined;
    for (const entry of this.all(name)) {
      const reading = read(entry.value ?? "");
      if (reading.ok) merged = merge(merged, reading.value);
      else
        this.reject(
          entry,
          `does not know "${reading.unknown}"; known are ${reading.known.join(", ")}`,
        );
    }
    return merged;
  }

  /** `ACTION:ARGUMENT` per occurrence. */
  hooks(name: string): readonly HookAction[] {
    const actions: HookAction[] = [];
    for (const entry of this.all(name)) {
      const text = entry.value ?? "";
      const colon = text.indexOf(":");
      if (colon <= 0) {
        this.reject(entry, `needs ACTION:ARGUMENT, such as exec:/bin/true, not "${text}"`);
        continue;
      }
      actions.push({
        action: text.slice(0, colon).trim(),
        argument: text.slice(colon + 1),
        origin: originOf(entry),
      });
    }
    return actions;
  }

  /** The occurrences of `exec-as-vassal` and the like, whose whole value is the argument of `action`. */
  actions(name: string, action: string): readonly HookAction[] {
    const actions: HookAction[] = [];
    for (const entry of this.all(name)) {
      const argument = entry.value ?? "";
      if (argument === "") this.reject(entry, "needs a value");
      else actions.push({ action, argument, origin: originOf(entry) });
    }
    return actions;
  }

  reject(entry: ConfigEntry, what: string): void {
    this.errors.push(
      new ConfigError("invalid-value", `option "${entry.key}" ${what}`, entry.origin),
    );
  }

  #parse<Value>(
    name: string,
    fallback: Value,
    parse: (entry: ConfigEntry) => Parsed<Value>,
  ): Value {
    const entry = this.last(name);
    if (entry === undefined) return fallback;
    const parsed = parse(entry);
    if (parsed.ok) return parsed.value;
    this.errors.push(parsed.error);
    return fallback;
  }
}

/** `hook-as-vassal (emperor.ini:12)`: for messages about what the value led to. */
export function originOf(entry: ConfigEntry): string {
  return `${entry.key} (${formatOrigin(entry.origin)})`;
}
