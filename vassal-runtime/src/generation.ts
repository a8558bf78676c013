/**
 * The workers of one configuration: as many as wanted, each with a number that its successors keep. A
 * worker that dies is started again, one that shall go is first replaced. Knows no Emperor, no orders
 * and no other generation: the master tells it what to do and hears what came of it.
 */
import type { VassalMessageName } from "@emperor/protocol";
import { applyEnvironment } from "./credentials.ts";
import { noteHarakiri } from "./harakiri-count.ts";
import type { Launch } from "./launch.ts";
import { WORKER_PHASES } from "./hook-settings.ts";
import { log } from "./log.ts";
import type { RuntimeSettings } from "./settings.ts";
import type { BoundSocket } from "./sockets.ts";
import { processTitle } from "./titles.ts";
import { WorkerProcess } from "./worker-process.ts";
import type { OrdersForWorker } from "./worker-process.ts";
import type { WorkerReport } from "./worker-report.ts";

/** Beyond its mercy a worker that hangs gets so much more until it is killed. */
const HANG_MS = 500;

/** One worker. */
export interface Worker {
  readonly number: number;
  readonly process: WorkerProcess;
  accepting: boolean;
  beatAt: number;
  report: WorkerReport;
  reportAt: number;
  /** It was told to go. */
  leaving: boolean;
  /** It has reached a limit. */
  exhausted: boolean;
  readonly predecessor: Worker | undefined;
}

export interface GenerationOptions {
  /** 1 is the first. */
  readonly number: number;
  readonly settings: RuntimeSettings;
  readonly sockets: readonly BoundSocket[];
  readonly launch: Launch;
  readonly onMessage: (generation: Generation, name: VassalMessageName) => void;
  /** All wanted workers accept, for the first time or after all had gone. */
  readonly onComplete: (generation: Generation) => void;
  /** A worker ended before the generation was ever complete. */
  readonly onFailed: (generation: Generation, who: string, code: number) => void;
  /** A hook failed in a worker. */
  readonly onHookFailed: (generation: Generation) => void;
  /** It was told to leave, and nobody is left. */
  readonly onGone: (generation: Generation) => void;
}

export class Generation {
  readonly number: number;
  readonly settings: RuntimeSettings;
  readonly sockets: readonly BoundSocket[];
  phase: "starting" | "serving" | "leaving" = "starting";
  loyal = false;
  readonly #options: GenerationOptions;
  readonly #workers = new Set<Worker>();
  readonly #respawns = new Map<number, NodeJS.Timeout>();
  #wanted = 0;
  #complete = false;
  /** Workers that are still to be replaced, one at a time. */
  #chain: Worker[] = [];
  #requestsOfTheGone = 0;
  /** Numbers of which there was a worker; hooks may be for the first one only. */
  readonly #started = new Set<number>();

  constructor(options: GenerationOptions) {
    this.#options = options;
    this.number = options.number;
    this.settings = options.settings;
    this.sockets = options.sockets;
  }

