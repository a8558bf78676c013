/**
 * The conditions and loops of the language: for one line of a block, how often it counts and with
 * which text for `%(_)`. Asks the machine, changes nothing.
 */
import { ConfigError } from "./errors.ts";
import { glob } from "./glob.ts";
import type { ConfigHost, MachineFacts } from "./host.ts";
import type { ConfigOrigin } from "./origin.ts";

/** `context` is the text for `%(_)`, undefined leaves it as it is. One turn per repetition. */
export interface Turn {
  readonly context: string | undefined;
}

export interface ConditionWorld {
  readonly host: ConfigHost;
  readonly facts: MachineFacts;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** First value of a key that is in the list so far. */
  firstValue(key: string): string | undefined;
  hasPlugin(name: string): boolean;
  readonly maxTurns: number;
  readonly maxBytes: number;
}

const NEVER: readonly Turn[] = [];

function when(holds: boolean, context: string | undefined): readonly Turn[] {
  return holds ? [{ context }] : NEVER;
}

/** `NAME` or `NAME=value` against what the name stands for. Blanks around `=` belong to both. */
function compare(
  argument: string,
  negated: boolean,
  valueOf: (name: string) => string | undefined,
): readonly Turn[] {
  const equals = argument.indexOf("=");
  const value = valueOf(equals < 0 ? argument : argument.slice(0, equals));
  const holds = value !== undefined && (equals < 0 || value === argument.slice(equals + 1));
  return when(holds !== negated, value);
}

function matchesHostname(pattern: string, hostname: string, origin: ConfigOrigin): boolean {
  try {
    return new RegExp(pattern).test(hostname);
  } catch (error) {
    throw new ConfigError(
      "bad-directive",
      `${JSON.stringify(pattern)} is no regular expression`,
      origin,
      { cause: error },
    );
  }
}

function limited(
  contexts: readonly string[],
  world: ConditionWorld,
  origin: ConfigOrigin,
): readonly Turn[] {
  if (contexts.length > world.maxTurns)
    throw new ConfigError("too-large", `more than ${world.maxTurns} repetitions`, origin);
  return contexts.map((context) => ({ context }));
}

function times(argument: string, world: ConditionWorld, origin: ConfigOrigin): readonly Turn[] {
  if (!/^\d{1,9}$/.test(argument))
    throw new ConfigError(
      "bad-directive",
      `for-times needs a number, not ${JSON.stringify(argument)}`,
      origin,
    );
  const count = Number(argument);
  if (count > world.maxTurns)
    throw new ConfigError("too-large", `more than ${world.maxTurns} repetitions`, origin);
  return Array.from({ length: count }, (_, index) => ({ context: String(index + 1) }));
}

function lines(path: string, world: ConditionWorld, origin: ConfigOrigin): readonly Turn[] {
  if (world.host.kindOf(path) === undefined) return NEVER;
  let text: string;
  try {
    text = Buffer.from(world.host.readFile(path, world.maxBytes)).toString("utf8");
  } catch (error) {
    throw new ConfigError(
      "unreadable",
      `cannot read the lines of ${JSON.stringify(path)}: ${String(error)}`,
      origin,
      { cause: error },
    );
  }
  const all = text.split("\n");
  if (all.at(-1) === "") all.pop();
  return limited(all, world, origin);
}

/** Names with `if-not-` and the aliases, brought to one spelling. */
function canonical(name: string): { readonly base: string; readonly negated: boolean } {
  const negated = name.startsWith("if-not-");
  const base = negated ? `if-${name.slice(7)}` : name;
  const aliases: Readonly<Record<string, string>> = {
    ifenv: "if-env",
    ifexists: "if-exists",
    ifdir: "if-dir",
    "if-directory": "if-dir",
    ifplugin: "if-plugin",
  };
  return { base: Object.hasOwn(aliases, base) ? (aliases[base] ?? base) : base, negated };
}

/**
 * Evaluates a logic option.
 * @param name as written, aliases too
 * @returns one turn per repetition, none when the line does not count
 * Throws ConfigError for an argument without a meaning.
 */
export function evaluateCondition(
  name: string,
  argument: string,
  world: ConditionWorld,
  origin: ConfigOrigin,
): readonly Turn[] {
  const { base, negated } = canonical(name);
  const { host, facts, environment } = world;
  switch (base) {
    case "for":
      return limited(
        argument.split(" ").filter((word) => word !== ""),
        world,
        origin,
      );
    case "for-glob": {
      const found = glob(argument, host, world.maxTurns);
      return limited(found.length === 0 ? [argument] : found, world, origin);
    }
    case "for-times":
      return times(argument, world, origin);
    case "for-readline":
      return lines(argument, world, origin);
    case "if-env":
      return compare(argument, negated, (variable) =>
        Object.hasOwn(environment, variable) ? environment[variable] : undefined,
      );
    case "if-opt":
      return compare(argument, negated, (key) => world.firstValue(key));
    case "if-exists":
      return when((argument !== "" && host.isReadable(argument)) !== negated, argument);
    case "if-file":
      return when((host.kindOf(argument) === "file") !== negated, argument);
    case "if-dir":
      return when((host.kindOf(argument) === "directory") !== negated, argument);
    case "if-plugin":
      return when(world.hasPlugin(argument) !== negated, argument);
    case "if-hostname":
      return when((facts.hostname === argument) !== negated, argument);
    case "if-hostname-match":
      return when(matchesHostname(argument, facts.hostname, origin) !== negated, argument);
    case "if-reload":
      return when("UWSGI_RELOADS" in environment !== negated, undefined);
    default:
      throw new ConfigError("bad-directive", `"${name}" is no condition`, origin);
  }
}
