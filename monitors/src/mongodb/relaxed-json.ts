/**
 * JSON as people write it on a command line: keys without quotes, single quotes, a comma too many.
 * Pure; nothing in it is ever evaluated.
 */

/** Deepest nesting; a filter needs a handful. */
const MAX_DEPTH = 64;

const TOKEN =
  /\s*(?:([{}[\],:])|("(?:[^"\\]|\\[^])*")|('(?:[^'\\]|\\[^])*')|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w$.]))|([\w$.]+))/y;

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** @throws Error whose message is the rest of a sentence */
export function parseRelaxedJson(text: string): JsonValue {
  const tokens = new Tokens(text);
  const value = readValue(tokens, 0);
  if (tokens.peek() !== undefined) throw new Error(`has something behind its end at ${tokens.at}`);
  return value;
}

interface Token {
  readonly kind: "mark" | "text" | "number" | "word";
  readonly text: string;
}

class Tokens {
  at = 0;
  readonly #text: string;
  #next: Token | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  peek(): Token | undefined {
    return (this.#next ??= this.#read());
  }

  take(): Token {
    const token = this.peek();
    this.#next = undefined;
    if (token === undefined) throw new Error("ends too early");
    return token;
  }

  takeMark(mark: string): boolean {
    const token = this.peek();
    if (token?.kind !== "mark" || token.text !== mark) return false;
    this.#next = undefined;
    return true;
  }

  #read(): Token | undefined {
    TOKEN.lastIndex = this.at;
    const match = TOKEN.exec(this.#text);
    if (match === null) {
      if (/^\s*$/.test(this.#text.slice(this.at))) return undefined;
      throw new Error(`cannot be read at ${this.at}`);
    }
    this.at = TOKEN.lastIndex;
    const [, mark, double, single, number, word] = match;
    if (mark !== undefined) return { kind: "mark", text: mark };
    if (double !== undefined) return { kind: "text", text: unquote(double) };
    if (single !== undefined) return { kind: "text", text: unquote(fromSingle(single)) };
    if (number !== undefined) return { kind: "number", text: number };
    return { kind: "word", text: word ?? "" };
  }
}

function fromSingle(quoted: string): string {
  const inner = quoted
    .slice(1, -1)
    .replace(/\\'/g, "'")
    .replace(/\\[^]|"/g, (part) => (part === '"' ? '\\"' : part));
  return `"${inner}"`;
}

function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    throw new Error("has a text with a wrong escape or a control character");
  }
}

function readValue(tokens: Tokens, depth: number): JsonValue {
  if (depth > MAX_DEPTH) throw new Error("is nested too deeply");
  if (tokens.takeMark("{")) return readObject(tokens, depth);
  if (tokens.takeMark("[")) return readArray(tokens, depth);
  const token = tokens.take();
  if (token.kind === "text") return token.text;
  if (token.kind === "number") return Number(token.text);
  if (token.text === "true") return true;
  if (token.text === "false") return false;
  if (token.text === "null") return null;
  throw new Error(`has ${JSON.stringify(token.text)} where a value is needed (texts need quotes)`);
}

function readObject(tokens: Tokens, depth: number): JsonValue {
  const entries: [string, JsonValue][] = [];
  while (!tokens.takeMark("}")) {
    const key = tokens.take();
    if (key.kind === "mark")
      throw new Error(`has ${JSON.stringify(key.text)} where a key is needed`);
    if (!tokens.takeMark(":")) throw new Error(`needs a colon after ${JSON.stringify(key.text)}`);
    entries.push([key.text, readValue(tokens, depth + 1)]);
    if (tokens.takeMark(",")) continue;
    if (tokens.takeMark("}")) break;
    throw new Error(`needs a comma or } after the value of ${JSON.stringify(key.text)}`);
  }
  // Own properties, also for a key such as __proto__.
  return Object.fromEntries(entries);
}

function readArray(tokens: Tokens, depth: number): JsonValue {
  const values: JsonValue[] = [];
  while (!tokens.takeMark("]")) {
    values.push(readValue(tokens, depth + 1));
    if (tokens.takeMark(",")) continue;
    if (tokens.takeMark("]")) break;
    throw new Error("needs a comma or ] after a value");
  }
  return values;
}
