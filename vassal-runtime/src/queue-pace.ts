/**
 * Looks at the listen queues for `vassal-sos-backlog`, and asks the Emperor for help. uWSGI looks once a
 * second; with the start of an app behind it that is too late for whoever waits. A look is one question
 * to the kernel for each socket. Decides nothing itself, see `demand.ts`.
 */
import type { EmperorConnection } from "./client.ts";
import { QueueWatch } from "./demand.ts";
import { log } from "./log.ts";
import { longestQueue } from "./platform.ts";

/** Each look wakes a vassal that has nothing to do; at twice a second help still comes within one. */
const LOOK_EVERY_MS = 500;

/** `limit`: undefined if nobody wants it; `sockets`: the ones to look at now, none while nobody serves. */
export function watchQueues(
  limit: number | undefined,
  emperor: EmperorConnection,
  sockets: () => readonly { readonly fd: number }[],
): NodeJS.Timeout | undefined {
  if (limit === undefined) return undefined;
  const watch = new QueueWatch(limit);
  return setInterval(() => {
    const overload = watch.look(performance.now(), longestQueue(sockets()));
    if (overload !== undefined) askForHelp(emperor, overload);
  }, LOOK_EVERY_MS);
}

/** Byte 30, and a line in the log. */
export function askForHelp(emperor: EmperorConnection, why: string): void {
  log(`asking Emperor for reinforcements (${why})`);
  emperor.reinforcements();
}
