/** The options of the stats server. Table and meaning; pure. */
import { formatOrigin, parseFlag } from "@emperor/config";
import type { OptionDefinition } from "@emperor/config";
import { parseAddress } from "./address.ts";
import type { ListenAddress } from "./address.ts";
import { flag, serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";

export interface StatsSettings {
  readonly text: string;
  readonly address: ListenAddress;
  readonly http: boolean;
  readonly minified: boolean;
  readonly origin: string;
}

const GROUP = "Statistics";

/** Their part of the option table. */
export const STATS_OPTIONS: readonly OptionDefinition[] = [
  serve(GROUP, "stats", "send statistics as JSON to each connection at this address", {
    aliases: ["stats-server"],
    kind: "address",
    placeholder: "HOST:PORT | PATH | @NAME",
  }),
  flag(GROUP, "stats-http", "the same as an answer of HTTP"),
  flag(GROUP, "stats-minified", "without blanks and line breaks"),
];

/** Undefined without a `stats`; mistakes are noted in the reader. */
export function readStats(reader: SettingsReader): StatsSettings | undefined {
  const entry = reader.last("stats");
  if (entry === undefined) return undefined;
  const text = entry.value?.trim() ?? "";
  const parsed = parseAddress(text);
  if (!parsed.ok) {
    reader.fail(
      "VASSAL_CONFIG",
      entry,
      `option "${entry.key}" has no address in ${JSON.stringify(text)}: ${parsed.reason}`,
    );
    return undefined;
  }
  const isOn = (name: string): boolean => {
    const found = reader.last(name);
    return found !== undefined && parseFlag(found.value);
  };
  return {
    text,
    address: parsed.address,
    http: isOn("stats-http"),
    minified: isOn("stats-minified"),
    origin: formatOrigin(entry.origin),
  };
}
