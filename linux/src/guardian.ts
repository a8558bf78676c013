/** The program that outlives an Emperor to end its vassals, see `native/guardian/guardian.c`. */
import { fileURLToPath } from "node:url";

/** Absolute path of the program, which is built with the addon. */
export const GUARDIAN_PROGRAM: string = fileURLToPath(
  new URL("../build/emperor-guardian", import.meta.url),
);

/** A signature below this would not be taken: it could be a limit that was set on purpose. */
export const SMALLEST_SIGNATURE: number = 2 ** 48 + 1;
