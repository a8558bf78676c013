/** The package's one error class. Match on `code`, never on the text. */
import { errnoName } from "./constants.ts";

/** A system call that failed although the caller asked for something that usually works. */
export class LinuxError extends Error {
  override readonly name = "LinuxError";
  /** Symbolic errno (`ENOENT`); `ADDON_MISSING` when the native addon cannot be loaded. */
  readonly code: string;
  readonly errno: number;
  /** The call or step that failed: `bind`, `waitid`, `address`... */
  readonly step: string;

  constructor(fields: {
    step: string;
    errno: number;
    code?: string;
    message: string;
    cause?: unknown;
  }) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = fields.code ?? errnoName(fields.errno);
    this.errno = fields.errno;
    this.step = fields.step;
  }
}

/** Called by the addon for each failed call; `detail` is what it was about (a path, an address). */
export function makeLinuxError(
  step: string,
  errno: number,
  meaning: string,
  detail: string | undefined,
): LinuxError {
  const about = detail === undefined ? "" : ` ${JSON.stringify(detail)}`;
  return new LinuxError({
    step,
    errno,
    message: `${step}${about} failed: ${meaning} (${errnoName(errno)})`,
  });
}
