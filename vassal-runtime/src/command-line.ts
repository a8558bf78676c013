/**
 * Splits the value of `command` into an argument vector. No shell takes part: no variable, glob, pipe
 * or substitution has a meaning, so nothing that a tenant writes can start a second program.
 */

/** An argument vector with at least the program's name, or what is wrong with the text. */
export type SplitResult =
  | { readonly ok: true; readonly argv: readonly string[] }
  | { readonly ok: false; readonly reason: string };

/**
 * Words are separated by blanks, tabs and newlines. `'...'` is literal; in `"..."` and outside of
 * quotes a backslash takes the next character as it is. `""` is an empty word.
 */
export function splitCommandLine(text: string): SplitResult {
  const argv: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === "\\" && quote !== "'") {
      i += 1;
      if (i === text.length) return { ok: false, reason: "it ends with a single backslash" };
      word = (word ?? "") + text.charAt(i);
    } else if (quote !== "") {
      if (char === quote) quote = "";
      else word = (word ?? "") + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (/\s/.test(char)) {
      if (word !== undefined) argv.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quote !== "") return { ok: false, reason: `a ${quote} is never closed` };
  if (word !== undefined) argv.push(word);
  if (argv.length === 0 || argv[0] === "") return { ok: false, reason: "it names no program" };
  if (text.includes("\0")) return { ok: false, reason: "it contains a NUL" };
  return { ok: true, argv };
}
