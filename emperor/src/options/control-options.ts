/**
 * Options of the control socket. The table, and what becomes of its values.
 */
import type { OptionDefinition } from "@emperor/config";
import { resolve } from "node:path";
import { OURS, under } from "./define.ts";
import type { EntryReader } from "./entry-reader.ts";
import type { Settings } from "./settings.ts";

/** In tyrant mode every tenant may come and ask for what is theirs; else only administrators. */
const MODE = { tyrant: 0o666, plain: 0o600 } as const;

/** Fresh objects at each call, so that nothing of the table stays in memory once the options are read. */
export function controlOptions(): OptionDefinition[] {
  const { value } = under("Control", OURS);
  return [
    value(
      "emperor-control",
      "path",
      "PATH",
      "take orders on this unix socket: HTTP with JSON, for emperorctl",
    ),
    value(
      "emperor-control-mode",
      "octal",
      "MODE",
      "mode of the control socket; who may do what is decided by the user who connects",
      { default: "600, in tyrant mode 666" },
    ),
    value("emperor-control-owner", "string", "USER:GROUP", "owner of the control socket"),
  ];
}

/** @param base directory from which a relative path is meant */
export function buildControl(reader: EntryReader, base: string): Settings["control"] {
  const path = reader.text("emperor-control");
  const mode = reader.octal("emperor-control-mode");
  const owner = reader.text("emperor-control-owner");
  if (path === undefined) return undefined;
  const otherwise = reader.flag("emperor-tyrant") ? MODE.tyrant : MODE.plain;
  return { path: resolve(base, path), mode: mode ?? otherwise, owner };
}
