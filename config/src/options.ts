/**
 * What an option is: the type of an option table and its lookups. The options of the Emperor and of
 * the runtime are theirs; the language's own (`ini`, `include`, `set`, `if-env`...) are in
 * `language-options.ts` and part of every table.
 */
import { LANGUAGE_OPTIONS } from "./language-options.ts";

export type OptionArgument = "none" | "required" | "optional";

/** How the value is read; `values.ts` has a parser for each that needs one. */
export type OptionKind =
  | "flag"
  | "integer"
  | "octal"
  | "size"
  | "seconds"
  | "string"
  | "path"
  | "address"
  | "list"
  | "user"
  | "group"
  | "namespaces"
  | "capabilities"
  | "hook"
  | "directive";

export interface OptionDefinition {
  /** Canonical long name without dashes in front. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One character. */
  readonly short?: string;
  readonly argument: OptionArgument;
  readonly kind: OptionKind;
  /** Every occurrence counts, in order; otherwise the last one wins. Kind `list` implies it. */
  readonly repeatable?: boolean;
  /** What the value is called in the help: `SECONDS`, `PATH`. */
  readonly placeholder?: string;
  readonly default?: string;
  readonly help: string;
  /** `2.0`, `2.1` (uWSGI's) or the version of ours that brought it. */
  readonly since: string;
  /** Heading in the help. */
  readonly group: string;
  /** `ignored`: known from uWSGI, accepted without effect. `later`: known, refused until it exists. */
  readonly status: "supported" | "ignored" | "later";
  /** Why it is ignored, or what to use instead. */
  readonly reason?: string;
}

export interface OptionTable {
  /** All definitions, the language's first, then the caller's in their order. */
  readonly definitions: readonly OptionDefinition[];
  /** Exact name or alias: no case folding, no `_` for `-`, as in uWSGI. */
  find(name: string): OptionDefinition | undefined;
  findShort(letter: string): OptionDefinition | undefined;
  /** Long names (aliases too) that begin with the text, for abbreviations on the command line. */
  completions(prefix: string): readonly string[];
  /** Every long name and alias. */
  readonly names: readonly string[];
}

/**
 * Builds a table. The language's own options need not be given. Throws a plain Error for two
 * definitions of one name: that is a defect of the table, not of a config.
 */
export function createOptionTable(definitions: readonly OptionDefinition[]): OptionTable {
  const all = [...LANGUAGE_OPTIONS, ...definitions];
  const byName = new Map<string, OptionDefinition>();
  const byShort = new Map<string, OptionDefinition>();
  for (const definition of all) {
    for (const name of [definition.name, ...(definition.aliases ?? [])]) {
      if (byName.has(name)) throw new Error(`option table: "${name}" is defined twice`);
      byName.set(name, definition);
    }
    if (definition.short !== undefined) {
      if (byShort.has(definition.short))
        throw new Error(`option table: "-${definition.short}" is defined twice`);
      byShort.set(definition.short, definition);
    }
  }
  const names = [...byName.keys()];
  return {
    definitions: all,
    names,
    find: (name) => byName.get(name),
    findShort: (letter) => byShort.get(letter),
    completions: (prefix) => names.filter((name) => name.startsWith(prefix)),
  };
}
