/**
 * The json format: an object of objects, with comments, whose numbers keep their text and whose
 * repeated keys all count. `JSON.parse` can do none of the three and knows no lines, so this is a
 * small reader of its own. It is strict otherwise.
 */
import { ConfigError } from "./errors.ts";
import { missingSection } from "./ini.ts";
import type { RawPair, ReaderContext } from "./reader.ts";

type JsonValue =
  | { readonly type: "scalar"; readonly text: string; readonly line: number }
  | { readonly type: "array"; readonly items: readonly JsonValue[]; readonly line: number }
  | { readonly type: "object"; readonly members: readonly JsonMember[]; readonly line: number };

interface JsonMember {
  readonly key: string;
  readonly value: JsonValue;
  readonly line: number;
}

const MAX_DEPTH = 100;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORDS: Readonly<Record<string, string>> = { true: "1", false: "0", null: "0" };
const WORD = /[A-Za-z_]+/y;
/** A run of characters that need no care inside a string. */
// eslint-disable-next-line no-control-regex -- control characters are what a string must not contain
const PLAIN = /[^"\\\u0000-\u001f]*/y;

class JsonReader {
  readonly #text: string;
  readonly #context: ReaderContext;
  #offset = 0;
  #line = 1;

  constructor(text: string, context: ReaderContext) {
    this.#text = text;
    this.#context = context;
  }

  /** The whole text as one value. */
  document(): JsonValue {
    const value = this.#value(0);
    this.#skip();
    if (this.#offset < this.#text.length) this.#fail(`unexpected ${this.#shown()} after the end`);
    return value;
  }

  #fail(message: string): never {
    throw new ConfigError("syntax", message, this.#context.at(this.#line));
  }

  #shown(): string {
    const character = this.#text[this.#offset];
    return character === undefined ? "end of the file" : JSON.stringify(character);
  }

  /** White space and comments. */
  #skip(): void {
    for (;;) {
      const character = this.#text[this.#offset];
      if (character === "\n") this.#line += 1;
      else if (character === "/") {
        this.#comment();
        continue;
      } else if (character !== " " && character !== "\t" && character !== "\r") return;
      this.#offset += 1;
    }
  }

  #comment(): void {
    const block = this.#text.startsWith("/*", this.#offset);
    if (!block && !this.#text.startsWith("//", this.#offset)) this.#fail('unexpected "/"');
    const end = this.#text.indexOf(block ? "*/" : "\n", this.#offset + 2);
    if (block && end < 0) this.#fail("this comment has no end");
    const stop = end < 0 ? this.#text.length : block ? end + 2 : end;
    for (let index = this.#offset; index < stop; index += 1)
      if (this.#text[index] === "\n") this.#line += 1;
    this.#offset = stop;
  }

  #value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) this.#fail(`nested deeper than ${MAX_DEPTH} levels`);
    this.#skip();
    const line = this.#line;
    const character = this.#text[this.#offset];
    if (character === "{") return { type: "object", members: this.#members(depth), line };
    if (character === "[") return { type: "array", items: this.#items(depth), line };
    if (character === '"') return { type: "scalar", text: this.#string(), line };
    return { type: "scalar", text: this.#number() ?? this.#word(), line };
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) return undefined;
    this.#offset += found.length;
    return found;
  }

  #number(): string | undefined {
    return this.#take(NUMBER);
  }

  #word(): string {
    const start = this.#offset;
    const word = this.#take(WORD);
    const value = word === undefined || !Object.hasOwn(WORDS, word) ? undefined : WORDS[word];
    if (value !== undefined) return value;
    this.#offset = start;
    this.#fail(
      `a value is expected, not ${word === undefined ? this.#shown() : JSON.stringify(word)}`,
    );
  }

  #string(): string {
    let text = "";
    this.#offset += 1;
    for (;;) {
      text += this.#take(PLAIN) ?? "";
      const character = this.#text[this.#offset];
      this.#offset += 1;
      if (character === '"') return text;
      if (character === "\\") text += this.#escape();
      else {
        this.#offset -= 1;
        this.#fail(
          character === undefined || character === "\n"
            ? "this string has no end"
            : `unexpected ${this.#shown()} in a string`,
        );
      }
    }
  }

  #escape(): string {
    const letter = this.#text[this.#offset] ?? "";
    this.#offset += 1;
    if (Object.hasOwn(ESCAPES, letter)) return ESCAPES[letter] ?? "";
    const hex = this.#text.slice(this.#offset, this.#offset + 4);
    if (letter !== "u" || !/^[0-9a-fA-F]{4}$/.test(hex))
      this.#fail(`unknown escape ${JSON.stringify(`\\${letter}`)}`);
    this.#offset += 4;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  /** Behind an element: true to go on with the next, false at the end. */
  #more(end: string): boolean {
    this.#skip();
    const character = this.#text[this.#offset];
    if (character !== "," && character !== end)
      this.#fail(`"," or "${end}" is expected, not ${this.#shown()}`);
    this.#offset += 1;
    return character === ",";
  }

  /** Enters an object or array; true if it has elements. */
  #enter(end: string): boolean {
    this.#offset += 1;
    this.#skip();
    if (this.#text[this.#offset] !== end) return true;
    this.#offset += 1;
    return false;
  }

  #members(depth: number): readonly JsonMember[] {
    const members: JsonMember[] = [];
    if (!this.#enter("}")) return members;
    do {
      this.#skip();
      const line = this.#line;
      if (this.#text[this.#offset] !== '"')
        this.#fail(`a key in quotes is expected, not ${this.#shown()}`);
      const key = this.#string();
      this.#skip();
      if (this.#text[this.#offset] !== ":") this.#fail(`":" is expected, not ${this.#shown()}`);
      this.#offset += 1;
      members.push({ key, value: this.#value(depth + 1), line });
    } while (this.#more("}"));
    return members;
  }

  #items(depth: number): readonly JsonValue[] {
    const items: JsonValue[] = [];
    if (!this.#enter("]")) return items;
    do items.push(this.#value(depth + 1));
    while (this.#more("]"));
    return items;
  }
}

/**
 * Pairs of the object under the section key: strings as they are, numbers by their text, true 1,
 * false and null 0, an array repeats its key. Objects inside are ignored as in uWSGI, with a warning.
 * A missing section is an error there and here.
 */
export function readJson(text: string, context: ReaderContext): readonly RawPair[] {
  const document = new JsonReader(text, context).document();
  if (document.type !== "object")
    throw new ConfigError("syntax", "the document must be an object", context.at(document.line));
  const sections = document.members.filter((member) => member.key === context.section);
  const [section, second] = sections;
  if (section === undefined) {
    missingSection(
      { ...context, sectionGiven: true },
      document.members.map((member) => member.key),
    );
    return [];
  }
  if (second !== undefined)
    context.warn(
      "duplicate-section",
      second.line,
      `a second ${JSON.stringify(context.section)} is ignored`,
    );
  if (section.value.type !== "object") {
    throw new ConfigError(
      "syntax",
      `${JSON.stringify(context.section)} must be an object`,
      context.at(section.line),
    );
  }
  const pairs: RawPair[] = [];
  const add = (key: string, value: JsonValue): void => {
    if (value.type !== "scalar") {
      context.warn(
        "ignored-content",
        value.line,
        `the ${value.type} in ${JSON.stringify(key)} has no meaning here and is ignored`,
      );
      return;
    }
    if (pairs.length >= context.maxPairs)
      throw new ConfigError(
        "too-large",
        `more than ${context.maxPairs} values`,
        context.at(value.line),
      );
    pairs.push({
      key: context.expand(key, value.line),
      value: context.expand(value.text, value.line),
      line: value.line,
    });
  };
  for (const { key, value } of section.value.members) {
    if (value.type === "array") for (const item of value.items) add(key, item);
    else add(key, value);
  }
  return pairs;
}