  /** Workers that serve, or are about to. */
  get workers(): Worker[] {
    return [...this.#workers].filter((worker) => !worker.leaving);
  }

  /** Number of workers wanted. */
  get wanted(): number {
    return this.#wanted;
  }

  /** Requests finished by all workers so far. */
  get requests(): number {
    let requests = this.#requestsOfTheGone;
    for (const worker of this.#workers) requests += worker.report.requests;
    return requests;
  }

  /** Starts or stops workers until there are `count`. */
  want(count: number): void {
    this.#wanted = count;
    for (const worker of this.workers) if (worker.number > count) this.#letGo(worker);
    for (const [number, timer] of this.#respawns) {
      if (number <= count) continue;
      clearTimeout(timer);
      this.#respawns.delete(number);
    }
    if (count === 0) this.#complete = false;
    const present = new Set([
      ...this.workers.map(({ number }) => number),
      ...this.#respawns.keys(),
    ]);
    for (let number = 1; number <= count; number++) if (!present.has(number)) this.#spawn(number);
    if (count === 0 && this.phase === "starting") this.#completed();
  }

  /** Tells all workers to go, for good. */
  leave(message: "stop" | "graceful-stop", mercyMs: number): void {
    this.phase = "leaving";
    for (const timer of this.#respawns.values()) clearTimeout(timer);
    this.#respawns.clear();
    this.#chain = [];
    // A worker gets `mercyMs` for its requests and ends by itself then; the kill is for one that hangs.
    for (const worker of this.#workers) worker.process.stop(message, mercyMs + HANG_MS);
    if (this.#workers.size === 0) this.#options.onGone(this);
  }

  /** Replaces every worker by one that loads the app anew: all together, or one after the other. */
  replaceAll(how: "together" | "chain"): void {
    if (this.phase !== "serving") return;
    const workers = this.workers.filter((worker) => !this.#hasSuccessor(worker));
    if (how === "together") for (const worker of workers) this.#replace(worker);
    else {
      this.#chain = workers;
      this.#nextOfChain();
    }
  }

  /** Halts all workers where they are, or lets them go on. */
  pause(paused: boolean): void {
    for (const worker of this.#workers) worker.process.signal(paused ? "SIGSTOP" : "SIGCONT");
  }

  /** Kills all workers; they are started again. */
  killAll(): void {
    for (const worker of this.#workers) worker.process.kill();
  }

  #spawn(number: number, predecessor?: Worker): void {
    const { launch } = this.#options;
    const { app, run, ...settings } = this.settings;
    if (app.kind !== "node") throw new Error("a master runs node-app only");
    const { demand, limits } = run;
    const reports =
      run.cheaper !== undefined || demand.idleMs !== undefined || demand.sosMs !== undefined;
    const limited =
      limits.maxLifetimeMs !== undefined ||
      limits.maxRequests !== undefined ||
      limits.reloadOnRssBytes !== undefined;
    const now = performance.now();
    const worker: Worker = {
      number,
      process: new WorkerProcess({
        node: {
          path: run.nodeBinary ?? launch.base.path,
          flags: [...launch.base.flags, ...run.nodeOptions],
        },
        script: launch.script,
        cwd: settings.chdir ?? launch.cwd,
        environment: applyEnvironment(launch.environment, settings.environment),
        orders: {
          label: launch.label,
          file: app.file,
          origin: app.origin,
          sockets: this.sockets,
          backlog: settings.backlog,
          heartbeatMs: settings.heartbeatMs === undefined ? undefined : settings.heartbeatMs / 2,
          mercyMs: settings.workerReloadMercyMs,
          number,
          title: processTitle(run.titles, { worker: number }, "vassal"),
          harakiriMs: run.harakiriMs,
          requests: settings.log.requests,
          logLead:
            settings.log.date === undefined && settings.log.prefix === ""
              ? undefined
              : settings.log,
          watch: reports || limited ? { limits, reports } : undefined,
          hooks: this.#hooksFor(number),
        },
        onMessage: (name) => this.#heard(worker, name),
        onReport: (message) => {
          if (message.type === "retire") this.#retire(worker, message.reason);
          else if (message.type === "harakiri") noteHarakiri(number);
          else if (message.type === "hook-failed") this.#options.onHookFailed(this);
          else {
            worker.report = message;
            worker.reportAt = performance.now();
          }
        },
        onExit: (code, signal, error) => this.#exited(worker, code, signal, error),
      }),
      accepting: false,
      beatAt: now,
      report: { requests: 0, running: 0, load: 0 },
      reportAt: now,
      leaving: false,
      exhausted: false,
      predecessor,
    };
    this.#workers.add(worker);
  }

  #hooksFor(number: number): OrdersForWorker["hooks"] {
    const { hooks } = this.settings;
    const wanted = WORKER_PHASES.filter((phase) => hooks[phase] !== undefined);
    if (wanted.length === 0) return undefined;
    const first = !this.#started.has(number);
    this.#started.add(number);
    return { actions: Object.fromEntries(wanted.map((phase) => [phase, hooks[phase]])), first };
  }

  #heard(worker: Worker, name: VassalMessageName): void {
    if (name === "heartbeat") worker.beatAt = performance.now();
    if (name === "accepting") {
      worker.accepting = true;
      worker.beatAt = performance.now();
      if (worker.predecessor !== undefined) this.#letGo(worker.predecessor);
      this.#checkComplete();
      this.#nextOfChain();
    }
    this.#options.onMessage(this, name);
  }

  #checkComplete(): void {
    if (this.#complete || this.phase === "leaving" || this.#respawns.size > 0) return;
    const { workers } = this;
    if (workers.length < this.#wanted || workers.some((worker) => !worker.accepting)) return;
    this.#completed();
  }

  #completed(): void {
    this.#complete = this.#wanted > 0;
    this.phase = "serving";
    this.#options.onComplete(this);
  }

  #retire(worker: Worker, reason: string): void {
    if (worker.leaving || this.phase !== "serving" || this.#hasSuccessor(worker)) return;
    worker.exhausted = true;
    log(`${this.#name(worker)} is replaced, as ${reason}`);
    this.#replace(worker);
  }

  #replace(worker: Worker): void {
    this.#spawn(worker.number, worker);
  }

  #hasSuccessor(worker: Worker): boolean {
    return [...this.#workers].some(({ predecessor }) => predecessor === worker);
  }

  #nextOfChain(): void {
    if (this.#chain.length === 0 || this.phase !== "serving") return;
    // One at a time: nobody else may be on the way in.
    if ([...this.#workers].some((worker) => !worker.accepting)) return;
    const worker = this.#chain.shift();
    if (worker === undefined || worker.leaving || worker.process.ended) return this.#nextOfChain();
    log(`chain reload: ${this.#name(worker)} is replaced, ${this.#chain.length} to go`);
    this.#replace(worker);
  }

  #letGo(worker: Worker): void {
    if (worker.leaving) return;
    worker.leaving = true;
    worker.process.stop("graceful-stop", this.settings.workerReloadMercyMs + HANG_MS);
  }

  #exited(worker: Worker, code: number | null, signal: string | null, error?: Error): void {
    this.#workers.delete(worker);
    this.#requestsOfTheGone += worker.report.requests;
    if (this.phase === "leaving") {
      if (this.#workers.size === 0) this.#options.onGone(this);
      return;
    }
    if (worker.leaving) return;
    const how =
      error !== undefined
        ? `could not be started (${error.message})`
        : signal === null
          ? `exited with ${code ?? 1}`
          : `was ended by ${signal}`;
    const who = `${this.#name(worker)} ${how}`;
    if (this.phase === "starting" && !worker.accepting)
      return this.#options.onFailed(this, who, code === null || code === 0 ? 1 : code);
    if (worker.predecessor !== undefined && !worker.predecessor.leaving && !worker.accepting)
      return this.#successorFailed(worker.predecessor, who);
    if (this.#hasSuccessor(worker)) return log(`${who}; its successor is on the way`);
    if (this.#wanted < worker.number) return;
    this.#respawnLater(worker, who);
  }

  /** The one that it was to replace goes on. */
  #successorFailed(predecessor: Worker, who: string): void {
    this.#chain = [];
    const still = predecessor.process.ended ? "" : `; ${this.#name(predecessor)} goes on`;
    log(`${who} before it accepted${still}`);
    if (predecessor.process.ended) this.#respawnLater(predecessor, who);
    else if (predecessor.exhausted) this.#again(predecessor.number, () => this.#retry(predecessor));
  }

  /** A limit stays reached: one more try with a successor. */
  #retry(predecessor: Worker): void {
    if (!predecessor.process.ended && !predecessor.leaving) this.#replace(predecessor);
    else if (predecessor.process.ended) this.#spawn(predecessor.number);
  }

  #respawnLater({ number, process: { startedAt } }: Worker, who: string): void {
    // As uWSGI does it: those that die too quickly come back only after a pause.
    const pauseMs = this.settings.run.forkbombDelayMs;
    const delayMs = performance.now() - startedAt < pauseMs ? pauseMs : 0;
    log(`${who}: starting another one${delayMs > 0 ? ` in ${delayMs / 1000} s` : ""}`);
    this.#again(number, () => this.#spawn(number), delayMs);
  }

  #again(number: number, start: () => void, delayMs = this.settings.run.forkbombDelayMs): void {
    const timer = setTimeout(() => {
      this.#respawns.delete(number);
      start();
    }, delayMs);
    this.#respawns.set(number, timer);
  }

  #name(worker: Worker): string {
    return `worker ${worker.number} (process ${worker.process.pid}, generation ${this.number})`;
  }
}
