/**
 * The master: keeps the listening sockets, runs generations of workers on them, and is the Emperor's
 * partner for all of them. A reload starts a new generation beside the old one, which goes only when
 * every new worker accepts; so no connection is refused and no request lost. Knows no HTTP.
 */
import type { VassalMessageName } from "@emperor/protocol";
import { reasonOf } from "./errors.ts";
import { Generation } from "./generation.ts";
import { log } from "./log.ts";
import { THE_EMPEROR, followOrders } from "./orders.ts";
import type { Pace } from "./pace.ts";
import { isPaced } from "./run-settings.ts";
import type { RuntimeSettings } from "./settings.ts";
import { bindSockets, closeSockets } from "./sockets.ts";
import type { BoundSocket } from "./sockets.ts";
import { processTitle } from "./titles.ts";
import type { TouchMemory } from "./touched-files.ts";
import type { Vassal, VassalControls } from "./vassal.ts";

/** Time for workers that were told to stop at once. */
const STOP_MERCY_MS = 2000;

/** Runs the vassal under a master; the process exits when it has ended. */
export async function runMaster(vassal: Vassal): Promise<VassalControls> {
  const title = processTitle(vassal.settings.run.titles, "master", "vassal");
  if (title !== undefined) process.title = title;
  const master = new Master(vassal);
  await master.run();
  return master;
}

class Master implements VassalControls {
  readonly #vassal: Vassal;
  #current: Generation;
  #next: Generation | undefined;
  readonly #leaving = new Set<Generation>();
  #generations = 0;
  #announced = false;
  #exitCode: number | undefined;
  #reading: Promise<void> | undefined;
  #beat: NodeJS.Timeout | undefined;
  #pace: Pace | undefined;
  #paused = false;
  #deadline: NodeJS.Timeout | undefined;
  readonly #touched: TouchMemory = new Map();

  constructor(vassal: Vassal) {
    this.#vassal = vassal;
    this.#current = this.#newGeneration(vassal.settings, vassal.sockets);
  }

