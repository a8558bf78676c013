/**
 * The options that belong to the configuration language itself: they are executed while sources are
 * read, whatever program the table is for. Every option table contains them.
 */
import type { OptionDefinition, OptionKind } from "./options.ts";

/** What the loader does when it meets one of these options. */
export type Directive =
  | { readonly do: "file"; readonly format: "ini" | "xml" | "yaml" | "json" | "by-content" }
  | { readonly do: "include" | "inherit" }
  | { readonly do: "set" | "set-placeholder" | "declare-option" }
  | { readonly do: "strict" | "print" | "iprint" | "exit" | "get" }
  | { readonly do: "inject"; readonly where: "before" | "after" }
  | { readonly do: "blacklist" | "whitelist" | "end-list" }
  | { readonly do: "logic" | "end-logic" | "else" }
  | { readonly do: "ienv" | "early-envdir" | "resolve" }
  /** Said by the program that has read everything. */
  | { readonly do: "strict-placeholders" | "show" }
  | { readonly do: "unavailable" };

const GROUP_FILES = "Configuration files";
const GROUP_LANGUAGE = "Configuration language";
const GROUP_LOGIC = "Configuration logic";

const directives = new Map<string, Directive>();
const definitions: OptionDefinition[] = [];

interface Extra {
  readonly aliases?: readonly string[];
  readonly argument?: OptionDefinition["argument"];
  readonly placeholder?: string;
  readonly since?: string;
  readonly group?: string;
  readonly kind?: OptionKind;
  readonly short?: string;
}

function define(name: string, directive: Directive, help: string, extra: Extra = {}): void {
  const {
    aliases,
    argument = "required",
    placeholder,
    since = "2.0",
    group = GROUP_LANGUAGE,
    kind = "directive",
    short,
  } = extra;
  const unavailable = directive.do === "unavailable";
  definitions.push({
    name,
    ...(aliases === undefined ? {} : { aliases }),
    ...(short === undefined ? {} : { short }),
    argument,
    kind,
    repeatable: true,
    ...(placeholder === undefined ? {} : { placeholder }),
    help,
    since,
    group,
    status: unavailable ? "later" : "supported",
    ...(unavailable ? { reason: "not available in this version" } : {}),
  });
  for (const each of [name, ...(aliases ?? [])]) directives.set(each, directive);
}

const file = { placeholder: "FILE[:SECTION]", group: GROUP_FILES } as const;
define("ini", { do: "file", format: "ini" }, "read an ini file", file);
define("xml", { do: "file", format: "xml" }, "read an xml file", {
  ...file,
  aliases: ["xmlconfig"],
  short: "x",
});
define("yaml", { do: "file", format: "yaml" }, "read a yaml file", {
  ...file,
  aliases: ["yml"],
  short: "y",
});
define("json", { do: "file", format: "json" }, "read a json file", {
  ...file,
  aliases: ["js"],
  short: "j",
});
define(
  "config",
  { do: "file", format: "by-content" },
  "read a file in the format of its suffix, else of its content",
  file,
);
define("include", { do: "include" }, "read a file at this place", file);
define("inherit", { do: "inherit" }, "read a file after everything else", file);
define("sqlite3", { do: "unavailable" }, "read a table of an SQLite database", {
  ...file,
  aliases: ["sqlite"],
});
define(
  "inject-before",
  { do: "inject", where: "before" },
  "put this file's text before every file read later",
  { placeholder: "FILE", group: GROUP_FILES },
);
define(
  "inject-after",
  { do: "inject", where: "after" },
  "put this file's text after every file read later",
  { placeholder: "FILE", group: GROUP_FILES },
);

