/**
 * Arguments and environment as keys and values, in the forms that getopt_long knows. Executes
 * nothing and opens nothing.
 */
import { ENVIRONMENT } from "@emperor/protocol/environment";
import { ConfigError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import type { OptionDefinition, OptionTable } from "./options.ts";
import type { ConfigOrigin } from "./origin.ts";

export type Argument =
  | {
      readonly kind: "option";
      /** Full long name as the user meant it; an alias stays an alias. */
      readonly key: string;
      readonly value: string | undefined;
      readonly origin: ConfigOrigin;
    }
  | { readonly kind: "bare"; readonly text: string; readonly origin: ConfigOrigin };

export interface ParsedCommandLine {
  readonly arguments: readonly Argument[];
  readonly errors: readonly ConfigError[];
}

function at(index: number): ConfigOrigin {
  return { kind: "command-line", source: "command line", line: index + 1, section: "" };
}

class CommandLine {
  readonly found: Argument[] = [];
  readonly errors: ConfigError[] = [];
  readonly #argv: readonly string[];
  readonly #options: OptionTable;
  #index = 0;

  constructor(argv: readonly string[], options: OptionTable) {
    this.#argv = argv;
    this.#options = options;
  }

  parse(): void {
    for (; this.#index < this.#argv.length; this.#index += 1) {
      const text = this.#argv[this.#index] ?? "";
      if (text === "--") {
        this.#index += 1;
        break;
      }
      if (text.startsWith("--")) this.#long(text.slice(2));
      else if (text.startsWith("-") && text !== "-") this.#shorts(text.slice(1));
      else this.found.push({ kind: "bare", text, origin: at(this.#index) });
    }
    for (; this.#index < this.#argv.length; this.#index += 1) {
      this.found.push({
        kind: "bare",
        text: this.#argv[this.#index] ?? "",
        origin: at(this.#index),
      });
    }
  }

  #fail(code: "unknown-option" | "ambiguous-option" | "bad-argument", message: string): void {
    this.errors.push(new ConfigError(code, message, at(this.#index)));
  }

  /** The definition for a long name, abbreviated or not; undefined after an error was noted. */
  #find(name: string): { readonly key: string; readonly option: OptionDefinition } | undefined {
    const exact = this.#options.find(name);
    if (exact !== undefined) return { key: name, option: exact };
    const completions = name === "" ? [] : this.#options.completions(name);
    const options = new Set(completions.map((each) => this.#options.find(each)));
    const [option] = options;
    if (options.size === 1 && option !== undefined)
      return {
        key: option.name.startsWith(name) ? option.name : (completions[0] ?? option.name),
        option,
      };
    if (options.size > 1) {
      const shown = completions.slice(0, 6).map((each) => `--${each}`);
      this.#fail(
        "ambiguous-option",
        `option ${JSON.stringify(`--${name}`)} is ambiguous: ${shown.join(", ")}${completions.length > 6 ? "..." : ""}`,
      );
    } else {
      const near = nearest(name, this.#options.names);
      this.#fail(
        "unknown-option",
        `unrecognized option ${JSON.stringify(`--${name}`)}${near === undefined ? "" : `; did you mean "--${near}"?`}`,
      );
    }
    return undefined;
  }

  #long(text: string): void {
    const equals = text.indexOf("=");
    const origin = at(this.#index);
    const found = this.#find(equals < 0 ? text : text.slice(0, equals));
    if (found === undefined) return;
    const { key, option } = found;
    let value = equals < 0 ? undefined : text.slice(equals + 1);
    if (value !== undefined && option.argument === "none") {
      this.#fail("bad-argument", `option "--${key}" takes no value on the command line`);
      return;
    }
    if (value === undefined && option.argument === "required") {
      value = this.#next(`--${key}`, option);
      if (value === undefined) return;
    }
    this.found.push({ kind: "option", key, value, origin });
  }

  /** The following argument as a value. */
  #next(shown: string, option: OptionDefinition): string | undefined {
    const value = this.#argv[this.#index + 1];
    if (value === undefined)
      this.#fail(
        "bad-argument",
        `option "${shown}" needs a value${option.placeholder === undefined ? "" : ` (${option.placeholder})`}`,
      );
    else this.#index += 1;
    return value;
  }

  /** `-M`, `-p4`, `-p 4`, `-Mp 4`. */
  #shorts(letters: string): void {
    const origin = at(this.#index);
    for (let index = 0; index < letters.length; index += 1) {
      const letter = letters.charAt(index);
      const option = this.#options.findShort(letter);
      if (option === undefined) {
        this.#fail("unknown-option", `unrecognized option ${JSON.stringify(`-${letter}`)}`);
        return;
      }
      if (option.argument === "none") {
        this.found.push({ kind: "option", key: option.name, value: undefined, origin });
        continue;
      }
      const rest = letters.slice(index + 1);
      const value =
        rest === "" && option.argument === "required" ? this.#next(`-${letter}`, option) : rest;
      if (value !== undefined)
        this.found.push({
          kind: "option",
          key: option.name,
          value: option.argument === "optional" && value === "" ? undefined : value,
          origin,
        });
      return;
    }
  }
}

/**
 * Reads the arguments: `--opt value`, `--opt=value`, abbreviations that are unique, short options.
 * All mistakes are collected, so that they can be shown together.
 */
export function parseCommandLine(argv: readonly string[], options: OptionTable): ParsedCommandLine {
  const commandLine = new CommandLine(argv, options);
  commandLine.parse();
  return { arguments: commandLine.found, errors: commandLine.errors };
}

/** uWSGI's own variables, which are no options. */
const RESERVED: ReadonlySet<string> = new Set([
  ENVIRONMENT.reloads,
  ENVIRONMENT.vassalsDir,
  ENVIRONMENT.emperorFd,
  ENVIRONMENT.emperorFdConfig,
  ENVIRONMENT.emperorProxy,
  ENVIRONMENT.broodlordNum,
  ENVIRONMENT.jailPid,
  ENVIRONMENT.originalProcName,
]);

export interface EnvironmentKey {
  readonly key: string;
  readonly value: string;
  readonly origin: ConfigOrigin;
}

/** Every other `UWSGI_NAME=value` as the key `name`, lower case, `-` for `_`, in their order. */
export function environmentKeys(
  environment: Readonly<Record<string, string | undefined>>,
): readonly EnvironmentKey[] {
  const keys: EnvironmentKey[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || !name.startsWith(ENVIRONMENT.optionPrefix) || RESERVED.has(name))
      continue;
    const key = name.slice(ENVIRONMENT.optionPrefix.length).toLowerCase().replaceAll("_", "-");
    if (key !== "")
      keys.push({
        key,
        value,
        origin: { kind: "environment", source: name, line: 0, section: "" },
      });
  }
  return keys;
}
