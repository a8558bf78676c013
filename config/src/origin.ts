/**
 * Where a value came from, and the pair that carries it. Knows nothing about how sources are read.
 */
import type { OptionDefinition } from "./options.ts";

export interface ConfigOrigin {
  readonly kind: "file" | "command-line" | "environment";
  /** Path or address as it was opened, `command line`, or the environment variable's name. */
  readonly source: string;
  /** Line in the file (from 1), number of the argument (from 1), 0 for the environment. */
  readonly line: number;
  /** Section of the file, `""` where there are none. */
  readonly section: string;
  /** The include, inherit, `set` or declared option that brought this pair in. */
  readonly via?: ConfigOrigin;
}

/** One pair of the ordered list that all sources feed. */
export interface ConfigEntry {
  /** As written; `option.name` is the canonical name of a known option. */
  readonly key: string;
  /** After substitution. `undefined`: a flag of the command line, which has no value at all. */
  readonly value: string | undefined;
  readonly origin: ConfigOrigin;
  /** The known option that the key names; without it the pair is a placeholder only. */
  readonly option?: OptionDefinition;
  /** Defined by `set-placeholder`: never applied, and allowed in strict mode. */
  readonly placeholder?: boolean;
}

/**
 * `/etc/emperor.ini:12`, `argument 3 of the command line`, `the environment variable UWSGI_X`, with
 * at most `viaDepth` includes that led there.
 */
export function formatOrigin(origin: ConfigOrigin, viaDepth = 3): string {
  const more = viaDepth > 0 && origin.via !== undefined;
  const via = more ? `, by ${formatOrigin(origin.via, viaDepth - 1)}` : "";
  switch (origin.kind) {
    case "file":
      return `${origin.line > 0 ? `${origin.source}:${origin.line}` : origin.source}${via}`;
    case "command-line":
      return `argument ${origin.line} of the command line${via}`;
    case "environment":
      return `the environment variable ${origin.source}${via}`;
  }
}
