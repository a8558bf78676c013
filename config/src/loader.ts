/**
 * Executes the sources into one ordered list of pairs: file options, `set`, lists of forbidden
 * options, declared options, blocks. It knows the language's options and no other; substitution and
 * what follows from the list are in `load.ts`.
 */
import { parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import type { EnvironmentKey } from "./command-line.ts";
import { evaluateCondition } from "./conditions.ts";
import type { ConditionWorld } from "./conditions.ts";
import { ConfigError } from "./errors.ts";
import type { ConfigWarning, ConfigWarningCode } from "./errors.ts";
import type { ConfigHost, MachineFacts } from "./host.ts";
import { InjectedText } from "./injected-text.ts";
import { findDirective } from "./language-options.ts";
import type { Directive } from "./language-options.ts";
import type { ConfigLimits } from "./load-types.ts";
import { NO_FILE, substituteMagic } from "./magic-variables.ts";
import type { FileMagic } from "./magic-variables.ts";
import type { OptionTable } from "./options.ts";
import { formatOrigin } from "./origin.ts";
import type { ConfigEntry, ConfigOrigin } from "./origin.ts";
import { DEFAULT_SECTION, formatOfName, readPairs } from "./reader.ts";
import type { ConfigFormat } from "./reader.ts";
import type { SourceReader } from "./sources.ts";
import { parseFlag } from "./values.ts";

/** `exit` was met: reading ends here. */
export class ExitRequest {
  readonly code: number;
  constructor(code: number) {
    this.code = code;
  }
}

/** A block that is open: its condition is evaluated anew for every line. */
interface Block {
  readonly key: string;
  readonly argument: string;
  readonly origin: ConfigOrigin;
  inElse: boolean;
  lastHeld: boolean | undefined;
}

/** One source while it is read. */
export interface Scope {
  readonly depth: number;
  /** Identities of the files that are being read, outermost first. */
  readonly reading: readonly string[];
  block: Block | undefined;
}

export function newScope(): Scope {
  return { depth: 0, reading: [], block: undefined };
}

export interface LoaderWorld {
  readonly options: OptionTable;
  readonly host: ConfigHost;
  readonly facts: MachineFacts;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly sources: SourceReader;
  readonly limits: ConfigLimits;
  hasPlugin(name: string): boolean;
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
  /** The vassal's own file, for upper-case magic variables. */
  own: FileMagic = NO_FILE;
  strict = false;
  readonly #world: LoaderWorld;
  readonly #conditions: ConditionWorld;
  readonly #declared = new Map<string, readonly string[]>();
  readonly #inject = {
    before: [] as { name: string; text: string }[],
    after: [] as { name: string; text: string }[],
  };
  /** Scopes in which `inherit` pairs stood, for finding circles. */
  readonly #inheritScopes = new WeakMap<ConfigEntry, Scope>();
  #restricted: RestrictedNames | undefined;
  #lastIni:
    | { readonly text: InjectedText; readonly magic: FileMagic; readonly identity: string }
    | undefined;

  constructor(world: LoaderWorld) {
    this.#world = world;
    const { host, facts, environment, limits } = world;
    this.#conditions = {
      host,
      facts,
      environment,
      maxTurns: limits.entries,
      maxBytes: limits.fileBytes,
      hasPlugin: (name) => world.hasPlugin(name),
      firstValue: (key) => {
        this.asked.add(key);
        return this.entries.find((entry) => entry.key === key && entry.value !== undefined)?.value;
      },
    };
  }

  warn(code: ConfigWarningCode, message: string, origin: ConfigOrigin): void {
    this.warnings.push({ code, message: `${formatOrigin(origin)}: ${message}`, origin });
  }

  /** One pair of a source, through the block that may be open there. */
  async feed(
    pair: Pick<EnvironmentKey, "key" | "origin"> & { readonly value: string | undefined },
    scope: Scope,
  ): Promise<void> {
    const { key, value, origin } = pair;
    const directive = findDirective(key);
    const { block } = scope;
    if (directive?.do === "end-logic") {
      if (block === undefined) this.warn("stray-end", `"${key}" ends nothing`, origin);
      scope.block = undefined;
      this.#push({ key, value, origin });
    } else if (block === undefined) await this.#execute(key, value, origin, scope);
    else if (directive?.do === "else") {
      block.inElse = !block.inElse;
      this.#push({ key, value, origin });
    } else await this.#feedBlock(pair, directive, block, scope);
  }

  async #feedBlock(
    {
      key,
      value,
      origin,
    }: Pick<EnvironmentKey, "key" | "origin"> & { readonly value: string | undefined },
    directive: Directive | undefined,
    block: Block,
    scope: Scope,
  ): Promise<void> {
    if (!block.inElse || block.lastHeld === undefined) {
      const turns = evaluateCondition(block.key, block.argument, this.#conditions, block.origin);
      block.lastHeld = turns.length > 0;
      if (!block.inElse) {
        if (turns.length === 0 && directive?.do === "logic") {
          this.warn(
            "nested-logic",
            `"${key}" in a block that does not count is skipped, and the next end closes the outer block`,
            origin,
          );
        }
        for (const { context } of turns) {
          await this.#execute(
            key,
            context === undefined ? value : value?.replaceAll("%(_)", () => context),
            origin,
            scope,
          );
        }
        return;
      }
    }
    if (!block.lastHeld) await this.#execute(key, value, origin, scope);
  }

  /** The end of a source: a block must not go on in the next one, as it does in uWSGI. */
  closeScope(scope: Scope): void {
    if (scope.block === undefined) return;
    throw new ConfigError(
      "unclosed-block",
      `"${scope.block.key}" has no end in this file or command line: add "endif" or "endfor"`,
      scope.block.origin,
    );
  }

  #push(pair: Omit<ConfigEntry, "option">): ConfigEntry {
    if (this.entries.length >= this.#world.limits.entries) {
      throw new ConfigError(
        "too-large",
        `more than ${this.#world.limits.entries} pairs`,
        pair.origin,
      );
    }
    const option = pair.placeholder === true ? undefined : this.#world.options.find(pair.key);
    const entry: ConfigEntry = option === undefined ? pair : { ...pair, option };
    this.entries.push(entry);
    return entry;
  }

  #checkAllowed(key: string, origin: ConfigOrigin): void {
    if (this.#restricted === undefined) return;
    const { by, names } = this.#restricted;
    const canonical = this.#world.options.find(key)?.name ?? key;
    if ((names.has(key) || names.has(canonical)) === (by === "whitelist")) return;
    throw new ConfigError("forbidden-option", `forbidden option "${key}" (by ${by})`, origin);
  }

  async #execute(
    key: string,
    value: string | undefined,
    origin: ConfigOrigin,
    scope: Scope,
  ): Promise<void> {
    const directive = findDirective(key);
    if (directive?.do === "end-list") this.#restricted = undefined;
    this.#checkAllowed(key, origin);
    const declared = this.#declared.get(key);
    const entry = this.#push({ key, value, origin });
    if (declared !== undefined) await this.#useDeclared(key, declared, value ?? "", origin, scope);
    else if (directive !== undefined) await this.#perform(directive, entry, scope);
  }

  // One case per directive; each is short.
  async #perform(directive: Directive, entry: ConfigEntry, scope: Scope): Promise<void> {
    const { key, origin } = entry;
    const value = entry.value ?? "";
    switch (directive.do) {
      case "file":
        return this.readFile(value, directive.format, origin, scope, key);
      case "include":
        return this.readFile(value, "by-suffix", origin, scope, key);
      case "inherit":
        this.#inheritScopes.set(entry, { ...scope, block: undefined });
        return;
      case "set":
      case "set-placeholder":
        return this.#set(directive.do, value, origin, scope);
      case "declare-option":
        return this.#declare(value, origin);
      case "strict":
        this.strict ||= parseFlag(entry.value);
        return;
      case "blacklist":
      case "whitelist":
        this.#restricted = {
          by: directive.do,
          names: new Set(value.split(" ").filter((name) => name !== "")),
        };
        return;
      case "inject": {
        const { bytes, name } = await this.#world.sources.read(
          this.#addressOf(value, origin),
          origin,
        );
        this.#inject[directive.where].push({ name, text: this.#decode(bytes, name, origin) });
        return;
      }
      case "logic":
        if (scope.block !== undefined) {
          throw new ConfigError(
            "nested-logic",
            `recursive logic in options is not supported (option = ${key}): "${scope.block.key}" (${formatOrigin(scope.block.origin)}) is still open`,
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
        throw new ExitRequest(this.#exitCode(entry));
      case "unavailable":
        throw new ConfigError("not-available", `option "${key}" is not available here`, origin);
      case "print":
      case "get":
      case "end-list":
      case "end-logic":
        return;
    }
  }

  /** On the command line without a number 1, in a file without one 0, as in uWSGI. */
  #exitCode({ value, origin }: ConfigEntry): number {
    if (value === undefined) return 1;
    if (value === "") return 0;
    if (!/^\d{1,3}$/.test(value) || Number(value) > 255)
      throw new ConfigError(
        "bad-directive",
        `exit needs a code from 0 to 255, not ${JSON.stringify(value)}`,
        origin,
      );
    return Number(value);
  }

  async #set(
    kind: "set" | "set-placeholder",
    text: string,
    origin: ConfigOrigin,
    scope: Scope,
  ): Promise<void> {
    const equals = text.indexOf("=");
    if (equals < 0)
      throw new ConfigError(
        "bad-directive",
        `invalid placeholder/--set value ${JSON.stringify(text)}: KEY=VALUE is needed`,
        origin,
      );
    const key = text.slice(0, equals);
    const value = text.slice(equals + 1);
    if (kind === "set") return this.#execute(key, value, origin, scope);
    if (this.#world.options.find(key) !== undefined)
      throw new ConfigError(
        "bad-directive",
        `"${key}" is an option and cannot be a placeholder`,
        origin,
      );
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
    if (this.#world.options.find(name) !== undefined)
      throw new ConfigError("bad-directive", `"${name}" is an option already`, origin);
    this.#declared.set(name, templates);
  }

  async #useDeclared(
    key: string,
    templates: readonly string[],
    value: string,
    origin: ConfigOrigin,
    scope: Scope,
  ): Promise<void> {
    if (scope.depth >= this.#world.limits.depth)
      throw new ConfigError("too-deep", `the declared option "${key}" uses itself`, origin);
    const words = value.split(" ").filter((word) => word !== "");
    const inner: Scope = { depth: scope.depth + 1, reading: scope.reading, block: undefined };
    for (const template of templates) {
      const filled = template.replaceAll(
        /\$(\d)/g,
        (_, digit: string) => words[Number(digit) - 1] ?? "",
      );
      const equals = filled.indexOf("=");
      await this.#execute(
        filled.slice(0, equals),
        filled.slice(equals + 1),
        { ...origin, via: origin },
        inner,
      );
    }
    this.closeScope(inner);
  }

  /** True for a name that `declare-option` made. */
  isDeclared(key: string): boolean {
    return this.#declared.has(key);
  }

  #addressOf(text: string, origin: ConfigOrigin): Exclude<Address, { kind: "last" }> {
    const address = parseAddress(text);
    const empty = address.kind === "last" || (address.kind === "file" && address.path === "");
    if (empty)
      throw new ConfigError(
        "bad-directive",
        `a file name is needed, not ${JSON.stringify(text)}`,
        origin,
      );
    return address;
  }

  #decode(bytes: Uint8Array, name: string, origin: ConfigOrigin): string {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      this.warn(
        "bad-encoding",
        `${JSON.stringify(name)} is not valid UTF-8: the bytes that are not are lost`,
        origin,
      );
      return new TextDecoder("utf-8").decode(bytes);
    }
  }

  /** Reads what an address names at this place of the list. `key` is the option that asked. */
  async readFile(
    text: string,
    format: ConfigFormat | "by-suffix",
    origin: ConfigOrigin,
    scope: Scope,
    key?: string,
  ): Promise<void> {
    if (scope.depth >= this.#world.limits.depth)
      throw new ConfigError(
        "too-deep",
        `files are included deeper than ${this.#world.limits.depth} levels`,
        origin,
      );
    const parsed = parseAddress(text);
    if (parsed.kind === "last" && parsed.section !== "")
      return this.#readLast(parsed.section, origin, scope);
    const address = this.#addressOf(text, origin);
    const resolved =
      format === "by-suffix"
        ? formatOfName(
            address.kind === "file" ? address.path : address.kind === "scheme" ? address.rest : "",
          )
        : format;
    if (resolved === undefined) {
      throw new ConfigError(
        "unknown-format",
        `unable to load configuration from ${JSON.stringify(text)}: its name tells no format (.ini, .xml, .yaml, .yml, .json, .js)`,
        origin,
      );
    }
    const source = await this.#world.sources.read(address, origin);
    const magic = this.#world.sources.magicOf(address);
    if (this.own === NO_FILE && key !== "include" && key !== "inherit") this.own = magic;
    const injected = new InjectedText(
      this.#inject.before,
      {
        name: magic.path === "" ? source.name : magic.path,
        text: this.#decode(source.bytes, source.name, origin),
      },
      this.#inject.after,
    );
    if (resolved === "ini") this.#lastIni = { text: injected, magic, identity: source.identity };
    await this.#readText(
      injected,
      resolved,
      magic,
      source.identity,
      address.section,
      origin,
      scope,
    );
  }

  async #readLast(section: string, origin: ConfigOrigin, scope: Scope): Promise<void> {
    const last = this.#lastIni;
    if (last === undefined)
      throw new ConfigError(
        "bad-directive",
        `":${section}" is a section of the ini file read before, and none was`,
        origin,
      );
    await this.#readText(
      last.text,
      "ini",
      { ...last.magic, address: "", section },
      last.identity,
      section,
      origin,
      scope,
    );
  }

  async #readText(
    text: InjectedText,
    format: ConfigFormat,
    magic: FileMagic,
    identity: string,
    section: string | undefined,
    origin: ConfigOrigin,
    scope: Scope,
  ): Promise<void> {
    const wanted = section ?? DEFAULT_SECTION;
    const reading = `${identity}\0${wanted}`;
    if (scope.reading.includes(reading)) {
      throw new ConfigError(
        "include-cycle",
        `${JSON.stringify(identity)} (section "${wanted}") includes itself`,
        origin,
      );
    }
    const inner: Scope = {
      depth: scope.depth + 1,
      reading: [...scope.reading, reading],
      block: undefined,
    };
    const at = (line: number): ConfigOrigin => {
      const place = text.locate(line);
      const via = origin.kind === "file" ? { via: origin } : {};
      return { kind: "file", source: place.name, line: place.line, section: wanted, ...via };
    };
    const context = { file: magic, own: this.own, facts: this.#world.facts };
    const pairs = await readPairs(format, text.text, {
      section: wanted,
      sectionGiven: section !== undefined,
      maxPairs: this.#world.limits.entries,
      at,
      warn: (code, line, message) => this.warn(code, message, at(line)),
      expand: (part, line) =>
        substituteMagic(part, context, at(line), (sequence, offset) => {
          this.warn(
            "unknown-magic",
            `${JSON.stringify(sequence)} has no meaning and is removed; write "%%" for a percent sign`,
            at(line + offset),
          );
        }),
    });
    for (const { key, value, line } of pairs)
      await this.feed({ key, value, origin: at(line) }, inner);
    this.closeScope(inner);
  }

  /** Reads what an `inherit` pair names, to the end of the list. `value` is substituted. */
  async inherit(entry: ConfigEntry, value: string): Promise<void> {
    await this.readFile(
      value,
      "by-suffix",
      entry.origin,
      this.#inheritScopes.get(entry) ?? newScope(),
      "inherit",
    );
  }
}
