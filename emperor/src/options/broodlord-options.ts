/**
 * Options of the broodlord: how many reinforcements vassals may have. The table, and what becomes of its values.
 */
import type { OptionDefinition } from "@emperor/config";
import { OURS, under } from "./define.ts";
import type { EntryReader } from "./entry-reader.ts";
import type { BroodlordSettings } from "./settings.ts";

const GROUP = "Broodlord: reinforcements for vassals under load";
const DEFAULT_COOLDOWN_MS = 3000;

/** Fresh objects at each call, so that nothing of the table stays in memory once the options are read. */
export function broodlordOptions(): OptionDefinition[] {
  const { value } = under(GROUP);
  const ours = under(GROUP, OURS);
  return [
    value(
      "emperor-broodlord",
      "integer",
      "N",
      "most reinforcements (zergs) alive at one time, of all vassals together; 0: none",
      { default: "0" },
    ),
    ours.value(
      "emperor-broodlord-per-vassal",
      "integer",
      "N",
      "most zergs of one vassal (uWSGI: one may take them all)",
      { default: "emperor-broodlord" },
    ),
    ours.value(
      "emperor-broodlord-attr",
      "string",
      "NAME",
      "attribute of a vassal that holds the most zergs it wants, below the limits above",
      { aliases: ["emperor-broodlord-attribute"] },
    ),
    ours.value(
      "emperor-broodlord-cooldown",
      "seconds",
      "SECONDS",
      "after a zerg has left its vassal gets no other for so long; doubled, up to 60, while they leave soon",
      { default: "3" },
    ),
  ];
}

export function buildBroodlord(reader: EntryReader): BroodlordSettings {
  const most = reader.integer("emperor-broodlord", 0, { maximum: 100_000 });
  return {
    most,
    perVassal: reader.integer("emperor-broodlord-per-vassal", most, { maximum: 100_000 }),
    attribute: reader.text("emperor-broodlord-attr"),
    cooldownMs: reader.secondsMs("emperor-broodlord-cooldown", DEFAULT_COOLDOWN_MS),
  };
}
