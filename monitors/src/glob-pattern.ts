/**
 * Shell patterns as the C library's glob(3) reads them: `*`, `?`, classes, backslash. No `**`, no
 * braces; a leading dot is only matched by a dot. Pure: matches texts, looks at nothing.
 */

/** One part of a pattern between slashes. */
export type PatternPart =
  /** No wildcard: the text itself, backslashes resolved. */
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "wild"; readonly matches: (name: string) => boolean };

export interface GlobPattern {
  readonly isAbsolute: boolean;
  /** Without the empty parts of doubled slashes. */
  readonly parts: readonly PatternPart[];
  /** Ends in a slash, so that only directories match. */
  readonly wantsDirectory: boolean;
}

const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alnum: "\\p{L}\\p{Nd}",
  alpha: "\\p{L}",
  blank: " \\t",
  cntrl: "\\p{Cc}",
  digit: "0-9",
  graph: "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}",
  lower: "\\p{Ll}",
  print: " \\p{L}\\p{M}\\p{N}\\p{P}\\p{S}",
  punct: "\\p{P}\\p{S}",
  space: "\\s",
  upper: "\\p{Lu}",
  xdigit: "0-9A-Fa-f",
};

/** Whether the text has a character that makes it a pattern. An escaped one does not count. */
export function hasWildcard(text: string): boolean {
  return parsePattern(text).parts.some((part) => part.kind === "wild");
}

export function parsePattern(text: string): GlobPattern {
  const parts = text.split("/").filter((part) => part !== "");
  return {
    isAbsolute: text.startsWith("/"),
    parts: parts.map(parsePart),
    wantsDirectory: text.endsWith("/"),
  };
}

function parsePart(part: string): PatternPart {
  let expression = "";
  let literal = "";
  let isWild = false;
  const characters = Array.from(part);
  for (let index = 0; index < characters.length; index += 1) {
    const character = characters[index] ?? "";
    if (character === "*") {
      isWild = true;
      // Several stars match what one matches, and one backtracks less.
      if (!expression.endsWith("[^]*")) expression += "[^]*";
      continue;
    }
    if (character === "?") {
      isWild = true;
      expression += "[^]";
      continue;
    }
    const bracket = character === "[" ? parseBracket(characters, index) : undefined;
    if (bracket !== undefined) {
      isWild = true;
      expression += bracket.expression;
      index = bracket.end;
      continue;
    }
    // A backslash takes the special meaning off; at the very end it stands for itself.
    const isEscape = character === "\\" && index + 1 < characters.length;
    if (isEscape) index += 1;
    const plain = isEscape ? (characters[index] ?? "") : character;
    literal += plain;
    expression += escapeForRegExp(plain);
  }
  if (!isWild) return { kind: "literal", text: literal };
  const regExp = new RegExp(`^${expression}$`, "u");
  const matchesDot = /^\\?\./.test(part);
  return {
    kind: "wild",
    matches: (name) => (matchesDot || !name.startsWith(".")) && regExp.test(name),
  };
}

/** A class at `[`, or undefined if it is never closed: then the bracket stands for itself. */
function parseBracket(
  characters: readonly string[],
  start: number,
): { readonly expression: string; readonly end: number } | undefined {
  let index = start + 1;
  const isNegated = characters[index] === "!" || characters[index] === "^";
  if (isNegated) index += 1;
  let members = "";
  // A `]` in the first place is a member.
  for (let isFirst = true; isFirst || characters[index] !== "]"; isFirst = false) {
    if (index >= characters.length) return undefined;
    const named = parseNamedClass(characters, index);
    if (named !== undefined) {
      members += named.members;
      index = named.end + 1;
      continue;
    }
    const low = readMember(characters, index);
    if (low === undefined) return undefined;
    index = low.end + 1;
    const isRange =
      characters[index] === "-" && index + 1 < characters.length && characters[index + 1] !== "]";
    const high = isRange ? readMember(characters, index + 1) : low;
    if (high === undefined) return undefined;
    if (isRange) index = high.end + 1;
    members += rangeMembers(low.character, high.character);
  }
  // `[^...]` of nothing is anything, `[]` of nothing is nothing: both are what RegExp makes of them.
  return { expression: isNegated ? `[^${members}]` : `[${members}]`, end: index };
}

function readMember(
  characters: readonly string[],
  index: number,
): { readonly character: string; readonly end: number } | undefined {
  const end = characters[index] === "\\" ? index + 1 : index;
  const character = characters[end];
  return character === undefined ? undefined : { character, end };
}

/** `[:alpha:]` inside of a class. */
function parseNamedClass(
  characters: readonly string[],
  index: number,
): { readonly members: string; readonly end: number } | undefined {
  if (characters[index] !== "[" || characters[index + 1] !== ":") return undefined;
  const match = /^\[:([a-z]+):\]/.exec(characters.slice(index, index + 12).join(""));
  const members = match?.[1] === undefined ? undefined : POSIX_CLASSES[match[1]];
  if (match === null || members === undefined) return undefined;
  return { members, end: index + match[0].length - 1 };
}

/** A range the wrong way round has no member, as in the C library. */
function rangeMembers(low: string, high: string): string {
  const lowPoint = low.codePointAt(0) ?? 0;
  const highPoint = high.codePointAt(0) ?? 0;
  if (lowPoint > highPoint) return "";
  const from = `\\u{${lowPoint.toString(16)}}`;
  return lowPoint === highPoint ? from : `${from}-\\u{${highPoint.toString(16)}}`;
}

function escapeForRegExp(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
