/**
 * Finds `$(...)`, `@(...)` and `%(...)` in a text. Parentheses inside are counted; an opening one
 * that is never closed leaves everything as text. What the inside means is the caller's matter.
 */

export interface Occurrence {
  /** Offset of the sign. */
  readonly start: number;
  /** Offset behind the closing parenthesis. */
  readonly end: number;
  readonly inside: string;
}

/** The next occurrence of `sign(` at or after `from`. */
export function findOccurrence(text: string, sign: string, from: number): Occurrence | undefined {
  const start = text.indexOf(`${sign}(`, from);
  if (start < 0) return undefined;
  let depth = 0;
  for (let index = start + 1; index < text.length; index += 1) {
    const character = text[index];
    if (character === "(") depth += 1;
    else if (character === ")") {
      depth -= 1;
      if (depth === 0) return { start, end: index + 1, inside: text.slice(start + 2, index) };
    }
  }
  return undefined;
}

/** What is nested deeper stays as written. */
const MAX_DEPTH = 100;

/**
 * Replaces every occurrence by what `replace` gives for its inside; `undefined` leaves it as written
 * (with what is inside of it replaced). Inner occurrences come first.
 */
export function substitute(
  text: string,
  sign: string,
  replace: (inside: string) => string | undefined,
  depth = 0,
): string {
  if (depth > MAX_DEPTH) return text;
  let result = "";
  let done = 0;
  for (
    let found = findOccurrence(text, sign, 0);
    found !== undefined;
    found = findOccurrence(text, sign, done)
  ) {
    const inside = substitute(found.inside, sign, replace, depth + 1);
    result += text.slice(done, found.start) + (replace(inside) ?? `${sign}(${inside})`);
    done = found.end;
  }
  return done === 0 ? text : result + text.slice(done);
}

/**
 * Value of `$(NAME)`, `$(NAME:-text)` (unset or empty) and `$(NAME-text)` (unset), the latter two
 * from uWSGI 2.1. Undefined when the variable is not set and has no default.
 */
export function environmentValue(
  inside: string,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const own = (name: string): string | undefined =>
    Object.hasOwn(environment, name) ? environment[name] : undefined;
  const exact = own(inside);
  if (exact !== undefined) return exact;
  const dash = inside.indexOf("-");
  if (dash <= 0) return undefined;
  const orEmpty = inside[dash - 1] === ":";
  const value = own(inside.slice(0, orEmpty ? dash - 1 : dash));
  const missing = value === undefined || (orEmpty && value === "");
  return missing ? inside.slice(dash + 1) : value;
}
