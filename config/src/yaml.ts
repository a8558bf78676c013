/**
 * The yaml format, on the `yaml` parser. uWSGI reads tokens and silently drops what it does not
 * know; here anchors, aliases and flow mappings work and a wrong indent is an error with its line.
 * Scalars stay text: `yes` and `12` are what is written.
 */
import { LineCounter, isAlias, isMap, isNode, isScalar, isSeq, parseDocument, visit } from "yaml";
import type { Alias, Document, ParsedNode, YAMLMap } from "yaml";
import { ConfigError } from "./errors.ts";
import { missingSection } from "./ini.ts";
import type { RawPair, ReaderContext } from "./reader.ts";

const MAX_DEPTH = 64;

class YamlCollector {
  readonly pairs: RawPair[] = [];
  readonly #targets: ReadonlyMap<Alias, ParsedNode>;
  readonly #context: ReaderContext;
  readonly #lines: LineCounter;
  #visits = 0;

  constructor(targets: ReadonlyMap<Alias, ParsedNode>, context: ReaderContext, lines: LineCounter) {
    this.#targets = targets;
    this.#context = context;
    this.#lines = lines;
  }

  lineOf(
    node: { readonly range?: readonly number[] | null | undefined } | null,
    fallback: number,
  ): number {
    const offset = node?.range?.[0];
    return offset === undefined ? fallback : this.#lines.linePos(offset).line;
  }

  #fail(code: "syntax" | "too-large", message: string, line: number): never {
    throw new ConfigError(code, message, this.#context.at(line));
  }

  /** What an alias stands for; counts visits, so aliases of aliases cannot multiply without end. */
  #resolve(node: unknown, line: number): unknown {
    this.#visits += 1;
    if (this.#visits > 2 * this.#context.maxPairs)
      this.#fail("too-large", "its aliases multiply beyond bounds", line);
    if (!isAlias(node)) return node;
    const target = this.#targets.get(node);
    if (target === undefined) this.#fail("syntax", `unknown alias *${node.source}`, line);
    return target;
  }

  /** A mapping: every pair of it, nested mappings in the same level. */
  mapping(map: YAMLMap, depth: number, line: number): void {
    if (depth > MAX_DEPTH) this.#fail("too-large", `nested deeper than ${MAX_DEPTH} levels`, line);
    for (const { key, value } of map.items) {
      const keyNode = this.#resolve(key, line);
      const keyLine = this.lineOf(isNode(key) ? key : null, line);
      if (!isScalar(keyNode)) this.#fail("syntax", "a key must be plain text", keyLine);
      this.#value(textOf(keyNode.value), value, depth, keyLine);
    }
  }

  #value(key: string, raw: unknown, depth: number, keyLine: number): void {
    if (depth > MAX_DEPTH)
      this.#fail("too-large", `nested deeper than ${MAX_DEPTH} levels`, keyLine);
    const node = this.#resolve(raw, keyLine);
    if (isMap(node)) this.mapping(node, depth + 1, keyLine);
    else if (isSeq(node)) for (const item of node.items) this.#value(key, item, depth + 1, keyLine);
    else if (isScalar(node)) {
      const line = isAlias(raw) ? keyLine : this.lineOf(node, keyLine);
      const empty = node.type === "PLAIN" && node.source === "";
      if (empty || node.value === null)
        this.#context.warn(
          "ignored-content",
          keyLine,
          `${JSON.stringify(key)} has no value and is ignored`,
        );
      else this.#add({ key, value: textOf(node.value), line });
    } else
      this.#context.warn(
        "ignored-content",
        keyLine,
        `${JSON.stringify(key)} has no value and is ignored`,
      );
  }

  #add(pair: RawPair): void {
    if (this.pairs.length >= this.#context.maxPairs)
      this.#fail("too-large", `more than ${this.#context.maxPairs} values`, pair.line);
    this.pairs.push(pair);
  }
}

