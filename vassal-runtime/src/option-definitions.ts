/**
 * How the parts of the option table are written down. Knows no option.
 */
import type { OptionDefinition } from "@emperor/config";

type Extra = Partial<Omit<OptionDefinition, "name" | "help" | "group" | "status">>;

/** An option with a value that is served. */
export function serve(
  group: string,
  name: string,
  help: string,
  extra: Extra = {},
): OptionDefinition {
  return {
    name,
    argument: "required",
    kind: "string",
    since: "2.0",
    ...extra,
    group,
    help,
    status: "supported",
  };
}

/** A flag that is served. */
export function flag(
  group: string,
  name: string,
  help: string,
  extra: Extra = {},
): OptionDefinition {
  return serve(group, name, help, { argument: "optional", kind: "flag", ...extra });
}
