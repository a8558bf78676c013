/**
 * Executes the sources into one ordered list of pairs: file options, `set`, lists of forbidden
 * options, declared options, blocks. It knows the language's options and no other; substitution and
 * what follows from the list are in `load.ts`.
 */
import { newScope, turnsOfLine } from "./blocks.ts";
import type { Scope } from "./blocks.ts";
import type { ConditionWorld } from "./conditions.ts";
import { Documents } from "./documents.ts";
import type { DocumentRequest } from "./documents.ts";
import { ConfigError } from "./errors.ts";
import type { ConfigWarning, ConfigWarningCode } from "./errors.ts";
import type { EnvironmentChange } from "./environment-changes.ts";
import type { ConfigHost, MachineFacts } from "./host.ts";
import { findDirective } from "./language-options.ts";
import type { Directive } from "./language-options.ts";
import type { ConfigLimits } from "./load-types.ts";
import type { OptionTable } from "./options.ts";
import { formatOrigin } from "./origin.ts";
import type { ConfigEntry, ConfigOrigin } from "./origin.ts";
import type { SourceReader } from "./sources.ts";
import { parseFlag } from "./values.ts";

/** `exit` was met: reading ends here. Not a failure, but it leaves by the same door. */
export class ExitRequest extends Error {
  override readonly name = "ExitRequest";
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

export interface LoaderWorld {
  readonly options: OptionTable;
  readonly host: ConfigHost;
  readonly facts: MachineFacts;
  /** A copy of the program's: `ienv` and `early-envdir` change it while reading. */
  readonly environment: Record<string, string | undefined>;
  resolveName(name: string): Promise<string>;
  readonly sources: SourceReader;
  readonly limits: ConfigLimits;
  hasPlugin(name: string): boolean;
}

/** A pair on its way into the list. */
interface Pair {
  readonly key: string;
  readonly value: string | undefined;
  readonly origin: ConfigOrigin;
}

interface RestrictedNames {
  readonly by: "blacklist" | "whitelist";
  readonly names: ReadonlySet<string>;
}

export class Loader {
  readonly entries: ConfigEntry[] = [];
  readonly warnings: ConfigWarning[] = [];
  readonly output: string[] = [];
  /** Keys that a condition asked for. */
  readonly asked = new Set<string>();
  readonly documents: Documents;
  /** What `ienv` and `early-envdir` did. */
  readonly environmentChanges: EnvironmentChange[] = [];
  strict = false;
  readonly #world: LoaderWorld;
  readonly #conditions: ConditionWorld;
  readonly #declared = new Map<string, readonly string[]>();
  /** Scopes in which `inherit` pairs stood, for finding circles. */
  readonly #inheritScopes = new WeakMap<ConfigEntry, Scope>();
  /** First value of each key so far. */
  readonly #first = new Map<string, string>();
  #restricted: RestrictedNames | undefined;
  #characters = 0;

  constructor(world: LoaderWorld) {
    this.#world = world;
    const { host, facts, environment, limits, sources } = world;
    this.documents = new Documents({
      sources,
      facts,
      limits,
      warn: (code, message, origin) => this.warn(code, message, origin),
    });
    this.#conditions = {
      host,
      facts,
      environment,
      maxTurns: limits.entries,
      maxBytes: limits.fileBytes,
      hasPlugin: (name) => world.hasPlugin(name),
      firstValue: (key) => {
        this.asked.add(key);
        return this.#first.get(key);
      },
    };
  }

  /** After a thousand of them nobody reads the rest. */
  warn(code: ConfigWarningCode, message: string, origin: ConfigOrigin): void {
    if (this.warnings.length >= 1000) return;
    this.warnings.push({ code, message: `${formatOrigin(origin)}: ${message}`, origin });
  }

  /** True for a name that `declare-option` made. */
  isDeclared(key: string): boolean {
    return this.#declared.has(key);
  }

