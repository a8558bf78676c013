/** The programs that are built beside the addon. */
import { fileURLToPath } from "node:url";

/** Absolute path of the program that outlives an Emperor to end its vassals, see `native/programs/emperor-guardian.c`. */
export const GUARDIAN_PROGRAM: string = fileURLToPath(
  new URL("../build/emperor-guardian", import.meta.url),
);

/** A signature below this would not be taken: it could be a limit that was set on purpose. */
export const SMALLEST_SIGNATURE: number = 2 ** 48 + 1;

/** Absolute path of the program that narrows a vassal's file system, see `native/programs/emperor-sandbox.c`. */
export const SANDBOX_PROGRAM: string = fileURLToPath(
  new URL("../build/emperor-sandbox", import.meta.url),
);
