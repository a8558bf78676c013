/**
 * The xml format, on the `saxes` parser: `<uwsgi>` with one element per pair. No entity but XML's own
 * five and character references exists, so a text cannot grow.
 */
import { SaxesParser } from "saxes";
import type { SaxesTagPlain } from "saxes";
import { ConfigError } from "./errors.ts";
import type { RawPair, ReaderContext } from "./reader.ts";

const SECTION_ELEMENT = "uwsgi";
const MAX_DEPTH = 100;

/** Collects the pairs of the wanted `<uwsgi>` while the parser walks. */
class XmlCollector {
  readonly pairs: RawPair[] = [];
  readonly #context: ReaderContext;
  #depth = 0;
  /** Depth of the `<uwsgi>` that counts, 0 outside of it. */
  #sectionDepth = 0;
  /** Depth of an element that is skipped with everything in it, 0 for none. */
  #skipDepth = 0;
  #rootIsSection = false;
  found = false;
  #pair:
    | { readonly key: string; readonly line: number; readonly prefix: string; value: string }
    | undefined;

  constructor(context: ReaderContext) {
    this.#context = context;
  }

  open(tag: SaxesTagPlain, line: number): void {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH)
      this.#fail("syntax", `nested deeper than ${MAX_DEPTH} levels`, line);
    if (this.#skipDepth > 0) return;
    if (this.#sectionDepth === 0) this.#outside(tag, line);
    else if (this.#pair !== undefined) {
      this.#fail(
        "syntax",
        `<${tag.name}> inside <${this.#pair.key}>: an element holds text only`,
        line,
      );
    } else this.#startPair(tag, line);
  }

  #fail(code: "syntax" | "too-large", message: string, line: number): never {
    throw new ConfigError(code, message, this.#context.at(line));
  }

  #outside(tag: SaxesTagPlain, line: number): void {
    const isSection = tag.name === SECTION_ELEMENT;
    if (this.#depth === 1) this.#rootIsSection = isSection;
    else if (
      this.#depth === 2 &&
      !this.#rootIsSection &&
      isSection &&
      !this.found &&
      this.#wants(tag.attributes["id"])
    ) {
      this.#enter(tag, line);
      return;
    } else this.#skipDepth = this.#depth;
    if (this.#depth === 1 && isSection) this.#enter(tag, line);
  }

  /** With a section named, only what has that id or none. */
  #wants(id: string | undefined): boolean {
    return !this.#context.sectionGiven || id === undefined || id === this.#context.section;
  }

  #enter(tag: SaxesTagPlain, line: number): void {
    this.found = true;
    this.#sectionDepth = this.#depth;
    if (tag.attributes["mode"] !== undefined) {
      this.#context.warn(
        "ignored-content",
        line,
        'the attribute "mode" never had an effect and is ignored',
      );
    }
  }

  #startPair(tag: SaxesTagPlain, line: number): void {
    if (this.#rootIsSection && !this.#wants(tag.attributes["id"])) {
      this.#skipDepth = this.#depth;
      return;
    }
    const mountpoint = tag.attributes["mountpoint"] ?? tag.attributes["domain"];
    const mount = tag.name === "app" && mountpoint !== undefined;
    this.#pair = {
      key: mount ? "mount" : tag.name,
      line,
      prefix: mount ? `${mountpoint}=` : "",
      value: "",
    };
  }

  text(text: string, line: number): void {
    if (this.#skipDepth > 0 || this.#sectionDepth === 0) return;
    if (this.#pair !== undefined) this.#pair.value += text;
    else if (text.trim() !== "") {
      this.#context.warn(
        "ignored-content",
        line,
        "text between the elements has no meaning and is ignored",
      );
    }
  }

  cdata(text: string, line: number): void {
    const direct = this.#pair === undefined && this.#skipDepth === 0 && this.#sectionDepth > 0;
    if (direct) this.#add({ key: "eval", value: text, line });
    else this.text(text, line);
  }

  close(): void {
    if (this.#skipDepth === this.#depth) this.#skipDepth = 0;
    else if (this.#skipDepth === 0 && this.#pair !== undefined) {
      const { key, line, prefix, value } = this.#pair;
      // An element without text is a flag that is on.
      this.#add({ key, value: prefix + (value === "" ? "1" : value), line });
      this.#pair = undefined;
    }
    if (this.#sectionDepth === this.#depth) this.#sectionDepth = 0;
    this.#depth -= 1;
  }

  #add(pair: RawPair): void {
    if (this.pairs.length >= this.#context.maxPairs)
      this.#fail("too-large", `more than ${this.#context.maxPairs} elements`, pair.line);
    this.pairs.push({ ...pair, value: this.#context.expand(pair.value, pair.line) });
  }
}

/**
 * Pairs of the first `<uwsgi>`, or of the one with the wanted `id`. Text is not trimmed, no text
 * means `1`. Unlike uWSGI, which takes the first node of an element and crashes when that is another
 * element, all text of an element counts and an element inside is an error.
 */
export function readXml(text: string, context: ReaderContext): readonly RawPair[] {
  const parser = new SaxesParser();
  const collector = new XmlCollector(context);
  let tagLine = 1;
  parser.on("opentagstart", () => {
    tagLine = parser.line;
  });
  parser.on("opentag", (tag) => collector.open(tag, tagLine));
  parser.on("closetag", () => collector.close());
  parser.on("text", (content) => collector.text(content, parser.line));
  parser.on("cdata", (content) => collector.cdata(content, parser.line));
  parser.on("error", (error) => {
    throw new ConfigError(
      "syntax",
      error.message.replace(/^\d+:\d+: /, ""),
      context.at(parser.line),
      { cause: error },
    );
  });
  parser.write(text).close();
  if (!collector.found) {
    const wanted = context.sectionGiven
      ? `<uwsgi id=${JSON.stringify(context.section)}>`
      : "<uwsgi>";
    throw new ConfigError(
      "missing-section",
      `invalid xml root element, ${wanted} expected`,
      context.at(0),
    );
  }
  return collector.pairs;
}
