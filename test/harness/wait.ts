/**
 * The one way in which integration tests wait: for a condition, with a deadline, and with a full
 * account of what was seen when the deadline passes. Knows nothing of Emperors.
 */

/** Something that may have changed the outcome of a condition, and a story to tell on time-out. */
export interface Witness {
  /** Calls back whenever something happened; returns the way to stop that. */
  onChange(listener: () => void): () => void;
  /** What was seen so far, for the message of a failed wait. */
  account(): string;
}

export interface WaitOptions {
  /** Milliseconds until the wait fails. Generous: it bounds a failure, it measures nothing. */
  readonly deadlineMs?: number;
  readonly witness?: Witness;
}

const DEFAULT_DEADLINE_MS = 30_000;
/** Conditions about the world outside (/proc, statistics) have no event to wait for. */
const LOOK_AGAIN_MS = 25;

/** An attempt that gives no answer for so long counts as "not yet", and is made again. */
const ATTEMPT_MS = 10_000;

async function answered<T>(attempt: T | Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("an attempt gave no answer")), ATTEMPT_MS);
  });
  try {
    return await Promise.race([attempt, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Resolves with the first value of `attempt` that is not undefined or false. It is tried at once,
 * after every change the witness reports, and every few milliseconds. An error that `attempt`
 * throws counts as "not yet" and is shown on time-out.
 */
export async function waitFor<T>(
  what: string,
  attempt: () => T | undefined | false | Promise<T | undefined | false>,
  options: WaitOptions = {},
): Promise<T> {
  const deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  const endsAt = performance.now() + deadlineMs;
  let wake: (() => void) | undefined;
  const forget = options.witness?.onChange(() => wake?.());
  let lastError = "";
  try {
    for (;;) {
      try {
        const value = await answered(attempt());
        if (value !== undefined && value !== false) return value;
        lastError = "";
      } catch (error) {
        lastError = error instanceof Error ? error.message : JSON.stringify(error);
      }
      if (performance.now() >= endsAt) break;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_AGAIN_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  } finally {
    forget?.();
  }
  const because = lastError === "" ? "" : `\nlast attempt: ${lastError}`;
  const seen = options.witness === undefined ? "" : `\n${options.witness.account()}`;
  throw new Error(`waited ${deadlineMs} ms for ${what}${because}${seen}`);
}
