/**
 * The master: keeps the listening sockets, runs generations of workers on them, and is the Emperor's
 * partner for all of them. A reload starts a new generation beside the old one, which goes only when
 * every new worker accepts; so no connection is refused and no request lost. Knows no HTTP.
 */
import type { VassalMessageName } from "@emperor/protocol";
import { applyEnvironment } from "./credentials.ts";
import { reasonOf } from "./errors.ts";
import { log } from "./log.ts";
import { THE_EMPEROR, followOrders } from "./orders.ts";
import type { RuntimeSettings } from "./settings.ts";
import { bindSockets, closeSockets } from "./sockets.ts";
import type { BoundSocket } from "./sockets.ts";
import type { Vassal } from "./vassal.ts";
import { WorkerProcess } from "./worker-process.ts";

/** A worker that lived shorter than this is started again only after the pause (uWSGI's `forkbomb-delay`). */
const FORKBOMB_MS = 2000;
/** Time for workers that were told to stop at once. */
const STOP_MERCY_MS = 2000;

interface Worker {
  readonly process: WorkerProcess;
  accepting: boolean;
  beatAt: number;
}

interface Generation {
  readonly number: number;
  readonly settings: RuntimeSettings;
  readonly sockets: readonly BoundSocket[];
  readonly workers: Set<Worker>;
  /** Its workers are all there / it has been told to go. */
  phase: "starting" | "serving" | "leaving";
  loyal: boolean;
  readonly respawns: Set<NodeJS.Timeout>;
}

/** Runs the vassal under a master; the process exits when it has ended. */
export function runMaster(vassal: Vassal): void {
  new Master(vassal).run();
}

class Master {
  readonly #vassal: Vassal;
  #current: Generation;
  #next: Generation | undefined;
  readonly #leaving = new Set<Generation>();
  #generations = 0;
  #announced = false;
  #exitCode: number | undefined;
  #reading: Promise<void> | undefined;
  #beat: NodeJS.Timeout | undefined;

  constructor(vassal: Vassal) {
    this.#vassal = vassal;
    this.#current = this.#newGeneration(vassal.settings, vassal.sockets);
  }

