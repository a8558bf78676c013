/**
 * The error class of this package and its codes. Expected failures of a vassal's start (a bad value, a
 * port in use, an app that throws) end in one of these; the command line turns them into one message
 * and an exit code. Knows nothing of who throws or prints them.
 */

/** Every code, what it means, and the exit code of the `vassal` command for it. */
export const RUNTIME_ERRORS = {
  /** A command-line argument is unknown or lacks its value. */
  VASSAL_USAGE: 1,
  /** The configuration cannot be read or a value in it makes no sense. */
  VASSAL_CONFIG: 1,
  /** An option of uWSGI that this version does not serve yet. */
  VASSAL_NOT_YET: 1,
  /** A listening socket cannot be created. */
  VASSAL_BIND: 1,
  /** Certificate or key of an `https-socket` cannot be read, or do not fit together. */
  VASSAL_TLS: 1,
  /** `uid`, `gid` or `chdir` could not be applied. */
  VASSAL_CREDENTIALS: 1,
  /** A namespace, root directory, cgroup, capability or limit could not be had. */
  VASSAL_JAIL: 1,
  /** `node-app` threw while it was loaded, or does not exist. */
  VASSAL_APP_FAILED: 1,
  /** `node-app` was loaded but offers nothing that can serve requests. */
  VASSAL_NO_APP: 22,
  /** What `wait-for-...` names did not come in time. */
  VASSAL_WAIT: 1,
  /** A hook of the start failed. */
  VASSAL_HOOK: 1,
  /** `command` could not be executed. */
  VASSAL_COMMAND: 1,
} as const;

export type RuntimeErrorCode = keyof typeof RUNTIME_ERRORS;

/** What the message should mention beyond its text; all of it is also in the text. */
export interface RuntimeErrorFields {
  readonly option?: string;
  readonly file?: string;
  readonly line?: number;
}

/** One expected failure. `message` says what, where, why and what happens next. */
export class RuntimeError extends Error {
  readonly code: RuntimeErrorCode;
  readonly fields: RuntimeErrorFields;

  constructor(
    code: RuntimeErrorCode,
    message: string,
    fields: RuntimeErrorFields = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "RuntimeError";
    this.code = code;
    this.fields = fields;
  }

  /** The exit code of the `vassal` command: 22 asks the Emperor not to try again at once. */
  get exitCode(): number {
    return RUNTIME_ERRORS[this.code];
  }
}

/** The text of anything that was thrown, for a message. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
