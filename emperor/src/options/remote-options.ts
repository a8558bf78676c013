/**
 * Options of remote monitors: databases, brokers, packages of others. The table, and what becomes of
 * it; uWSGI has none of them.
 */
import { hostname } from "node:os";
import type { OptionDefinition } from "@emperor/config";
import { OURS, under } from "./define.ts";
import type { EntryReader } from "./entry-reader.ts";
import type { Settings } from "./settings.ts";

/** Fresh objects at each call, so that nothing of the table stays in memory once the options are read. */
export function remoteOptions(): OptionDefinition[] {
  const { list, value } = under("Databases, brokers and other remote sources", OURS);
  return [
    value("emperor-node", "string", "NAME", "name of this Emperor in queries and filters", {
      default: "the name of the host",
    }),
    value(
      "emperor-max-vassals",
      "integer",
      "N",
      "most vassals that one remote source may ask for",
      {
        default: "20000",
      },
    ),
    value(
      "emperor-max-config-size",
      "integer",
      "BYTES",
      "largest config that a remote source may give",
      { default: "65535" },
    ),
    value(
      "emperor-max-changes",
      "integer",
      "N",
      "changes of known vassals that one remote source may cause per second; the others wait",
      { default: "1000" },
    ),
    value(
      "emperor-source-timeout",
      "seconds",
      "SECONDS",
      "a server that is asked and is silent for so long is taken for lost",
      { default: "30" },
    ),
    value(
      "emperor-pg-channel",
      "string",
      "NAME",
      "channel on which PostgreSQL tells of changes; none: only look",
      { default: "emperor_vassals" },
    ),
    list(
      "imperial-monitor",
      "PACKAGE",
      "load the monitor of this npm package: a name, or the path of a file",
    ),
  ];
}

export type RemoteSettings = Pick<Settings, "remote" | "monitorPackages">;

export function buildRemote(reader: EntryReader): RemoteSettings {
  const channel = reader.text("emperor-pg-channel") ?? "emperor_vassals";
  return {
    remote: {
      node: reader.text("emperor-node") ?? hostname(),
      maxVassals: reader.integer("emperor-max-vassals", 20_000, { minimum: 1, maximum: 1_000_000 }),
      maxConfigBytes: reader.integer("emperor-max-config-size", 65_535, {
        minimum: 1,
        maximum: 65_535,
      }),
      maxChangesPerSecond: reader.integer("emperor-max-changes", 1000, {
        minimum: 1,
        maximum: 1_000_000,
      }),
      answerTimeoutMs: Math.max(100, reader.secondsMs("emperor-source-timeout", 30_000)),
      pgChannel: channel === "none" ? "" : channel,
    },
    monitorPackages: reader.list("imperial-monitor"),
  };
}
