/**
 * Remembers what an operator was told of single entries, so that each thing is said once as long as
 * it lasts. Makes the sentences; looks at nothing.
 */
import type { SkippedKind } from "./finder.ts";
import { quoteName } from "./names.ts";

const SENTENCES: Readonly<Record<SkippedKind, string>> = {
  directory: "is a directory, not a config; ignoring it",
  fifo: "is a fifo, not a config; ignoring it",
  socket: "is a socket, not a config; ignoring it",
  device: "is a device, not a config; ignoring it",
  dangling: "is a symbolic link to nothing; ignoring it",
  unreadable: "cannot be examined; it stays as it was",
  "invalid-utf8": "has a name that is not valid UTF-8; ignoring it",
};

export class Oddities {
  readonly #told = new Map<string, string>();

  /** The sentence for an entry that is no config, or undefined if it was said already. */
  skipped(name: string, what: SkippedKind): string | undefined {
    return this.say(name, SENTENCES[what]);
  }

  /** `"NAME" predicate`, or undefined if exactly that was said last of this name. */
  say(name: string, predicate: string): string | undefined {
    if (this.#told.get(name) === predicate) return undefined;
    this.#told.set(name, predicate);
    return `${quoteName(name)} ${predicate}`;
  }

  /** Nothing is odd about the name any more. */
  clear(name: string): void {
    this.#told.delete(name);
  }

  /** After a look at everything: names that are not odd any more may be told of again. */
  keepOnly(isStillThere: (name: string) => boolean): void {
    for (const name of this.#told.keys()) if (!isStillThere(name)) this.#told.delete(name);
  }
}
