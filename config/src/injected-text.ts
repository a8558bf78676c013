/** The text of a file with what `inject-before` and `inject-after` put around it, and which line is whose. */

export interface TextPart {
  /** How messages call it. */
  readonly name: string;
  readonly text: string;
}

interface Place {
  readonly name: string;
  readonly newlinesBefore: number;
  /** First line of the joined text that begins in this part. */
  readonly firstLine: number;
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
  /** Only when something was injected. */
  readonly #parts: readonly Place[] | undefined;

  constructor(before: readonly TextPart[], own: TextPart, after: readonly TextPart[]) {
    this.#own = own;
    const parts = [...before, own, ...after];
    this.text = parts.length === 1 ? own.text : parts.map((part) => part.text).join("");
    let lines = 0;
    let midLine = false;
    this.#parts =
      parts.length === 1
        ? undefined
        : parts.map(({ name, text }) => {
            const place = { name, newlinesBefore: lines, firstLine: lines + (midLine ? 2 : 1) };
            lines += newlinesIn(text);
            midLine = text === "" ? midLine : !text.endsWith("\n");
            return place;
          });
  }

  /** Whose line a line of the joined text is: the part in which it begins. Line 0 is the file as a whole. */
  locate(line: number): { readonly name: string; readonly line: number } {
    const part = line < 1 ? undefined : this.#parts?.findLast((each) => each.firstLine <= line);
    return part === undefined
      ? { name: this.#own.name, line }
      : { name: part.name, line: line - part.newlinesBefore };
  }
}