  /** Starts the first generation and follows the orders of the Emperor. */
  async run(): Promise<void> {
    followOrders(this.#vassal.emperor, THE_EMPEROR, {
      reload: () => this.reload(),
      brutalReload: () => this.brutalReload(),
      stop: (graceful) => this.stop(graceful),
      lost: () => this.#end(1, false),
    });
    this.#launch(this.#current);
    await this.#govern(this.#current);
  }

  /** Reads the configuration anew and starts a new generation beside the old one. */
  reload(): void {
    this.#renew(async () => this.#startNext());
  }

  /** As `reload`, but the workers end at once and the new ones start after them, as in uWSGI. */
  brutalReload(): void {
    this.#renew(async () => this.#startAnew());
  }

  reloadWorkers(graceful: boolean): void {
    this.#resume();
    if (graceful) this.#current.replaceAll("together");
    else this.#current.killAll();
  }

  chainReload(): void {
    this.#resume();
    this.#current.replaceAll("chain");
  }

  stop(graceful: boolean): void {
    this.#end(0, graceful);
  }

  changeWorkers(by: 1 | -1): void {
    const { settings, wanted } = this.#current;
    const fewest = settings.run.cheaper?.minimum ?? 1;
    this.#current.want(Math.min(settings.processes, Math.max(fewest, wanted + by)));
  }

  goCheap(): void {
    this.#pace?.sleep("it was ordered");
  }

  pause(): void {
    if (this.#exitCode !== undefined) return;
    if (this.#paused) return this.#resume();
    this.#paused = true;
    this.#current.pause(true);
    log("the workers are paused; connections and running requests wait");
  }

  /** Orders are for workers that can hear them. */
  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#current.pause(false);
    log("the workers go on");
  }

  #newGeneration(settings: RuntimeSettings, sockets: readonly BoundSocket[]): Generation {
    this.#generations += 1;
    return new Generation({
      number: this.#generations,
      settings,
      sockets,
      launch: this.#vassal.launch,
      onMessage: (generation, name) => this.#heard(generation, name),
      onComplete: (generation) => this.#complete(generation),
      onFailed: (generation, who, code) => this.#failed(generation, who, code),
      onHookFailed: (generation) => {
        if (generation === this.#next)
          return this.#failed(generation, "a hook of a worker failed", 1);
        if (generation !== this.#current || this.#exitCode !== undefined) return;
        log("a hook of a worker failed: stopping");
        this.#end(1, false);
      },
      onGone: (generation) => {
        this.#leaving.delete(generation);
        this.#checkEnded();
      },
    });
  }

  #launch(generation: Generation): void {
    const { cheap, cheaper } = generation.settings.run;
    if (cheap) this.#announceSpawned();
    generation.want(cheap ? 0 : (cheaper?.initial ?? generation.settings.processes));
  }

  /** What goes with being the current generation: its beat, and the pace of its workers. */
  async #govern(generation: Generation): Promise<void> {
    const { heartbeatMs } = generation.settings;
    clearInterval(this.#beat);
    if (heartbeatMs !== undefined) {
      this.#beat = setInterval(() => this.#heartbeat(heartbeatMs), heartbeatMs);
      this.#heartbeat(heartbeatMs);
    }
    this.#pace?.close();
    this.#pace = undefined;
    if (!isPaced(generation.settings.run)) return;
    const { Pace } = await import("./pace.ts");
    if (generation !== this.#current || this.#exitCode !== undefined) return;
    this.#pace = new Pace(generation, this.#vassal.emperor, this, this.#touched);
  }

  #heard(generation: Generation, name: VassalMessageName): void {
    const { emperor } = this.#vassal;
    switch (name) {
      case "spawned":
        this.#announceSpawned();
        break;
      case "loyal":
        if (!generation.loyal) emperor.loyal();
        generation.loyal = true;
        break;
      case "done":
        emperor.bye();
        break;
      case "reinforcements":
        emperor.reinforcements();
        break;
      case "accepting": // told when all of them do
      case "heartbeat": // told for all of them
      case "config-wanted": // a worker has no config pipe
        break;
    }
  }

  /** At the first start only, as with uWSGI. */
  #announceSpawned(): void {
    if (!this.#announced && !this.#vassal.launch.isReload) this.#vassal.emperor.spawned();
    this.#announced = true;
  }

  /** All workers of a generation accept: it takes over. */
  #complete(generation: Generation): void {
    const count = generation.workers.length;
    if (count > 0) {
      this.#vassal.emperor.accepting();
      log(
        `${count} worker(s) of generation ${generation.number} accept on ${generation.sockets.map((s) => s.text).join(", ") || "their own sockets"}`,
      );
      this.#vassal.started?.();
    }
    if (generation !== this.#next) return;
    const old = this.#current;
    clearTimeout(this.#deadline);
    if (generation.settings.log.reopenAfterReload)
      import("./log-file.ts").then(
        ({ reopenLogFiles }) => reopenLogFiles(),
        (error: unknown) => log(`unexpected: ${reasonOf(error)}`),
      );
    this.#current = generation;
    this.#next = undefined;
    this.#govern(generation).catch((error: unknown) => log(`unexpected: ${reasonOf(error)}`));
    this.#retire(old, "graceful-stop", old.settings.workerReloadMercyMs);
    closeSockets(old.sockets.filter((socket) => !generation.sockets.includes(socket)));
  }

  #retire(generation: Generation, message: "stop" | "graceful-stop", mercyMs: number): void {
    this.#leaving.add(generation);
    generation.leave(message, mercyMs);
  }

  #failed(generation: Generation, who: string, code: number): void {
    if (generation === this.#next) {
      log(
        `${who} before its generation took over: reload abandoned, generation ${this.#current.number} goes on`,
      );
      return this.#abandon(generation);
    }
    log(`${who} before it accepted: stopping`);
    this.#end(code, false);
  }

  #abandon(generation: Generation): void {
    this.#next = undefined;
    this.#retire(generation, "stop", STOP_MERCY_MS);
    closeSockets(generation.sockets.filter((socket) => !this.#current.sockets.includes(socket)));
  }

  /** One after the other, each with the configuration as it is then. */
  #renew(start: () => Promise<void>): void {
    if (this.#exitCode !== undefined) return;
    this.#resume();
    const before = this.#reading ?? Promise.resolve();
    this.#reading = before.then(start).catch((error: unknown) => {
      log(`reload failed, generation ${this.#current.number} goes on: ${reasonOf(error)}`);
    });
  }

  /** The new configuration with its sockets; undefined when there is none to be used, which is in the log. */
  async #read(): Promise<Generation | undefined> {
    this.#vassal.emperor.wantConfig();
    const settings = await this.#vassal.readSettings();
    if (settings === undefined || this.#exitCode !== undefined) return undefined;
    if (!settings.master || settings.app.kind !== "node") {
      log(
        "the new configuration has no master: it takes effect at the next start, not by a reload",
      );
      return undefined;
    }
    const sockets = await bindSockets(settings, this.#current.sockets);
    if (this.#exitCode !== undefined) return undefined;
    // Its workers may never accept; what is newer counts.
    if (this.#next !== undefined) this.#abandon(this.#next);
    return this.#newGeneration(settings, sockets);
  }

  async #startNext(): Promise<void> {
    const generation = await this.#read();
    if (generation === undefined) return;
    // Until the first generation accepts there is nothing to be gentle with.
    if (this.#current.phase === "starting") return this.#supersede(generation);
    this.#next = generation;
    this.#launch(generation);
    this.#giveUpAfter(generation, generation.settings.run.reloadTimeoutMs);
  }

  /** A generation that hangs while it loads must not wait there for ever, unnoticed. */
  #giveUpAfter(generation: Generation, timeoutMs: number): void {
    clearTimeout(this.#deadline);
    if (timeoutMs === 0) return;
    this.#deadline = setTimeout(() => {
      if (generation !== this.#next) return;
      log(
        `generation ${generation.number} does not accept after ${timeoutMs / 1000} s (reload-timeout): reload abandoned, generation ${this.#current.number} goes on`,
      );
      this.#abandon(generation);
    }, timeoutMs);
    this.#deadline.unref();
  }

  async #startAnew(): Promise<void> {
    const generation = await this.#read();
    if (generation !== undefined) await this.#supersede(generation);
  }

  async #supersede(generation: Generation): Promise<void> {
    const old = this.#current;
    this.#current = generation;
    this.#retire(old, "stop", STOP_MERCY_MS);
    closeSockets(old.sockets.filter((socket) => !generation.sockets.includes(socket)));
    this.#launch(generation);
    await this.#govern(generation);
  }

  /** Beats for all: a worker whose event loop hangs silences the vassal. */
  #heartbeat(heartbeatMs: number): void {
    const now = performance.now();
    for (const worker of this.#current.workers) {
      if (!this.#paused && worker.accepting && now - worker.beatAt > 2 * heartbeatMs) return;
    }
    this.#vassal.emperor.beat();
  }

  #end(exitCode: number, graceful: boolean): void {
    this.#resume();
    this.#exitCode ??= exitCode;
    clearTimeout(this.#deadline);
    clearInterval(this.#beat);
    this.#pace?.close();
    if (this.#next !== undefined) this.#leaving.add(this.#next);
    this.#leaving.add(this.#current);
    for (const generation of this.#leaving) {
      const mercyMs = graceful ? generation.settings.workerReloadMercyMs : STOP_MERCY_MS;
      generation.leave(graceful ? "graceful-stop" : "stop", mercyMs);
    }
    this.#checkEnded();
  }

  #checkEnded(): void {
    if (this.#exitCode !== undefined && this.#leaving.size === 0) process.exit(this.#exitCode);
  }
}
