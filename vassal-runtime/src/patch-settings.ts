/**
 * The options that replace the runtime by another program: `privileged-binary-patch` and its relatives. Table and
 * meaning; pure.
 */
import { formatOrigin } from "@emperor/config";
import type { OptionDefinition } from "@emperor/config";
import { serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";

export interface PatchSetting {
  readonly option: string;
  /** A program that gets the arguments of the runtime, or a line for the shell. */
  readonly kind: "program" | "line";
  readonly text: string;
  readonly origin: string;
}

/** The first one of each that is set; as in uWSGI nothing comes after it. */
export interface PatchSettings {
  readonly privileged: PatchSetting | undefined;
  readonly unprivileged: PatchSetting | undefined;
}

const GROUP = "Application";

/** Their part of the option table. */
export const PATCH_OPTIONS: readonly OptionDefinition[] = (
  [
    ["privileged", "before uid is changed"],
    ["unprivileged", "after uid was changed"],
  ] as const
).flatMap(([who, when]) => [
  serve(GROUP, `${who}-binary-patch`, `become this program, ${when}, with the same arguments`, {
    kind: "path",
    placeholder: "PROGRAM",
  }),
  serve(GROUP, `${who}-binary-patch-arg`, "the same: a line for the shell", {
    placeholder: "LINE",
  }),
]);

/** Reads them; undefined when none is set. Mistakes are noted in the reader. */
export function readPatches(reader: SettingsReader): PatchSettings | undefined {
  const one = (option: string, kind: PatchSetting["kind"]): PatchSetting | undefined => {
    const entry = reader.last(option);
    if (entry === undefined) return undefined;
    const text = (entry.value ?? "").trim();
    if (text !== "" && !text.includes("\0"))
      return { option, kind, text, origin: formatOrigin(entry.origin) };
    reader.fail("VASSAL_CONFIG", entry, `option "${entry.key}": it names no program`);
    return undefined;
  };
  const pair = (who: string): PatchSetting | undefined =>
    one(`${who}-binary-patch`, "program") ?? one(`${who}-binary-patch-arg`, "line");
  const patches = { privileged: pair("privileged"), unprivileged: pair("unprivileged") };
  return (patches.privileged ?? patches.unprivileged) === undefined ? undefined : patches;
}
