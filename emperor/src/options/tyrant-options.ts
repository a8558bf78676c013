/**
 * Options of Tyrant mode that uWSGI does not have, and what vassals inherit of the Emperor's
 * environment: the table and the settings made from it. Reads nothing itself.
 */
import type { OptionDefinition } from "@emperor/config";
import { OURS, under } from "./define.ts";
import type { EntryReader } from "./entry-reader.ts";
import type { Settings } from "./settings.ts";

/** The largest id; (uid_t)-1 means "leave it as it is" to the kernel. */
const LAST_ID = 0xffff_fffe;

const ENVIRONMENT_MODES = ["auto", "clean", "inherit"] as const;

/** Who may be a vassal's user, and which configs are trusted to say so. */
export interface TyrantRules {
  /** Vassals get all groups of their user, who must be a member of the config's own. */
  readonly groups: boolean;
  readonly uidMin: number;
  readonly uidMax: number;
  /** Names or numbers, as written; empty: everybody. */
  readonly allowUsers: readonly string[];
  readonly denyUsers: readonly string[];
  /** Permission bits that let others write the config or its directory are accepted. */
  readonly allowWritable: boolean;
}

export type TyrantSettings = Pick<Settings, "tyrantRules" | "environmentMode" | "environmentKeep">;

export function tyrantOptions(): OptionDefinition[] {
  const { flag, list, value } = under("Tyrant mode and isolation", OURS);
  return [
    flag(
      "emperor-tyrant-groups",
      "in tyrant mode give vassals every group of their user, who must be in the group of the config",
    ),
    value(
      "emperor-tyrant-uid-min",
      "integer",
      "UID",
      "in tyrant mode no vassal runs as a user below",
      {
        default: "1",
      },
    ),
    value(
      "emperor-tyrant-uid-max",
      "integer",
      "UID",
      "in tyrant mode no vassal runs as a user above",
      {
        default: String(LAST_ID),
      },
    ),
    list(
      "emperor-tyrant-allow-user",
      "USERS",
      "in tyrant mode only these users have vassals: a comma list of names or ids",
    ),
    list(
      "emperor-tyrant-deny-user",
      "USERS",
      "in tyrant mode these users have no vassals: a comma list of names or ids",
    ),
    flag(
      "emperor-tyrant-allow-writable",
      "in tyrant mode accept configs and directories that group or others may write",
    ),
    value(
      "vassal-env",
      "string",
      "auto|clean|inherit",
      "whether vassals inherit the Emperor's environment; auto: not in tyrant mode, unless emperor-wrapper is given",
      { default: "auto", aliases: ["vassals-env"] },
    ),
    list(
      "vassal-env-keep",
      "NAMES",
      "variables that are handed down where the environment is not: a comma list, NAME or PREFIX*",
      { aliases: ["vassals-env-keep"] },
    ),
  ];
}

function commaList(reader: EntryReader, name: string): readonly string[] {
  return reader
    .list(name)
    .flatMap((text) => text.split(/[\s,]+/))
    .filter((word) => word !== "");
}

export function buildTyrant(reader: EntryReader): TyrantSettings {
  const uidMin = reader.integer("emperor-tyrant-uid-min", 1, { maximum: LAST_ID });
  const uidMax = reader.integer("emperor-tyrant-uid-max", LAST_ID, { maximum: LAST_ID });
  const last = reader.last("emperor-tyrant-uid-max");
  if (uidMin > uidMax && last !== undefined) {
    reader.reject(last, `is below emperor-tyrant-uid-min (${uidMin}): nobody could have a vassal`);
  }
  for (const entry of reader.all("vassal-env-keep")) {
    const bad = (entry.value ?? "").split(/[\s,]+/).find((word) => !/^[^=*]*\*?$/.test(word));
    if (bad !== undefined) reader.reject(entry, `needs names or PREFIX*, not "${bad}"`);
  }
  return {
    tyrantRules: {
      groups: reader.flag("emperor-tyrant-groups"),
      uidMin,
      uidMax,
      allowUsers: commaList(reader, "emperor-tyrant-allow-user"),
      denyUsers: commaList(reader, "emperor-tyrant-deny-user"),
      allowWritable: reader.flag("emperor-tyrant-allow-writable"),
    },
    environmentMode: reader.choice("vassal-env", ENVIRONMENT_MODES, "auto"),
    environmentKeep: commaList(reader, "vassal-env-keep"),
  };
}
