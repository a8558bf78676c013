/**
 * From sources to the finished list: what is read in which order, the three substitution passes,
 * inherited files, and what the language's own options say about the whole.
 */
import { parseAddress } from "./address.ts";
import { newScope } from "./blocks.ts";
import { environmentKeys, parseCommandLine } from "./command-line.ts";
import type { Argument } from "./command-line.ts";
import { ConfigError } from "./errors.ts";
import { findDirective } from "./language-options.ts";
import { DEFAULT_LIMITS } from "./load-types.ts";
import type { ConfigLimits, ConfigResult, LoadRequest } from "./load-types.ts";
import { ExitRequest, Loader } from "./loader.ts";
import { nearest } from "./nearest.ts";
import { createNodeHost, machineFacts } from "./node-host.ts";
import { formatOrigin } from "./origin.ts";
import type { ConfigEntry } from "./origin.ts";
import { resolvePlaceholders } from "./placeholders.ts";
import { resolveName } from "./resolve-name.ts";
import { SourceReader } from "./sources.ts";
import { environmentValue, substitute } from "./substitution.ts";
import { parseFlag } from "./values.ts";

/** A key of a file may hold any character: none of them may begin another line of a log. */
function oneLine(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** Pairs that were executed while reading keep their text. */
function isSubstitutable(entry: ConfigEntry): boolean {
  const directive = findDirective(entry.key);
  return (
    directive === undefined ||
    entry.placeholder === true ||
    ["inherit", "print", "get"].includes(directive.do)
  );
}

/** Options whose values have `%(...)` of their own, which is for uWSGI's request log. */
const OWN_PLACEHOLDERS: ReadonlySet<string> = new Set(["log-format", "logformat"]);

class Loading {
  readonly loader: Loader;
  readonly #request: LoadRequest;
  readonly #limits: ConfigLimits;
  readonly #sources: SourceReader;
  /** The environment, with what the configuration has changed so far. */
  readonly #variables: Record<string, string | undefined>;
  /** Keys that anything referred to; a key that is neither known nor used is probably a slip. */
  readonly #used = new Set<string>();
  #exitCode: number | undefined;
  #isStrictAboutPlaceholders: boolean | undefined;
  readonly #errors: ConfigError[] = [];

  constructor(request: LoadRequest) {
    this.#request = request;
    this.#limits = { ...DEFAULT_LIMITS, ...request.limits };
    const facts = machineFacts(request.facts);
    const host = request.host ?? createNodeHost(facts.cwd);
    // Without a prototype any name is an ordinary key.
    this.#variables = Object.assign(Object.create(null), request.environment) as Record<
      string,
      string | undefined
    >;
    this.#sources = new SourceReader({
      host,
      limits: this.#limits,
      schemes: request.schemes ?? {},
      cwd: facts.cwd,
      environment: this.#variables,
      warn: (code, message, origin) => this.loader.warn(code, message, origin),
    });
    this.loader = new Loader({
      options: request.options,
      host,
      facts,
      environment: this.#variables,
      resolveName: request.resolveName ?? (async (name) => resolveName(name, this.#limits)),
      sources: this.#sources,
      limits: this.#limits,
      hasPlugin: request.hasPlugin ?? (() => false),
    });
  }

  async run(): Promise<ConfigResult> {
    const commandLine = parseCommandLine(this.#request.argv, this.#request.options);
    this.#errors.push(...commandLine.errors);
    if (this.#errors.length === 0) {
      try {
        await this.#read(commandLine.arguments);
        await this.#inherit();
        await this.#substitute();
        this.#apply();
      } catch (error) {
        if (error instanceof ExitRequest) this.#exitCode = error.code;
        else if (error instanceof ConfigError) this.#errors.push(error);
        else throw error;
      }
    }
    const { entries, warnings, output, strict, environmentChanges } = this.loader;
    const exit = this.#exitCode === undefined ? {} : { exit: { code: this.#exitCode } };
    return { entries, warnings, errors: this.#errors, output, strict, environmentChanges, ...exit };
  }

  /** Environment, command line from left to right, then the files named by bare arguments. */
  async #read(parsed: readonly Argument[]): Promise<void> {
    const { loader } = this;
    this.#findOwnFile(parsed);
    const environment = newScope();
    for (const pair of environmentKeys(this.#request.environment))
      await loader.feed(pair, environment);
    loader.closeScope(environment);
    const commandLine = newScope();
    for (const argument of parsed)
      if (argument.kind === "option") await loader.feed(argument, commandLine);
    loader.closeScope(commandLine);
    for (const argument of parsed) {
      if (argument.kind === "bare" && !argument.text.startsWith("[")) {
        await loader.readFile(argument.text, "by-suffix", argument.origin, newScope());
      }
    }
  }

  /**
   * The vassal's own file: the first one given by a file option, else by a bare argument. uWSGI knows
   * it only when it is read, so `%N` is empty in the templates before it; here it is known from the
   * start.
   */
  #findOwnFile(parsed: readonly Argument[]): void {
    const isFile = (argument: Argument): boolean =>
      argument.kind === "option" && findDirective(argument.key)?.do === "file";
    const own =
      parsed.find(isFile) ??
      parsed.find((argument) => argument.kind === "bare" && !argument.text.startsWith("["));
    const text = own?.kind === "option" ? own.value : own?.text;
    const address = text === undefined ? undefined : parseAddress(text);
    if (address !== undefined && address.kind !== "last")
      this.loader.documents.own = this.#sources.magicOf(address);
  }

  /**
   * Inherited files go to the end of the list, before the passes: uWSGI does it after them and leaves
   * `%(x)` in inherited text as it is, which nobody can want.
   */
  async #inherit(): Promise<void> {
    const { entries } = this.loader;
    for (let index = 0; index < entries.length; index += 1) {
      const entry = entries[index];
      if (
        entry?.value === undefined ||
        entry.placeholder === true ||
        findDirective(entry.key)?.do !== "inherit"
      )
        continue;
      const before = await this.#sources.contents(this.#environment(entry.value), entry.origin);
      const list = entries.with(index, { ...entry, value: before });
      const { values, used } = resolvePlaceholders(
        list,
        (each) => each === list[index],
        this.#limits,
      );
      for (const key of used) this.#used.add(key);
      await this.loader.inherit(entry, values[index] ?? "");
    }
  }

  #environment(value: string): string {
    return substitute(value, "$", (inside) => environmentValue(inside, this.#variables));
  }

  async #substitute(): Promise<void> {
    const { entries } = this.loader;
    for (const [index, entry] of entries.entries()) {
      if (entry.value === undefined || !isSubstitutable(entry)) continue;
      const value = await this.#sources.contents(this.#environment(entry.value), entry.origin);
      if (value !== entry.value) entries[index] = { ...entry, value };
      this.#reportEnvironment(entry, value);
    }
    const { values, used, unresolved } = resolvePlaceholders(
      entries,
      isSubstitutable,
      this.#limits,
    );
    for (const key of used) this.#used.add(key);
    for (const [index, entry] of entries.entries()) {
      const value = values[index];
      if (value !== undefined && value !== entry.value) entries[index] = { ...entry, value };
    }
    for (const { entry, name } of unresolved) this.#reportUnresolved(entry, `%(${name})`);
  }

  /** Wherever it stands, it holds for the whole. */
  #strictPlaceholders(): boolean {
    this.#isStrictAboutPlaceholders ??= this.loader.entries.some(
      ({ key, value, placeholder }) =>
        placeholder !== true &&
        findDirective(key)?.do === "strict-placeholders" &&
        parseFlag(value),
    );
    return this.#isStrictAboutPlaceholders;
  }

  #reportEnvironment(entry: ConfigEntry, value: string): void {
    const left = /\$\([A-Za-z_]\w*\)/.exec(value)?.[0];
    if (left !== undefined) this.#reportUnresolved(entry, left);
  }

  /**
   * With `strict-placeholders` an error wherever it is; else a warning, and only for options that
   * have an effect here.
   */
  #reportUnresolved(entry: ConfigEntry, text: string): void {
    if (OWN_PLACEHOLDERS.has(entry.key)) return;
    if (this.#strictPlaceholders()) {
      // The rest of hundreds of slips helps nobody.
      if (this.#errors.length >= 100) return;
      const what = text.startsWith("$") ? "environment variable" : "placeholder";
      const message = `[strict-placeholders] ${oneLine(text)} in ${JSON.stringify(entry.key)}: there is no such ${what}`;
      this.#errors.push(new ConfigError("unresolved-placeholder", message, entry.origin));
      return;
    }
    if (entry.option?.status !== "supported" || this.loader.warnings.length >= 1000) return;
    this.loader.warn(
      "unresolved-placeholder",
      `${text} in "${entry.key}" is not defined and stays as it is`,
      entry.origin,
    );
  }

  /** What the language's own options say about the finished list. */
  #apply(): void {
    const { loader } = this;
    for (const key of loader.asked) this.#used.add(key);
    this.#reportUnknown();
    if (this.#errors.length > 0) return;
    for (const entry of loader.entries) {
      if (entry.placeholder === true || this.#exitCode !== undefined) continue;
      const action = findDirective(entry.key)?.do;
      if (action === "print") loader.output.push(entry.value ?? "");
      else if (action === "get") {
        const found = loader.entries.find(
          (each) => each.key === entry.value && each.value !== undefined,
        );
        if (found?.value !== undefined) loader.output.push(found.value);
        this.#exitCode = 0;
      }
    }
  }

  /**
   * Keys that name no option. In strict mode each is an error; otherwise those that nothing refers to
   * are warned about, with the option that was probably meant. Variables of the environment are not
   * counted: other programs set some too.
   */
  #reportUnknown(): void {
    const { loader } = this;
    const { options } = this.#request;
    const reported = new Set<string>();
    for (const { key, origin, option, placeholder } of loader.entries) {
      const known =
        option !== undefined ||
        placeholder === true ||
        findDirective(key) !== undefined ||
        loader.isDeclared(key);
      if (known || origin.kind === "environment") continue;
      if (!loader.strict && (this.#used.has(key) || origin.kind === "command-line")) continue;
      // A line of a loop is one slip, however often it counts.
      const slip = `${key}\0${formatOrigin(origin)}`;
      if (reported.has(slip)) continue;
      // The rest of hundreds of slips helps nobody.
      if (reported.size >= 200) return;
      reported.add(slip);
      const suggestion = reported.size > 100 ? undefined : nearest(key, options.names);
      const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
      if (loader.strict)
        this.#errors.push(
          new ConfigError(
            "strict",
            `[strict-mode] unknown config directive: ${oneLine(key)}${hint}`,
            origin,
          ),
        );
      else {
        loader.warnings.push({
          code: "unknown-key",
          message: `${formatOrigin(origin)}: ${JSON.stringify(key)} is no option and nothing uses it${hint}`,
          origin,
          key,
          ...(suggestion === undefined ? {} : { suggestion }),
        });
      }
    }
  }
}

/**
 * Reads everything. Never rejects for what a user can write: errors are in the result. The order is
 * uWSGI's: environment, command line from left to right with each file at the place of its option,
 * files named by a bare argument after all options, inherited files at the end.
 */
export async function loadConfiguration(request: LoadRequest): Promise<ConfigResult> {
  return new Loading(request).run();
}
