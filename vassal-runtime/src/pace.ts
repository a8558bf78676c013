/**
 * What a master looks at once a second: how many workers there should be, whether anybody needs them,
 * whether they manage, which files were touched. The decisions are those of `cheaper.ts`, `demand.ts`
 * and `touch.ts`; here they meet the clock, the sockets and the Emperor. Loaded only where it is wanted.
 */
import { createWatcher } from "@emperor/linux";
import type { Watcher } from "@emperor/linux";
import { BUSY_LOAD, wantedWorkers } from "./cheaper.ts";
import type { CheaperState } from "./cheaper.ts";
import type { EmperorConnection } from "./client.ts";
import { DemandWatch } from "./demand.ts";
import type { Generation } from "./generation.ts";
import { log } from "./log.ts";
import { longestQueue } from "./platform.ts";
import { askForHelp, watchQueues } from "./queue-pace.ts";
import { touchWatches } from "./touched-files.ts";
import type { TouchMemory } from "./touched-files.ts";
import type { VassalControls } from "./vassal.ts";

const LOOK_EVERY_MS = 1000;
/** The event loop of a worker that has not reported for so long is busy. */
const SILENT_MS = 2500;

export class Pace {
  readonly #generation: Generation;
  readonly #emperor: EmperorConnection;
  readonly #demand: DemandWatch;
  readonly #timer: NodeJS.Timeout;
  readonly #queues: NodeJS.Timeout | undefined;
  readonly #touched: () => void;
  #cheaper: CheaperState;
  #watcher: Watcher | undefined;

  constructor(
    generation: Generation,
    emperor: EmperorConnection,
    controls: VassalControls,
    touched: TouchMemory,
  ) {
    this.#generation = generation;
    this.#emperor = emperor;
    const { run } = generation.settings;
    this.#demand = new DemandWatch(run.demand, performance.now());
    this.#touched = touchWatches(run.touch, controls, touched);
    if (run.cheap) this.#watchSockets();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#queues = watchQueues(run.demand.sosBacklog, emperor, () =>
      this.#watcher === undefined && generation.phase === "serving" ? generation.sockets : [],
    );
  }

  /** Ends all looking. */
  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#queues);
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Lets all workers go; the next connection starts them again. */
  sleep(why: string): void {
    if (this.#watcher !== undefined || this.#generation.phase !== "serving") return;
    log(`the workers are stopped, as ${why}; the next connection starts them again`);
    this.#generation.want(0);
    this.#watchSockets();
  }

  #look(): void {
    this.#touched();
    if (this.#watcher !== undefined || this.#generation.phase !== "serving") return;
    const now = performance.now();
    const { settings, sockets, workers } = this.#generation;
    const { cheaper, demand, dieOnIdle } = settings.run;
    const busy = workers.filter(
      ({ accepting, report, reportAt }) =>
        !accepting || report.load > BUSY_LOAD || now - reportAt > SILENT_MS,
    ).length;
    const { idle, overload } = this.#demand.look({
      now,
      requests: this.#generation.requests,
      running: workers.reduce((sum, { report }) => sum + report.running, 0),
      allBusy: workers.length > 0 && busy === workers.length,
    });
    if (overload !== undefined) askForHelp(this.#emperor, overload);
    if (idle && dieOnIdle) this.#dispensable();
    else if (idle)
      return this.sleep(`there was no request for ${(demand.idleMs ?? 0) / 1000} s (idle)`);
    if (cheaper === undefined) return;
    const wanted = this.#generation.wanted;
    const next = wantedWorkers(cheaper, this.#cheaper, {
      now,
      workers: wanted,
      busy: busy + Math.max(0, wanted - workers.length),
      backlog: longestQueue(sockets),
    });
    this.#cheaper = next.state;
    if (next.workers === wanted) return;
    log(`cheaper: ${next.workers} worker(s) instead of ${wanted}, ${busy} of them busy`);
    this.#generation.want(next.workers);
  }

  #dispensable(): void {
    const { idleMs } = this.#generation.settings.run.demand;
    const since = `no request for ${(idleMs ?? 0) / 1000} s (die-on-idle)`;
    if (this.#emperor.bye())
      return log(`${since}: told the Emperor that this vassal is not needed`);
    log(`${since}: stopping`);
    process.kill(process.pid, "SIGTERM");
  }

  #watchSockets(): void {
    const watcher = createWatcher(() => this.#wake());
    this.#watcher = watcher;
    for (const [token, { fd }] of this.#generation.sockets.entries())
      watcher.addListener(fd, token);
  }

  #wake(): void {
    if (this.#watcher === undefined) return;
    this.#watcher.close();
    this.#watcher = undefined;
    const { cheaper } = this.#generation.settings.run;
    log("a connection came: starting the workers");
    this.#demand.wake(performance.now());
    this.#generation.want(cheaper?.initial ?? this.#generation.settings.processes);
  }
}
