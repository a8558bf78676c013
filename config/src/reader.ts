/**
 * What every format reader takes and gives. A reader turns one text into pairs of one section; it
 * opens nothing, executes nothing and knows no option.
 */
import type { ConfigWarningCode } from "./errors.ts";
import type { ConfigOrigin } from "./origin.ts";

export type ConfigFormat = "ini" | "xml" | "yaml" | "json";

export interface RawPair {
  readonly key: string;
  readonly value: string;
  /** Line in the text, from 1. */
  readonly line: number;
}

export interface ReaderContext {
  /** `uwsgi` when none was asked for. */
  readonly section: string;
  /** The section was named in the address: its absence is an error, not a warning. */
  readonly sectionGiven: boolean;
  /** Most pairs one text may give. */
  readonly maxPairs: number;
  /** Origin of a line, for errors. */
  at(line: number): ConfigOrigin;
  warn(code: ConfigWarningCode, line: number, message: string): void;
  /** Replaces the magic variables of a text that begins at `line`. */
  expand(text: string, line: number): string;
}

export const DEFAULT_SECTION = "uwsgi";

const SUFFIXES: Readonly<Record<string, ConfigFormat>> = {
  ini: "ini",
  xml: "xml",
  yaml: "yaml",
  yml: "yaml",
  json: "json",
  js: "json",
};

/** Format by the text behind the last dot; uWSGI looks at lower case only, we take `X.INI` too. */
export function formatOfName(name: string): ConfigFormat | undefined {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? undefined : SUFFIXES[name.slice(dot + 1).toLowerCase()];
}

/**
 * Format by the look of the text, for suffixes without one (`emperor-extra-extension`): the first
 * line that is no comment decides. uWSGI needs a plugin for each such suffix.
 */
export function formatOfContent(text: string): ConfigFormat {
  const line = text.split("\n").find((each) => !/^\s*(?:[#;]|$)/.test(each));
  const first = line?.trimStart() ?? "";
  if (first.startsWith("<")) return "xml";
  if (first.startsWith("{") || first.startsWith("/*") || first.startsWith("//")) return "json";
  return /^(?:---|[^\s=[\]]+:(?:\s|$))/.test(first) ? "yaml" : "ini";
}

/**
 * Reads a text. The parsers of xml and yaml are imported at their first use: an Emperor with an ini
 * file never pays for them.
 */
export async function readPairs(
  format: ConfigFormat,
  text: string,
  context: ReaderContext,
): Promise<readonly RawPair[]> {
  switch (format) {
    case "ini":
      return (await import("./ini.ts")).readIni(text, context);
    case "xml":
      return (await import("./xml.ts")).readXml(text, context);
    case "yaml":
      return (await import("./yaml.ts")).readYaml(text, context);
    case "json":
      return (await import("./json.ts")).readJson(text, context);
  }
}
