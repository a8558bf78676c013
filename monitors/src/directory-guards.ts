/**
 * What is remembered of the directories that hold configs in Tyrant mode: who owns them and who else
 * may write there. Turns it into small numbers that differ when it does; judges nothing.
 */
import type { FileEyes } from "./eyes.ts";

const OTHERS_WRITE = 0o022;

export class DirectoryGuards {
  readonly #eyes: Pick<FileEyes, "identify">;
  /** Number of each state that was ever seen. */
  readonly #numbers = new Map<string, number>();
  readonly #states = new Map<string, number>();

  constructor(eyes: Pick<FileEyes, "identify">) {
    this.#eyes = eyes;
  }

  /** State of a directory, as of the last `refresh` or the first question. */
  stateOf(directory: string): number {
    let state = this.#states.get(directory);
    if (state === undefined) this.#states.set(directory, (state = this.#look(directory)));
    return state;
  }

  /** Looks at all of them again. True when any differs. */
  refresh(): boolean {
    let differs = false;
    for (const [directory, before] of this.#states) {
      const now = this.#look(directory);
      if (now === before) continue;
      this.#states.set(directory, now);
      differs = true;
    }
    return differs;
  }

  #look(directory: string): number {
    let text = "unknown";
    try {
      const identity = this.#eyes.identify(directory);
      if (identity?.uid !== undefined)
        text = `${identity.uid}:${(identity.mode ?? 0) & OTHERS_WRITE}`;
    } catch {
      // Not to be seen now: that is a state like any other, and the monitor says what is wrong.
    }
    let number = this.#numbers.get(text);
    if (number === undefined) this.#numbers.set(text, (number = this.#numbers.size));
    return number;
  }
}
