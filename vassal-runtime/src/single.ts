/**
 * A vassal of one process: the app runs in the runtime's own process. A reload first lets a child try
 * the new configuration and the new app; only if both load, the requests are finished and the process
 * executes itself anew with its sockets, while connections wait in their queues. Knows no workers.
 */
import { startApp } from "./app-process.ts";
import type { AppProcess } from "./app-process.ts";
import { changeOwnEnvironment, enterDirectory } from "./credentials.ts";
import { IDLE_GRACE_MS } from "./connections.ts";
import type { RequestWatch } from "./connections.ts";
import { RuntimeError, reasonOf } from "./errors.ts";
import { ACCEPTING_PHASES } from "./hook-settings.ts";
import { log } from "./log.ts";
import { THE_EMPEROR, followOrders } from "./orders.ts";
import { duplicate } from "./platform.ts";
import { isPaced } from "./run-settings.ts";
import { processTitle } from "./titles.ts";
import { renewConfig } from "./vassal.ts";
import type { RenewedConfig, Vassal, VassalControls } from "./vassal.ts";

/** Runs the vassal; the process exits or becomes its next generation. */
export async function runSingle(vassal: Vassal): Promise<VassalControls> {
  const { settings } = vassal;
  if (settings.app.kind !== "node") throw new Error("not a node-app");
  const single = new Single(vassal);
  const title = processTitle(settings.run.titles, "single", "vassal");
  if (title !== undefined) process.title = title;
  single.follow();
  changeOwnEnvironment(settings.environment);
  enterDirectory(settings.chdir);
  await single.start(settings.app.file, settings.app.origin);
  return single;
}

class Single implements VassalControls {
  readonly #vassal: Vassal;
  #app: AppProcess | undefined;
  #state: "loading" | "serving" | "reloading" | "stopping" = "loading";
  #reloadAsked = false;
  /** Running requests are cut by the reload that is under way. */
  #brutal = false;

  constructor(vassal: Vassal) {
    this.#vassal = vassal;
  }

  follow(): void {
    followOrders(this.#vassal.emperor, THE_EMPEROR, {
      reload: () => this.reload(),
      brutalReload: () => this.brutalReload(),
      stop: (graceful) => this.stop(graceful),
      lost: () => process.exit(1),
    });
  }

  async start(file: string, origin: string): Promise<void> {
    const { emperor, hook, launch, settings, sockets } = this.#vassal;
    const orFail = (act: () => void): void => {
      try {
        act();
      } catch (error) {
        fail(error);
      }
    };
    hook("post-fork");
    // Node closes the descriptor that a server listens on; the copy keeps the queue open over a reload.
    const copies = sockets.map((socket) => ({ ...socket, fd: duplicate(socket.fd) }));
    this.#app = await startApp({
      file,
      origin,
      sockets: copies,
      backlog: settings.backlog,
      onLoaded: () => {
        orFail(() => hook("post-app"));
        // uWSGI says so at the first start only; after a reload `accepting` tells the Emperor enough.
        if (!launch.isReload) emperor.spawned();
      },
      watches: await this.#watches(),
      onAccepting: () => {
        // It is its own first and only worker.
        orFail(() => ACCEPTING_PHASES.forEach(hook));
        emperor.accepting();
        this.#vassal.started?.();
        log(
          `process ${process.pid} accepts on ${sockets.map(({ text }) => text).join(", ") || "the app's own address"}`,
        );
      },
      onFirstServed: () => emperor.loyal(),
      onFatal: fail,
    });
    this.#state = "serving";
    if (this.#reloadAsked) this.reload();
  }

  /** Those who want to know of every request. */
  async #watches(): Promise<RequestWatch[]> {
    const { log: own, run } = this.#vassal.settings;
    const watches: RequestWatch[] = [];
    if (isPaced(run))
      watches.push((await import("./single-pace.ts")).watchSingle(this.#vassal, this));
    if (own.requests !== undefined)
      watches.push((await import("./vassal-log.ts")).watchRequests(own.requests, 1, undefined));
    return watches;
  }

  reload(): void {
    this.#reloadAsked = true;
    if (this.#state !== "serving") return; // seen to when the app is loaded, or by the trial that runs
    this.#state = "reloading";
    this.#renew().catch(fail);
  }

  brutalReload(): void {
    this.#brutal = true;
    this.reload();
  }

  reloadWorkers(): void {
    log("there are no workers to reload: this vassal is one process, without a master");
  }

  chainReload(): void {
    this.reloadWorkers();
  }

  changeWorkers(): void {
    this.reloadWorkers();
  }

  goCheap(): void {
    this.reloadWorkers();
  }

  pause(): void {
    log("there are no workers to pause: this vassal is one process, without a master");
  }

  async #renew(): Promise<void> {
    const { launch, settings, sockets } = this.#vassal;
    const config = await this.#tryUntilSettled();
    if (!config.ok) {
      if (this.#state !== "reloading") return;
      log(`reload refused, process ${process.pid} goes on as it is: ${config.reason}`);
      this.#state = "serving";
      this.#brutal = false;
      return;
    }
    if (!this.#brutal) await this.#drain(settings.reloadMercyMs);
    if (this.#state !== "reloading") return; // a stop came while the requests ended
    if (settings.log.requests !== undefined)
      await (await import("./vassal-log.ts")).requestLinesWritten();
    const { reexecute } = await import("./reexecute.ts");
    reexecute(launch, sockets, config.pushed);
  }

  /** The newest configuration, once it and its app are known to load. */
  async #tryUntilSettled(): Promise<RenewedConfig> {
    const { tryNewGeneration } = await import("./trial.ts");
    let result: RenewedConfig = { ok: false, reason: "it was stopped" };
    // An order that comes during a trial is about files that the trial may have read before they changed.
    while (this.#reloadAsked && this.#state === "reloading") {
      this.#reloadAsked = false;
      result = await renewConfig(this.#vassal);
      const failure = result.ok ? await tryNewGeneration(this.#vassal, result.pushed) : undefined;
      if (failure !== undefined) result = { ok: false, reason: failure };
    }
    return this.#state === "reloading" ? result : { ok: false, reason: "it was stopped" };
  }

  stop(graceful: boolean): void {
    const before = this.#state;
    this.#state = "stopping";
    if (!graceful || this.#app === undefined) process.exit(0);
    if (before === "stopping") return;
    this.#drain(this.#vassal.settings.reloadMercyMs).then(() => process.exit(0), fail);
  }

  async #drain(deadlineMs: number): Promise<void> {
    const cut = await this.#app?.drain({
      idleGraceMs: IDLE_GRACE_MS,
      deadlineMs,
      waitForUpgraded: false,
    });
    if (cut !== undefined && cut > 0) log(`reload-mercy is over: ${cut} connection(s) cut`);
  }
}

function fail(error: unknown): void {
  log(error instanceof RuntimeError ? error.message : `unexpected: ${reasonOf(error)}`);
  process.exit(error instanceof RuntimeError ? error.exitCode : 1);
}