  /** One pair of a source, through the block that may be open there. */
  async feed(pair: Pair, scope: Scope): Promise<void> {
    const { key, value, origin } = pair;
    const directive = findDirective(key);
    const { block } = scope;
    if (directive?.do === "end-logic") {
      if (block === undefined) this.warn("stray-end", `"${key}" ends nothing`, origin);
      scope.block = undefined;
      this.#push(pair);
    } else if (block === undefined) await this.#execute(pair, scope);
    else if (directive?.do === "else") {
      block.inElse = !block.inElse;
      this.#push(pair);
    } else {
      const turns = turnsOfLine(block, this.#conditions);
      if (turns.length === 0 && directive?.do === "logic") {
        const consequence = "is skipped, and the next end closes the outer block";
        this.warn("nested-logic", `"${key}" in a block that does not count ${consequence}`, origin);
      }
      for (const { context } of turns) {
        const filled = context === undefined ? value : value?.replaceAll("%(_)", () => context);
        await this.#execute({ key, value: filled, origin }, scope);
      }
    }
  }

  /** The end of a source: a block must not go on in the next one, as it does in uWSGI. */
  closeScope({ block }: Scope): void {
    if (block === undefined) return;
    const message = `"${block.key}" has no end in this file or command line: add "endif" or "endfor"`;
    throw new ConfigError("unclosed-block", message, block.origin);
  }

  #push(pair: Omit<ConfigEntry, "option">): ConfigEntry {
    const { limits, options } = this.#world;
    if (this.entries.length >= limits.entries) {
      throw new ConfigError("too-large", `more than ${limits.entries} pairs`, pair.origin);
    }
    this.#characters += pair.key.length + (pair.value?.length ?? 0);
    if (this.#characters > limits.totalBytes) {
      throw new ConfigError(
        "too-large",
        `all values together have more than ${limits.totalBytes} characters`,
        pair.origin,
      );
    }
    if (pair.value !== undefined && !this.#first.has(pair.key))
      this.#first.set(pair.key, pair.value);
    const option = pair.placeholder === true ? undefined : options.find(pair.key);
    const entry: ConfigEntry = option === undefined ? pair : { ...pair, option };
    this.entries.push(entry);
    return entry;
  }

  /** An alias is no way around a list of names. */
  #canonical(key: string): string {
    return this.#world.options.find(key)?.name ?? key;
  }

  #canonicalNames(names: readonly string[]): ReadonlySet<string> {
    return new Set(names.map((name) => this.#canonical(name)));
  }

  #checkAllowed(key: string, origin: ConfigOrigin): void {
    if (this.#restricted === undefined) return;
    const { by, names } = this.#restricted;
    if (names.has(this.#canonical(key)) === (by === "whitelist")) return;
    throw new ConfigError(
      "forbidden-option",
      `forbidden option ${JSON.stringify(key)} (by ${by})`,
      origin,
    );
  }

  async #execute(pair: Pair, scope: Scope): Promise<void> {
    const directive = findDirective(pair.key);
    if (directive?.do === "end-list") this.#restricted = undefined;
    this.#checkAllowed(pair.key, pair.origin);
    const declared = this.#declared.get(pair.key);
    const entry = this.#push(pair);
    if (declared !== undefined) await this.#useDeclared(declared, pair, scope);
    else if (directive !== undefined) await this.#perform(directive, entry, scope);
  }

  async #perform(directive: Directive, entry: ConfigEntry, scope: Scope): Promise<void> {
    const { key, origin } = entry;
    const value = entry.value ?? "";
    switch (directive.do) {
      case "file":
        return this.readFile(value, directive.format, origin, scope);
      case "include":
        return this.readFile(value, "by-content", origin, scope, false);
      case "inherit":
        this.#inheritScopes.set(entry, { ...scope, block: undefined });
        return;
      case "set":
        return this.#execute({ ...splitAssignment(value, origin), origin }, scope);
      case "set-placeholder":
        this.#setPlaceholder(value, origin);
        return;
      case "declare-option":
        this.#declare(value, origin);
        return;
      case "strict":
        this.strict ||= parseFlag(entry.value);
        return;
      case "blacklist":
      case "whitelist":
        this.#restricted = { by: directive.do, names: this.#canonicalNames(wordsOf(value)) };
        return;
      case "inject":
        return this.documents.inject(directive.where, value, origin);
      case "logic":
        if (scope.block !== undefined) {
          const open = `"${scope.block.key}" (${formatOrigin(scope.block.origin)}) is still open`;
          throw new ConfigError(
            "nested-logic",
            `recursive logic in options is not supported (option = ${key}): ${open}`,
            origin,
          );
        }
        scope.block = { key, argument: value, origin, inElse: false, lastHeld: undefined };
        return;
      case "else":
        this.warn("stray-end", '"else" outside of a block has no effect', origin);
        return;
      case "iprint":
        this.output.push(value);
        return;
      case "exit":
        throw new ExitRequest(exitCode(entry));
      case "ienv":
      case "early-envdir":
        return this.#changeEnvironment(directive.do, value, origin);
      case "resolve":
        return this.#resolve(value, origin, scope);
      case "unavailable":
        throw new ConfigError("not-available", `option "${key}" is not available here`, origin);
      case "print":
      case "get":
      case "strict-placeholders":
      case "show":
      case "end-list":
      case "end-logic":
        // What these do is done where the list is finished, or was done before.
        return;
    }
  }

  async #changeEnvironment(
    kind: "ienv" | "early-envdir",
    text: string,
    origin: ConfigOrigin,
  ): Promise<void> {
    const { parseAssignment, readEnvironmentDirectory } = await import("./environment-changes.ts");
    const { environment, host, limits } = this.#world;
    const changes =
      kind === "ienv"
        ? [parseAssignment(text, origin)]
        : readEnvironmentDirectory(text, host, limits, origin);
    for (const { name, value } of changes) {
      if (value === undefined) delete environment[name];
      else environment[name] = value;
    }
    this.environmentChanges.push(...changes);
  }

