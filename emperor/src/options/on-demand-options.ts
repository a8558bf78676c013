/**
 * Options of vassals that wait for their first connection. The table, and what becomes of its values.
 */
import type { OptionDefinition } from "@emperor/config";
import { resolve } from "node:path";
import { OURS, under } from "./define.ts";
import type { EntryReader } from "./entry-reader.ts";
import type { OnDemandSettings } from "./settings.ts";

const GROUP = "On-demand vassals";
/** uWSGI's is 0666: anybody on the machine may wake any vassal and speak to it. */
const DEFAULT_MODE = 0o660;

/** Fresh objects at each call, so that nothing of the table stays in memory once the options are read. */
export function onDemandOptions(): OptionDefinition[] {
  const { value } = under(GROUP);
  const ours = under(GROUP, OURS);
  const { hook } = under(GROUP, "2.1");
  return [
    value(
      "emperor-on-demand-extension",
      "string",
      "SUFFIX",
      "file NAME+SUFFIX holds the addresses of the vassal's sockets, one a line",
      { aliases: ["emperor-on-demand-ext"] },
    ),
    value(
      "emperor-on-demand-directory",
      "path",
      "DIRECTORY",
      "sockets of on-demand vassals are made in this directory, as NAME.socket",
      { aliases: ["emperor-on-demand-dir"] },
    ),
    value(
      "emperor-on-demand-exec",
      "string",
      "PROGRAM",
      "this program, called with the vassal's name, prints the addresses of its sockets",
    ),
    ours.value(
      "emperor-on-demand-attr",
      "string",
      "NAME",
      "attribute of a vassal that holds the address of its socket; several times for several",
      { aliases: ["emperor-on-demand-attribute"] },
    ),
    ours.value(
      "emperor-on-demand-idle",
      "seconds",
      "SECONDS",
      "put a vassal back to sleep when nobody was connected for so long; 0: only when it asks for it",
      { default: "0" },
    ),
    ours.value(
      "emperor-on-demand-mode",
      "octal",
      "MODE",
      "mode of unix sockets of on-demand vassals (uWSGI: 666)",
      { default: "660" },
    ),
    ours.value(
      "emperor-on-demand-owner",
      "string",
      "USER:GROUP",
      "owner of unix sockets of on-demand vassals; default: the Emperor, in tyrant mode the vassal's user",
    ),
    ours.value(
      "emperor-on-demand-backlog",
      "integer",
      "N",
      "connections that may wait at the socket of an on-demand vassal",
      { default: "listen" },
    ),
    hook(
      "hook-as-on-demand-vassal",
      "ACTION:ARGUMENT",
      "the Emperor does this when a vassal begins to wait for a connection",
    ),
    hook(
      "hook-as-on-config-vassal",
      "ACTION:ARGUMENT",
      "the Emperor does this when the config of a waiting vassal changed",
    ),
  ];
}

/** @param base directory from which a relative one is meant; `backlog`: that of `listen` */
export function buildOnDemand(
  reader: EntryReader,
  base: string,
  backlog: number,
): OnDemandSettings {
  const directory = reader.text("emperor-on-demand-directory");
  return {
    extension: reader.text("emperor-on-demand-extension"),
    directory: directory === undefined ? undefined : resolve(base, directory),
    exec: reader.text("emperor-on-demand-exec"),
    attribute: reader.text("emperor-on-demand-attr"),
    idleMs: reader.secondsMs("emperor-on-demand-idle", 0),
    mode: reader.octal("emperor-on-demand-mode") ?? DEFAULT_MODE,
    owner: reader.text("emperor-on-demand-owner"),
    backlog: reader.integer("emperor-on-demand-backlog", backlog, { minimum: 1 }),
  };
}
