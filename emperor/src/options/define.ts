/**
 * A short way to write option definitions, so that the tables read as tables. Owns no option itself.
 */
import type { OptionDefinition, OptionKind } from "@emperor/config";

export type Extra = Partial<
  Pick<
    OptionDefinition,
    "aliases" | "short" | "default" | "since" | "repeatable" | "argument" | "status" | "reason"
  >
>;

export interface Definer {
  /** Present means on. */
  readonly flag: (name: string, help: string, extra?: Extra) => OptionDefinition;
  /** Needs a value; the last one wins. */
  readonly value: (
    name: string,
    kind: OptionKind,
    placeholder: string,
    help: string,
    extra?: Extra,
  ) => OptionDefinition;
  /** Needs a value; every one counts, in order. */
  readonly list: (
    name: string,
    placeholder: string,
    help: string,
    extra?: Extra,
  ) => OptionDefinition;
  /** A hook: a list of `ACTION:ARGUMENT`. */
  readonly hook: (
    name: string,
    placeholder: string,
    help: string,
    extra?: Extra,
  ) => OptionDefinition;
}

/** The version of ours that brought an option that uWSGI does not have. */
export const OURS = "0.1";

/** Definitions under one heading. `since` is uWSGI's version unless the definition says otherwise. */
export function under(group: string, since = "2.0"): Definer {
  const make = (
    name: string,
    help: string,
    shape: Pick<OptionDefinition, "argument" | "kind"> & { readonly placeholder?: string },
    extra: Extra = {},
  ): OptionDefinition => ({ name, help, since, group, status: "supported", ...shape, ...extra });
  return {
    flag: (name, help, extra) => make(name, help, { argument: "none", kind: "flag" }, extra),
    value: (name, kind, placeholder, help, extra) =>
      make(name, help, { argument: "required", kind, placeholder }, extra),
    list: (name, placeholder, help, extra) =>
      make(name, help, { argument: "required", kind: "list", placeholder }, extra),
    hook: (name, placeholder, help, extra) =>
      make(
        name,
        help,
        { argument: "required", kind: "hook", placeholder },
        { repeatable: true, ...extra },
      ),
  };
}
