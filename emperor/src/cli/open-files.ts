/**
 * The limit of open descriptors. The Emperor needs about three per vassal, so it takes what it can
 * get; vassals get what the Emperor was started with.
 */
import { EmperorError, reasonOf } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import type { OpenFileLimit, System } from "./system.ts";

/** Set by the launcher, because Node raises the soft limit by itself before any of our code runs. */
export const OPEN_FILES_VARIABLE = "EMPEROR_OPEN_FILES";

/**
 * Raises the soft limit to the hard one, or sets both to `maxFd`.
 * @returns the limit for vassals; undefined: they inherit the Emperor's
 * @throws EmperorError `limit-failed` when `max-fd` is refused
 */
export function raiseOpenFiles(
  maxFd: number | undefined,
  launchedWith: string | undefined,
  system: Pick<System, "openFileLimit" | "setOpenFileLimit">,
  logger: Logger,
): OpenFileLimit | undefined {
  const before = system.openFileLimit();
  if (maxFd !== undefined) {
    try {
      system.setOpenFileLimit({ soft: maxFd, hard: Math.max(maxFd, before.hard) });
    } catch (error) {
      throw new EmperorError(
        "limit-failed",
        `max-fd = ${maxFd}: the hard limit is ${before.hard} and cannot be raised: ${reasonOf(error)}; nothing is started`,
        { cause: error },
      );
    }
    return undefined;
  }
  const soft = /^\d{1,15}$/.test(launchedWith ?? "") ? Number(launchedWith) : undefined;
  if (before.soft < before.hard) {
    try {
      system.setOpenFileLimit({ soft: before.hard, hard: before.hard });
    } catch (error) {
      logger.warning(
        `[emperor] the limit of open descriptors stays ${before.soft}: ${reasonOf(error)}`,
      );
      return undefined;
    }
  }
  if (soft === undefined || soft >= before.hard) return undefined;
  logger.info(
    `[emperor] limit of open descriptors raised from ${soft} to ${before.hard}; vassals start with ${soft}`,
  );
  return { soft, hard: before.hard };
}
