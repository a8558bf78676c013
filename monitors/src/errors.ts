/** Everything that can be wrong with a monitor's address. Match on `code`, never on the text. */

export const MONITOR_ERROR_CODES = {
  "empty-address": "The text after the scheme, or the whole argument, is empty.",
  "invalid-address":
    "The address holds a NUL character, which no path can have, or its scheme can make no sense of it.",
  "invalid-option":
    "An option of the address (after its `?` or `#`) does not exist or has a value that cannot be, or the address itself is not of the form that its scheme needs.",
  "unknown-scheme": "The argument starts with SCHEME:// and no monitor of that scheme exists.",
} as const;

export type MonitorErrorCode = keyof typeof MONITOR_ERROR_CODES;

/** A monitor that cannot be made. `argument` is the text as the user wrote it. */
export class MonitorError extends Error {
  override readonly name = "MonitorError";
  readonly code: MonitorErrorCode;
  readonly argument: string;

  constructor(
    code: MonitorErrorCode,
    argument: string,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.argument = argument;
  }
}
