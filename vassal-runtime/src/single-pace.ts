/**
 * What a vassal of one process looks at once a second: whether anybody needs it, whether it manages,
 * which files were touched. The decisions are those of `demand.ts` and `touch.ts`. Loaded only where it
 * is wanted.
 */
import { performance } from "node:perf_hooks";
import { BUSY_LOAD } from "./cheaper.ts";
import type { RequestWatch } from "./connections.ts";
import { DemandWatch } from "./demand.ts";
import { log } from "./log.ts";
import { askForHelp, watchQueues } from "./queue-pace.ts";
import { touchWatches } from "./touched-files.ts";
import type { Vassal, VassalControls } from "./vassal.ts";

const LOOK_EVERY_MS = 1000;

/** Looks from now on; the result is to be told of every request. */
export function watchSingle(vassal: Vassal, controls: VassalControls): RequestWatch {
  const { emperor, settings, sockets } = vassal;
  const { demand, touch } = settings.run;
  const watch = new DemandWatch(demand, performance.now());
  const touched = touchWatches(touch, controls);
  let requests = 0;
  let running = 0;
  let utilization = performance.eventLoopUtilization();
  const look = (): void => {
    touched();
    const now = performance.eventLoopUtilization();
    const load = performance.eventLoopUtilization(now, utilization).utilization;
    utilization = now;
    const { idle, overload } = watch.look({
      now: performance.now(),
      requests,
      running,
      allBusy: load > BUSY_LOAD,
    });
    if (overload !== undefined) askForHelp(emperor, overload);
    if (!idle) return;
    const since = `no request for ${(demand.idleMs ?? 0) / 1000} s (die-on-idle)`;
    if (emperor.bye()) return log(`${since}: told the Emperor that this vassal is not needed`);
    log(`${since}: stopping`);
    controls.stop(true);
  };
  setInterval(look, LOOK_EVERY_MS).unref();
  watchQueues(demand.sosBacklog, emperor, () => sockets)?.unref();
  return {
    begin: () => {
      running += 1;
    },
    end: () => {
      running -= 1;
      requests += 1;
    },
  };
}
