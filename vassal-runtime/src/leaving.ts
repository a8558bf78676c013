/**
 * What has to be done before this process ends or executes itself anew: end of daemons, last hooks,
 * removal of files. All of it is synchronous, because nothing else of the process goes on then. Knows
 * not what is done.
 */
import { reasonOf } from "./errors.ts";
import { log } from "./log.ts";

export type Leaving = "exit" | "reload";

const farewells: ((why: Leaving) => void)[] = [];
let left = false;

function onExit(): void {
  leave("exit");
}

/** Registers something for the end; what was registered last is done first. */
export function atLeaving(farewell: (why: Leaving) => void): void {
  if (farewells.length === 0) process.once("exit", onExit);
  farewells.push(farewell);
}

/** Does it all, once; called at the exit of the process by itself and before a re-execution. */
export function leave(why: Leaving): void {
  if (left) return;
  left = true;
  for (const farewell of farewells.toReversed()) {
    try {
      farewell(why);
    } catch (error) {
      log(`while ${why === "exit" ? "stopping" : "reloading"}: ${reasonOf(error)}; going on`);
    }
  }
}
