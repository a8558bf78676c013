/** The options of the log's place. Table and meaning; pure. */
import { parseText } from "@emperor/config";
import type { OptionDefinition } from "@emperor/config";
import { serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";

export interface LogSettings {
  /** File for all output, opened before the user changes. */
  readonly early: string | undefined;
  /** The same, opened after it. */
  readonly late: string | undefined;
}

/** Their part of the option table. */
export const LOG_OPTIONS: readonly OptionDefinition[] = [
  serve("Log", "logto", "append all output to this file, opened before uid is changed", {
    kind: "path",
    placeholder: "FILE",
  }),
  serve("Log", "logto2", "the same, opened after that", { kind: "path", placeholder: "FILE" }),
];

/** Reads them; mistakes are noted in the reader. */
export function readLog(reader: SettingsReader): LogSettings {
  return {
    early: reader.take("logto", (entry) => parseText(entry, "a file")),
    late: reader.take("logto2", (entry) => parseText(entry, "a file")),
  };
}
