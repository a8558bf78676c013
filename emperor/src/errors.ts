/**
 * Everything that can keep the Emperor from starting or going on. Match on `code`, never on text;
 * docs/errors.md describes each code. One vassal's troubles are not here: they are events.
 */

/** Exit codes are classes: who has to do something. */
export const EXIT = {
  done: 0,
  /** The command line or a configuration is wrong. */
  wrongUse: 100,
  /** A defect of ours. */
  bug: 101,
  /** The system refused: permissions, addresses in use, limits. */
  refused: 111,
} as const;

/** Each code with the exit code it leads to. */
export const EMPEROR_ERRORS = {
  "wrong-use": EXIT.wrongUse,
  "no-monitor": EXIT.wrongUse,
  "bad-address": EXIT.wrongUse,
  "unknown-user": EXIT.wrongUse,
  "unknown-group": EXIT.wrongUse,
  "bad-hook": EXIT.wrongUse,
  "bad-monitor": EXIT.wrongUse,
  "proxy-failed": EXIT.refused,
  "address-in-use": EXIT.refused,
  "bind-failed": EXIT.refused,
  "pidfile-locked": EXIT.refused,
  "pidfile-failed": EXIT.refused,
  "log-failed": EXIT.refused,
  "directory-failed": EXIT.refused,
  "credentials-failed": EXIT.refused,
  "limit-failed": EXIT.refused,
  "hook-failed": EXIT.refused,
  "daemon-failed": EXIT.refused,
} as const;

export type EmperorErrorCode = keyof typeof EMPEROR_ERRORS;

/** An expected failure of the whole Emperor. `message` says what, where, why and what happens next. */
export class EmperorError extends Error {
  override readonly name = "EmperorError";
  readonly code: EmperorErrorCode;
  readonly exitCode: number;

  constructor(code: EmperorErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.exitCode = EMPEROR_ERRORS[code];
  }
}

/** `EACCES: permission denied`: the part of a system error that says why, without Node's decoration. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node writes `EACCES: permission denied, open '/x'` or `listen EADDRINUSE: address already in use
  // :::80`: call and path are said by the caller.
  return /\bE[A-Z0-9]+: [a-z][a-z -]*[a-z]/.exec(error.message)?.[0] ?? error.message;
}

/** The errno name of a system error, `""` for anything else. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
}
