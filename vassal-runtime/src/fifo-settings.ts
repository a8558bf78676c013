/** The options of the master FIFO. Table and meaning; pure. */
import { allEntries } from "@emperor/config";
import type { OptionDefinition } from "@emperor/config";
import { serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";

const MOST_SLOTS = 10;

/** Their part of the option table. */
export const FIFO_OPTIONS: readonly OptionDefinition[] = [
  serve("Control", "master-fifo", "take commands of one character from this FIFO; up to ten", {
    kind: "list",
    repeatable: true,
    placeholder: "FILE",
  }),
];

/** The paths of the slots, from 0; mistakes are noted in the reader. */
export function readFifos(reader: SettingsReader): readonly string[] {
  const entries = allEntries(reader.entries, "master-fifo");
  for (const [slot, entry] of entries.entries()) {
    const reason =
      slot >= MOST_SLOTS
        ? "there are ten slots, 0 to 9"
        : (entry.value ?? "").trim() === ""
          ? "it names no file"
          : undefined;
    if (reason !== undefined)
      reader.fail("VASSAL_CONFIG", entry, `option "master-fifo": ${reason}`);
  }
  return entries.map((entry) => (entry.value ?? "").trim());
}