define("set", { do: "set" }, "set an option or a placeholder", {
  placeholder: "KEY=VALUE",
  short: "S",
});
define("set-placeholder", { do: "set-placeholder" }, "set a placeholder, never an option", {
  placeholder: "KEY=VALUE",
  aliases: ["set-ph"],
});
define("declare-option", { do: "declare-option" }, "declare an option that expands to others", {
  placeholder: "NAME=K=$1;K=$2",
  aliases: ["declare-option2"],
});
define("strict", { do: "strict" }, "an unknown key is an error", { argument: "none" });
define(
  "strict-placeholders",
  { do: "strict-placeholders" },
  "a placeholder or variable that is not defined is an error",
  { argument: "none", since: "0.1" },
);
define("blacklist", { do: "blacklist" }, "forbid these options until end-blacklist", {
  placeholder: "NAMES",
});
define("whitelist", { do: "whitelist" }, "allow only these options until end-whitelist", {
  placeholder: "NAMES",
});
define("end-blacklist", { do: "end-list" }, "end of a blacklist", { argument: "none" });
define("end-whitelist", { do: "end-list" }, "end of a whitelist", { argument: "none" });
define("print", { do: "print" }, "print a text", { placeholder: "TEXT" });
define("iprint", { do: "iprint" }, "print a text at once, while reading", { placeholder: "TEXT" });
define("exit", { do: "exit" }, "exit while reading", { argument: "optional", placeholder: "CODE" });
define("get", { do: "get" }, "print the first value of a key and exit", { placeholder: "KEY" });

define(
  "show-config",
  { do: "show" },
  "write the configuration into the log, as it was understood",
  {
    argument: "none",
  },
);
define("show-origin", { do: "show" }, "print file and line of every value, and exit", {
  argument: "none",
  since: "0.1",
});
define("ienv", { do: "ienv" }, "set an environment variable while reading", {
  placeholder: "NAME=VALUE",
  since: "2.1",
});
define(
  "early-envdir",
  { do: "early-envdir" },
  "take environment variables from the files of a directory, while reading",
  { placeholder: "DIRECTORY" },
);
define("resolve", { do: "resolve" }, "set a placeholder to the address of a host", {
  placeholder: "KEY=HOST",
});

const CONDITIONS: readonly [name: string, help: string, aliases?: readonly string[]][] = [
  ["if-env", "the environment variable is set (equal)", ["ifenv"]],
  ["if-not-env", "the environment variable is not set (different)"],
  ["if-opt", "the key is set before (equal)"],
  ["if-not-opt", "the key is not set before (different)"],
  ["if-exists", "the path exists", ["ifexists"]],
  ["if-not-exists", "the path does not exist"],
  ["if-file", "the path is a regular file"],
  ["if-not-file", "the path is no regular file"],
  ["if-dir", "the path is a directory", ["ifdir", "if-directory"]],
  ["if-not-dir", "the path is no directory"],
  ["if-plugin", "the feature is present", ["ifplugin"]],
  ["if-not-plugin", "the feature is absent"],
  ["if-hostname", "the host name is equal"],
  ["if-not-hostname", "the host name differs"],
  ["if-hostname-match", "the host name matches the regular expression"],
  ["if-not-hostname-match", "the host name does not match"],
  ["if-reload", "this is a reload"],
  ["if-not-reload", "this is the first start"],
];
for (const [name, what, aliases] of CONDITIONS) {
  define(name, { do: "logic" }, `the lines up to the end count if ${what}`, {
    group: GROUP_LOGIC,
    ...(aliases === undefined ? {} : { aliases }),
    ...(name.endsWith("-reload") ? { argument: "optional" as const } : {}),
  });
}
define("for", { do: "logic" }, "repeat the lines up to the end per word", {
  group: GROUP_LOGIC,
  placeholder: "WORDS",
});
define("for-glob", { do: "logic" }, "repeat the lines up to the end per matching path", {
  group: GROUP_LOGIC,
  placeholder: "PATTERN",
});
define("for-times", { do: "logic" }, "repeat the lines up to the end N times", {
  group: GROUP_LOGIC,
  placeholder: "N",
});
define("for-readline", { do: "logic" }, "repeat the lines up to the end per line of a file", {
  group: GROUP_LOGIC,
  placeholder: "FILE",
});
define("else", { do: "else" }, "the lines up to the end count if the condition fails", {
  group: GROUP_LOGIC,
  argument: "none",
  since: "2.1",
});
define("endif", { do: "end-logic" }, "end of a block", {
  group: GROUP_LOGIC,
  argument: "none",
  aliases: ["end-if", "endfor", "end-for"],
});

/** Definitions for the option table, in the order in which the help shows them. */
export const LANGUAGE_OPTIONS: readonly OptionDefinition[] = definitions;

/** What the loader does for this key, `undefined` for an ordinary option. */
export function findDirective(key: string): Directive | undefined {
  return directives.get(key);
}
