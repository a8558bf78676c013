/** The text of a file with what `inject-before` and `inject-after` put around it, and which line is whose. */

export interface TextPart {
  /** How messages call it. */
  readonly name: string;
  readonly text: string;
}

function newlinesIn(text: string): number {
  let count = 0;
  for (let index = text.indexOf("\n"); index >= 0; index = text.indexOf("\n", index + 1))
    count += 1;
  return count;
}

export class InjectedText {
  /** Joined without a newline in between, as in uWSGI. */
  readonly text: string;
  readonly #own: TextPart;
  /** Parts with the number of newlines before them; only when something was injected. */
  readonly #parts: readonly { readonly name: string; readonly before: number }[] | undefined;

  constructor(before: readonly TextPart[], own: TextPart, after: readonly TextPart[]) {
    this.#own = own;
    const parts = [...before, own, ...after];
    this.text = parts.length === 1 ? own.text : parts.map((part) => part.text).join("");
    let lines = 0;
    this.#parts =
      parts.length === 1
        ? undefined
        : parts.map(({ name, text }) => {
            const place = { name, before: lines };
            lines += newlinesIn(text);
            return place;
          });
  }

  /** Whose line a line of the joined text is. Line 0 is the file as a whole. */
  locate(line: number): { readonly name: string; readonly line: number } {
    const part = line < 1 ? undefined : this.#parts?.findLast((each) => each.before < line);
    return part === undefined
      ? { name: this.#own.name, line }
      : { name: part.name, line: line - part.before };
  }
}
