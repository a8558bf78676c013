/** Everything that can be wrong with a configuration. Match on `code`, never on the text. */
import { formatOrigin } from "./origin.ts";
import type { ConfigOrigin } from "./origin.ts";

export type ConfigErrorCode =
  | "unreadable"
  | "timeout"
  | "http-status"
  | "too-large"
  | "too-deep"
  | "include-cycle"
  | "unknown-format"
  | "scheme-unavailable"
  | "syntax"
  | "missing-section"
  | "bad-directive"
  | "nested-logic"
  | "unclosed-block"
  | "placeholder-cycle"
  | "unresolved-placeholder"
  | "bad-encoding"
  | "unknown-option"
  | "ambiguous-option"
  | "bad-argument"
  | "forbidden-option"
  | "strict"
  | "not-available"
  | "invalid-value";

/**
 * A configuration that cannot be used. `message` says what, where and why; `origin` gives file and
 * line. Nothing of the configuration is in force after it.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code: ConfigErrorCode;
  readonly origin: ConfigOrigin | undefined;
  /** File (or `command line`, or a variable's name) and line, as in `origin`. */
  readonly file: string | undefined;
  readonly line: number | undefined;

  constructor(
    code: ConfigErrorCode,
    message: string,
    origin?: ConfigOrigin,
    options?: { readonly cause?: unknown },
  ) {
    super(origin === undefined ? message : `${formatOrigin(origin)}: ${message}`, options);
    this.code = code;
    this.origin = origin;
    this.file = origin?.source;
    this.line = origin?.line;
  }
}

export type ConfigWarningCode =
  | "unknown-key"
  | "unresolved-placeholder"
  | "missing-section"
  | "outside-section"
  | "unknown-magic"
  | "stray-end"
  | "nested-logic"
  | "duplicate-section"
  | "ignored-content"
  | "bad-encoding"
  | "command-failed";

/** Something an administrator should know; the configuration is usable. */
export interface ConfigWarning {
  readonly code: ConfigWarningCode;
  /** Complete sentence with file and line. */
  readonly message: string;
  readonly origin?: ConfigOrigin;
  /** Key that the warning is about, for `unknown-key`. */
  readonly key?: string;
  /** The known option that was probably meant. */
  readonly suggestion?: string;
}

/** An expected failure as a value. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: ConfigError };