/** The failsafe schema makes every scalar a string. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The first key of that name at any depth, as uWSGI finds it; the outermost level wins. */
function findSection(
  root: YAMLMap,
  name: string,
): { readonly key: unknown; readonly value: unknown } | undefined {
  let level: YAMLMap[] = [root];
  for (let depth = 0; level.length > 0 && depth < MAX_DEPTH; depth += 1) {
    const next: YAMLMap[] = [];
    for (const map of level) {
      for (const pair of map.items) {
        if (isScalar(pair.key) && pair.key.value === name) return pair;
        if (isMap(pair.value)) next.push(pair.value);
      }
    }
    level = next;
  }
  return undefined;
}

/** What each alias stands for: the last node of that name before it. */
function aliasTargets(document: Document.Parsed): ReadonlyMap<Alias, ParsedNode> {
  const anchors = new Map<string, ParsedNode>();
  const targets = new Map<Alias, ParsedNode>();
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if (node.anchor !== undefined) anchors.set(node.anchor, node as ParsedNode);
    },
  });
  return targets;
}

/** The parser follows nesting by recursion: whatever it throws is the text's fault. */
function guarded<Result>(context: ReaderContext, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(
      "syntax",
      `the yaml parser gave up: ${error instanceof Error ? error.message : String(error)}`,
      context.at(0),
      { cause: error },
    );
  }
}

/**
 * Flow collections nested so deep that only a mistake or an attack can be behind them: the parser
 * needs seconds and a gigabyte before it gives up on a megabyte of brackets. Brackets in quotes are
 * counted as well; nobody has so many.
 */
function checkNesting(text: string, context: ReaderContext): void {
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x5b || code === 0x7b) depth += 1;
    else if ((code === 0x5d || code === 0x7d) && depth > 0) depth -= 1;
    if (depth > 1000)
      throw new ConfigError(
        "syntax",
        "nested too deeply",
        context.at(text.slice(0, index).split("\n").length),
      );
  }
}

function parse(
  text: string,
  context: ReaderContext,
  lineCounter: LineCounter,
): Document.Parsed<ParsedNode> {
  const document = parseDocument(text, {
    lineCounter,
    uniqueKeys: false,
    schema: "failsafe",
    prettyErrors: false,
    logLevel: "silent",
  });
  const [error] = document.errors;
  if (error !== undefined) {
    const message = /call stack/.test(error.message) ? "nested too deeply" : error.message;
    throw new ConfigError("syntax", message, context.at(lineCounter.linePos(error.pos[0]).line), {
      cause: error,
    });
  }
  return document;
}

/**
 * Pairs of the mapping under the section key: lists repeat their key, nested mappings are flattened
 * into the same level, an empty value gives no pair (with a warning). Magic variables are replaced
 * in the raw text before parsing, as in uWSGI, so that `key: %n` is legal.
 */
export function readYaml(raw: string, context: ReaderContext): readonly RawPair[] {
  const lines = new LineCounter();
  const text = context.expand(raw, 1);
  checkNesting(text, context);
  const document = guarded(context, () => parse(text, context, lines));
  const targets = guarded(context, () => aliasTargets(document));
  const root = document.contents;
  const section = isMap(root) ? findSection(root, context.section) : undefined;
  if (section === undefined) {
    const keys = isMap(root)
      ? root.items.flatMap(({ key }) => (isScalar(key) ? [textOf(key.value)] : []))
      : [];
    missingSection(context, keys);
    return [];
  }
  const collector = new YamlCollector(targets, context, lines);
  const line = collector.lineOf(isScalar(section.key) ? section.key : null, 1);
  const body: unknown = isAlias(section.value) ? targets.get(section.value) : section.value;
  if (isMap(body)) collector.mapping(body, 0, line);
  else
    context.warn(
      "ignored-content",
      line,
      `${JSON.stringify(context.section)} is no mapping and counts as empty`,
    );
  return collector.pairs;
}
