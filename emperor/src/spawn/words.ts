/**
 * Splits what an administrator wrote after an action into words, with quotes. Knows no action. It is
 * never used on anything that a tenant wrote.
 */

export type Words =
  | { readonly ok: true; readonly words: readonly string[] }
  | { readonly ok: false; readonly problem: string };

export type FirstWord =
  /** `rest`: the text after the one blank that ends the word, verbatim; undefined: there is none. */
  | { readonly ok: true; readonly word: string; readonly rest: string | undefined }
  | { readonly ok: false; readonly problem: string };

/**
 * Takes one word from the start of `text`. A word may contain parts in "..." or '...' , which keep
 * their blanks; the quotes go away. A backslash is an ordinary character, as paths had none of it in
 * uWSGI, where an action's argument could not be quoted at all.
 */
export function takeWord(text: string): FirstWord {
  let word = "";
  let index = 0;
  while (index < text.length) {
    const character = text.charAt(index);
    if (character === " " || character === "\t") break;
    if (character === '"' || character === "'") {
      const end = text.indexOf(character, index + 1);
      if (end < 0) return { ok: false, problem: `the quote ${character} is never closed` };
      word += text.slice(index + 1, end);
      index = end + 1;
    } else {
      word += character;
      index += 1;
    }
  }
  return { ok: true, word, rest: index < text.length ? text.slice(index + 1) : undefined };
}

/** All words of `text`; blanks between them do not count. */
export function splitWords(text: string): Words {
  const words: string[] = [];
  let rest: string | undefined = text.trim();
  while (rest !== undefined && rest !== "") {
    const taken = takeWord(rest);
    if (!taken.ok) return taken;
    words.push(taken.word);
    rest = taken.rest?.trimStart();
  }
  return { ok: true, words };
}

/**
 * An argument that is one path. Without quotes it is taken whole, blanks included, as uWSGI does;
 * wrapped in quotes it loses them.
 */
export function unquoteWhole(text: string): string {
  const first = text.charAt(0);
  const quoted = text.length >= 2 && (first === '"' || first === "'") && text.endsWith(first);
  return quoted && text.indexOf(first, 1) === text.length - 1 ? text.slice(1, -1) : text;
}
