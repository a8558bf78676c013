/**
 * The one option table of the `emperor` command: what is parsed, what `--help` prints, what
 * docs/options.md is made from. The options of the configuration language itself come from `config`.
 */
import { createOptionTable, type OptionDefinition, type OptionTable } from "@emperor/config";
import { broodlordOptions } from "./broodlord-options.ts";
import { controlOptions } from "./control-options.ts";
import { governingOptions } from "./governing-options.ts";
import { ignoredOptions } from "./ignored-options.ts";
import { laterOptions } from "./later-options.ts";
import { onDemandOptions } from "./on-demand-options.ts";
import { processOptions } from "./process-options.ts";
import { remoteOptions } from "./remote-options.ts";
import { vassalOptions } from "./vassal-options.ts";

/** Every option that is ours to know, without the configuration language's, in the order of the help. */
export function emperorOptions(): OptionDefinition[] {
  return [
    ...governingOptions(),
    ...vassalOptions(),
    ...onDemandOptions(),
    ...broodlordOptions(),
    ...controlOptions(),
    ...remoteOptions(),
    ...processOptions(),
    ...laterOptions(),
    ...ignoredOptions(),
  ];
}

/**
 * The table, built anew at each call: it is needed while the options are read, and with its thousand
 * definitions not worth keeping afterwards.
 */
export function emperorOptionTable(): OptionTable {
  return createOptionTable(emperorOptions());
}