  /** `KEY=HOST`: a pair with the address of the host follows. */
  async #resolve(text: string, origin: ConfigOrigin, scope: Scope): Promise<void> {
    const { key, value: name } = splitAssignment(text, origin);
    let address: string;
    try {
      address = await this.#world.resolveName(name);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const message = `unable to resolve the name ${JSON.stringify(name)}: ${why}`;
      throw new ConfigError("unreadable", message, origin, { cause: error });
    }
    await this.#execute({ key, value: address, origin }, scope);
  }

  #setPlaceholder(text: string, origin: ConfigOrigin): void {
    const { key, value } = splitAssignment(text, origin);
    if (this.#world.options.find(key) !== undefined) {
      throw new ConfigError(
        "bad-directive",
        `"${key}" is an option and cannot be a placeholder`,
        origin,
      );
    }
    this.#push({ key, value, origin, placeholder: true });
  }

  #declare(text: string, origin: ConfigOrigin): void {
    const equals = text.indexOf("=");
    const name = text.slice(0, Math.max(0, equals));
    const templates = text
      .slice(equals + 1)
      .split(";")
      .filter((each) => each !== "");
    if (name === "" || templates.some((each) => !each.includes("="))) {
      throw new ConfigError(
        "bad-directive",
        `declare-option needs NAME=KEY=VALUE[;KEY=VALUE], not ${JSON.stringify(text)}`,
        origin,
      );
    }
    if (this.#world.options.find(name) !== undefined) {
      throw new ConfigError("bad-directive", `"${name}" is an option already`, origin);
    }
    this.#declared.set(name, templates);
  }

  /** `$1`... are the words of the value; the pairs that come out are executed like written ones. */
  async #useDeclared(
    templates: readonly string[],
    { key, value, origin }: Pair,
    scope: Scope,
  ): Promise<void> {
    if (scope.depth >= this.#world.limits.depth) {
      throw new ConfigError(
        "too-deep",
        `the declared option ${JSON.stringify(key)} uses itself`,
        origin,
      );
    }
    const words = wordsOf(value ?? "");
    const inner: Scope = { depth: scope.depth + 1, reading: scope.reading, block: undefined };
    for (const template of templates) {
      const filled = template.replaceAll(
        /\$(\d)/g,
        (_, digit: string) => words[Number(digit) - 1] ?? "",
      );
      await this.#execute(
        { ...splitAssignment(filled, origin), origin: { ...origin, via: origin } },
        inner,
      );
    }
    this.closeScope(inner);
  }

  /**
   * Reads what an address names at this place of the list.
   * @param canBeOwn false for templates: upper-case magic variables are not theirs
   */
  async readFile(
    address: string,
    format: DocumentRequest["format"],
    origin: ConfigOrigin,
    scope: Scope,
    canBeOwn = true,
  ): Promise<void> {
    const { depth } = this.#world.limits;
    if (scope.depth >= depth)
      throw new ConfigError("too-deep", `files are included deeper than ${depth} levels`, origin);
    const document = await this.documents.open({
      address,
      format,
      origin,
      reading: scope.reading,
      canBeOwn,
    });
    const inner: Scope = {
      depth: scope.depth + 1,
      reading: [...scope.reading, document.reading],
      block: undefined,
    };
    for (const pair of document.pairs) await this.feed(pair, inner);
    this.closeScope(inner);
  }

  /** Reads what an `inherit` pair names, to the end of the list. `value` is substituted. */
  async inherit(entry: ConfigEntry, value: string): Promise<void> {
    const scope = this.#inheritScopes.get(entry) ?? newScope();
    await this.readFile(value, "by-content", entry.origin, scope, false);
  }
}

function wordsOf(text: string): readonly string[] {
  return text.split(" ").filter((word) => word !== "");
}

/** `KEY=VALUE` of `set`; neither is trimmed. */
function splitAssignment(
  text: string,
  origin: ConfigOrigin,
): { readonly key: string; readonly value: string } {
  const equals = text.indexOf("=");
  if (equals < 0) {
    throw new ConfigError(
      "bad-directive",
      `invalid placeholder/--set value ${JSON.stringify(text)}: KEY=VALUE is needed`,
      origin,
    );
  }
  return { key: text.slice(0, equals), value: text.slice(equals + 1) };
}

/** On the command line without a number 1, in a file without one 0, as in uWSGI. */
function exitCode({ value, origin }: ConfigEntry): number {
  if (value === undefined) return 1;
  if (value === "") return 0;
  if (!/^\d{1,3}$/.test(value) || Number(value) > 255) {
    throw new ConfigError(
      "bad-directive",
      `exit needs a code from 0 to 255, not ${JSON.stringify(value)}`,
      origin,
    );
  }
  return Number(value);
}