  /** Starts the first generation and follows the orders of the Emperor. */
  run(): void {
    followOrders(this.#vassal.emperor, THE_EMPEROR, {
      reload: () => this.#reload(),
      stop: (graceful) => this.#end(0, graceful),
      lost: () => this.#end(1, false),
    });
    this.#launch(this.#current);
  }

  #newGeneration(settings: RuntimeSettings, sockets: readonly BoundSocket[]): Generation {
    this.#generations += 1;
    return {
      number: this.#generations,
      settings,
      sockets,
      workers: new Set(),
      phase: "starting",
      loyal: false,
      respawns: new Set(),
    };
  }

  #launch(generation: Generation): void {
    for (let i = 0; i < generation.settings.processes; i++) this.#spawn(generation);
    const { heartbeatMs } = generation.settings;
    clearInterval(this.#beat);
    if (heartbeatMs !== undefined) {
      this.#beat = setInterval(() => this.#heartbeat(heartbeatMs), heartbeatMs);
      this.#heartbeat(heartbeatMs);
    }
  }

  #spawn(generation: Generation): void {
    const { settings } = generation;
    if (settings.app.kind !== "node") throw new Error("a master runs node-app only");
    const worker: Worker = {
      process: new WorkerProcess({
        script: this.#vassal.launch.script,
        cwd: settings.chdir ?? this.#vassal.launch.cwd,
        environment: applyEnvironment(this.#vassal.launch.environment, settings.environment),
        orders: {
          label: this.#vassal.launch.label,
          file: settings.app.file,
          origin: settings.app.origin,
          sockets: generation.sockets,
          backlog: settings.backlog,
          heartbeatMs: settings.heartbeatMs === undefined ? undefined : settings.heartbeatMs / 2,
          mercyMs: settings.workerReloadMercyMs,
        },
        onMessage: (name) => this.#heard(generation, worker, name),
        onExit: (code, signal) => this.#exited(generation, worker, code, signal),
      }),
      accepting: false,
      beatAt: performance.now(),
    };
    generation.workers.add(worker);
  }

  #heard(generation: Generation, worker: Worker, name: VassalMessageName): void {
    const { emperor } = this.#vassal;
    switch (name) {
      case "spawned":
        if (!this.#announced && !this.#vassal.launch.isReload) emperor.spawned();
        this.#announced = true;
        break;
      case "accepting":
        worker.accepting = true;
        worker.beatAt = performance.now();
        if (generation.phase === "starting") this.#checkComplete(generation);
        break;
      case "loyal":
        if (!generation.loyal) emperor.loyal();
        generation.loyal = true;
        break;
      case "heartbeat":
        worker.beatAt = performance.now();
        break;
      case "done":
        emperor.bye();
        break;
      case "reinforcements":
        emperor.reinforcements();
        break;
      case "config-wanted":
        break; // a worker has no config pipe
    }
  }

  /** All workers of a generation accept: it takes over. */
  #checkComplete(generation: Generation): void {
    if (generation.workers.size < generation.settings.processes) return;
    for (const worker of generation.workers) if (!worker.accepting) return;
    generation.phase = "serving";
    this.#vassal.emperor.accepting();
    log(
      `${generation.workers.size} worker(s) of generation ${generation.number} accept on ${generation.sockets.map((s) => s.text).join(", ") || "their own sockets"}`,
    );
    if (generation !== this.#next) return;
    const old = this.#current;
    this.#current = generation;
    this.#next = undefined;
    this.#retire(old, "graceful-stop", old.settings.workerReloadMercyMs);
    closeSockets(old.sockets.filter((socket) => !generation.sockets.includes(socket)));
  }

  #retire(generation: Generation, message: "stop" | "graceful-stop", mercyMs: number): void {
    generation.phase = "leaving";
    for (const timer of generation.respawns) clearTimeout(timer);
    generation.respawns.clear();
    if (generation.workers.size > 0) this.#leaving.add(generation);
    // A worker gets `mercyMs` for its requests and ends by itself then; the kill is for one that hangs.
    for (const worker of generation.workers) worker.process.stop(message, mercyMs + 500);
  }

  #exited(
    generation: Generation,
    worker: Worker,
    code: number | null,
    signal: string | null,
  ): void {
    generation.workers.delete(worker);
    if (generation.phase === "leaving") {
      if (generation.workers.size === 0) this.#leaving.delete(generation);
      this.#checkEnded();
      return;
    }
    const how =
      signal === null
        ? `exited with ${code ?? "an error before it started"}`
        : `was ended by ${signal}`;
    const who = `worker ${worker.process.pid} of generation ${generation.number}`;
    if (generation === this.#next) {
      log(
        `${who} ${how} before its generation took over: reload abandoned, generation ${this.#current.number} goes on`,
      );
      return this.#abandon(generation);
    }
    if (generation.phase === "starting" && !worker.accepting) {
      log(`${who} ${how} before it accepted: stopping`);
      return this.#end(code === null || code === 0 ? 1 : code, false);
    }
    const delayMs = performance.now() - worker.process.startedAt < FORKBOMB_MS ? FORKBOMB_MS : 0;
    log(`${who} ${how}: starting another one${delayMs > 0 ? ` in ${delayMs} ms` : ""}`);
    const timer = setTimeout(() => {
      generation.respawns.delete(timer);
      this.#spawn(generation);
    }, delayMs);
    generation.respawns.add(timer);
  }

  #abandon(generation: Generation): void {
    this.#next = undefined;
    this.#retire(generation, "stop", STOP_MERCY_MS);
    closeSockets(generation.sockets.filter((socket) => !this.#current.sockets.includes(socket)));
  }

  #reload(): void {
    if (this.#exitCode !== undefined) return;
    const before = this.#reading ?? Promise.resolve();
    const reading = before
      .then(() => this.#startNext())
      .catch((error: unknown) => {
        log(`reload failed, generation ${this.#current.number} goes on: ${reasonOf(error)}`);
      });
    this.#reading = reading;
  }

  async #startNext(): Promise<void> {
    this.#vassal.emperor.wantConfig();
    const settings = await this.#vassal.readSettings();
    if (settings === undefined || this.#exitCode !== undefined) return; // its mistakes are in the log
    if (!settings.master || settings.app.kind !== "node") {
      log(
        "the new configuration has no master: it takes effect at the next start, not by a reload",
      );
      return;
    }
    const sockets = await bindSockets(settings, this.#current.sockets);
    if (this.#exitCode !== undefined) return;
    // Its workers may never accept; what is newer counts.
    if (this.#next !== undefined) this.#abandon(this.#next);
    // Until the first generation accepts there is nothing to be gentle with.
    const starting = this.#current.phase === "starting" ? this.#current : undefined;
    const generation = this.#newGeneration(settings, sockets);
    if (starting === undefined) {
      this.#next = generation;
    } else {
      this.#retire(starting, "stop", STOP_MERCY_MS);
      closeSockets(starting.sockets.filter((socket) => !sockets.includes(socket)));
      this.#current = generation;
    }
    this.#launch(generation);
  }

  /** Beats for all: a worker whose event loop hangs silences the vassal. */
  #heartbeat(heartbeatMs: number): void {
    const now = performance.now();
    for (const worker of this.#current.workers) {
      if (worker.accepting && now - worker.beatAt > 2 * heartbeatMs) return;
    }
    this.#vassal.emperor.beat();
  }

  #end(exitCode: number, graceful: boolean): void {
    this.#exitCode ??= exitCode;
    clearInterval(this.#beat);
    for (const generation of [this.#current, this.#next, ...this.#leaving]) {
      if (generation === undefined) continue;
      const mercyMs = graceful ? generation.settings.workerReloadMercyMs : STOP_MERCY_MS;
      this.#retire(generation, graceful ? "graceful-stop" : "stop", mercyMs);
    }
    this.#checkEnded();
  }

  #checkEnded(): void {
    if (this.#exitCode !== undefined && this.#leaving.size === 0) process.exit(this.#exitCode);
  }
}
