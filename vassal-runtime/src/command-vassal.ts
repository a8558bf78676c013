/**
 * A vassal that is any other program, in one or several copies: started with the sockets as systemd
 * hands them over, told to stop by a signal, killed with all its tree when it does not. One copy without
 * `master` is the vassal: its exit is the vassal's exit. Several are supervised. Knows no HTTP.
 */
import { constants } from "node:os";
import { WELL_AFTER_MS, nextDelayMs } from "./back-off.ts";
import { ourChildren } from "./children.ts";
import type { ChildExit } from "./children.ts";
import { CommandProcess } from "./command-process.ts";
import { RuntimeError, reasonOf } from "./errors.ts";
import { ACCEPTING_PHASES } from "./hook-settings.ts";
import { atLeaving } from "./leaving.ts";
import { log, quote } from "./log.ts";
import { THE_EMPEROR, followOrders } from "./orders.ts";
import { commandProgram } from "./programs.ts";
import { NotifySocket, untilAnswered } from "./readiness.ts";
import type { Notice } from "./readiness.ts";
import type { AppSetting } from "./settings.ts";
import { renewConfig } from "./vassal.ts";
import type { Vassal, VassalControls } from "./vassal.ts";
import { tellWorkers } from "./worker-states.ts";
import type { WorkerState } from "./worker-states.ts";

const { SIGCONT, SIGSTOP } = constants.signals;
/** The runtime does not see the command's requests; one that stays up so long counts as loyal. */
const LOYAL_AFTER_MS = 5000;
/** The longest pause before a copy that keeps failing is started again. */
const MOST_DELAY_MS = 60_000;

/** Runs the vassal; the process exits or executes itself anew. */
export async function runCommand(vassal: Vassal): Promise<VassalControls> {
  const { app } = vassal.settings;
  if (app.kind !== "command") throw new Error("not a command");
  const command = new CommandVassal(vassal, app);
  command.run();
  return command;
}

/** The place of one copy, filled or waiting. */
interface Copy {
  /** From 1. */
  readonly number: number;
  process: CommandProcess | undefined;
  notify: NotifySocket | undefined;
  ready: boolean;
  /** It was told to end, to be started again. */
  renewed: boolean;
  starts: number;
  /** Seconds since the epoch. */
  startedAt: number;
  delayMs: number;
  again: NodeJS.Timeout | undefined;
}

class CommandVassal implements VassalControls {
  readonly #vassal: Vassal;
  readonly #app: AppSetting & { readonly kind: "command" };
  readonly #program: ReturnType<typeof commandProgram>;
  readonly #copies: readonly Copy[];
  readonly #patience = new AbortController();
  /** Copies that are to be renewed, one after the other. */
  #chain: Copy[] = [];
  #accepting = false;
  #paused = false;
  /** What happens when all copies have ended, once that is wanted. */
  #after: (() => void) | undefined;
  #renewal = Promise.resolve();

  constructor(vassal: Vassal, app: AppSetting & { readonly kind: "command" }) {
    this.#vassal = vassal;
    this.#app = app;
    this.#program = commandProgram(app, vassal.settings, vassal.launch);
    this.#copies = Array.from({ length: vassal.settings.processes }, (_, index) => ({
      number: index + 1,
      process: undefined,
      notify: undefined,
      ready: false,
      renewed: false,
      starts: 0,
      startedAt: 0,
      delayMs: 0,
      again: undefined,
    }));
  }

  run(): void {
    const { emperor, launch, settings } = this.#vassal;
    const children = ourChildren();
    children.adoptOrphans();
    // A program that went into the background of its own accord is still the vassal's.
    atLeaving(() => children.killOrphans());
    tellWorkers(() => this.#copies.map(stateOf));
    for (const copy of this.#copies) this.#start(copy);
    followOrders(emperor, THE_EMPEROR, {
      reload: () => this.reload(),
      brutalReload: () => this.brutalReload(),
      stop: (graceful) => this.stop(graceful),
      lost: () => this.#end(() => process.exit(1), true),
    });
    if (!launch.isReload) emperor.spawned();
    const { ready, readyTimeoutMs } = settings.command;
    if (this.#accepting) return;
    if (ready.kind === "address" || ready.kind === "http") {
      untilAnswered(ready, this.#patience.signal).then(
        (answered) => {
          if (!answered) return;
          for (const copy of this.#copies) copy.ready = true;
          this.#checkReady();
        },
        (error: unknown) => log(`command-ready: ${reasonOf(error)}`),
      );
    }
    if (readyTimeoutMs > 0) {
      const timer = setTimeout(() => this.#tooLate(readyTimeoutMs), readyTimeoutMs);
      this.#patience.signal.addEventListener("abort", () => clearTimeout(timer));
    }
  }

  reload(): void {
    this.#resume();
    const { reloadSignal } = this.#vassal.settings.command;
    if (reloadSignal !== undefined) {
      if (this.#after !== undefined) return;
      for (const copy of this.#copies) copy.process?.child.signal(reloadSignal);
      if (this.#accepting) this.#vassal.emperor.accepting();
      return;
    }
    this.#renewLater(true);
  }

  brutalReload(): void {
    this.#renewLater(false);
  }

  stop(graceful: boolean): void {
    this.#end(() => process.exit(0), graceful);
  }

  reloadWorkers(graceful: boolean): void {
    for (const copy of this.#copies) this.#renewCopy(copy, graceful);
  }

  chainReload(): void {
    this.#chain = [...this.#copies];
    this.#renewCopy(this.#chain.shift(), true);
  }

  pause(): void {
    if (this.#after !== undefined) return;
    if (this.#paused) return this.#resume();
    this.#paused = true;
    for (const copy of this.#copies) copy.process?.child.signalGroup(SIGSTOP);
    log("the command is paused");
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    for (const copy of this.#copies) copy.process?.child.signalGroup(SIGCONT);
    log("the command goes on");
  }

  changeWorkers(): void {
    log("the number of copies of a command is fixed");
  }

  goCheap(): void {
    log("a command cannot be cheap: the runtime does not see who needs it");
  }

  #renewCopy(copy: Copy | undefined, graceful: boolean): void {
    if (copy?.process === undefined || this.#after !== undefined) return;
    this.#resume();
    copy.renewed = true;
    copy.process.stop(graceful ? this.#vassal.settings.reloadMercyMs : 0);
  }

  #start(copy: Copy): void {
    const { settings, sockets } = this.#vassal;
    const { ready, stopSignal } = settings.command;
    if (ready.kind === "notify")
      copy.notify = new NotifySocket(ourChildren(), (notice) => this.#noticed(copy, notice));
    const process = new CommandProcess(ourChildren(), {
      program: this.#program.path,
      argv: this.#app.argv,
      environment: { ...this.#program.environment, VASSAL_COPY: String(copy.number) },
      directory: this.#program.directory,
      sockets,
      notifySocket: copy.notify?.name,
      stopSignal,
      addressSpace: settings.jail?.limits.find(({ option }) => option === "limit-as")?.value,
      onExit: (exit) => this.#exited(copy, exit),
    });
    copy.process = process;
    copy.starts += 1;
    copy.startedAt = Math.floor(Date.now() / 1000);
    log(`command ${quote(this.#app.argv[0] ?? "")} runs as process ${process.child.pid}`);
    if (ready.kind === "start" || (this.#accepting && ready.kind !== "notify")) copy.ready = true;
    this.#checkReady();
  }

  #noticed(copy: Copy, notice: Notice): void {
    if (notice.status !== undefined)
      log(`process ${copy.process?.child.pid ?? 0} says: ${quote(notice.status)}`);
    if (!notice.ready) return;
    copy.ready = true;
    this.#checkReady();
  }

  /** When all copies are ready for the first time the vassal accepts. */
  #checkReady(): void {
    if (this.#accepting || this.#after !== undefined) return;
    if (!this.#copies.every(({ ready }) => ready)) return;
    this.#accepting = true;
    this.#patience.abort();
    const { emperor } = this.#vassal;
    try {
      for (const phase of ACCEPTING_PHASES) this.#vassal.hook(phase);
    } catch (error) {
      log(reasonOf(error));
      return this.#end(() => process.exit(1), true);
    }
    // The Emperor is told of the start first.
    queueMicrotask(() => {
      emperor.accepting();
      this.#vassal.started?.();
    });
    setTimeout(() => emperor.loyal(), LOYAL_AFTER_MS).unref();
  }

  #tooLate(limitMs: number): void {
    if (this.#accepting || this.#after !== undefined) return;
    log(`the command is not ready after ${limitMs / 1000} s (command-ready-timeout): stopping`);
    this.#end(() => process.exit(1), true);
  }

  #exited(copy: Copy, exit: ChildExit): void {
    const name = quote(this.#app.argv[0] ?? "");
    const ended = copy.process;
    copy.process = undefined;
    copy.notify?.close();
    copy.notify = undefined;
    copy.ready = false;
    if (this.#after !== undefined) return this.#checkEnded();
    if (copy.renewed) {
      copy.renewed = false;
      this.#startAgain(copy, WELL_AFTER_MS, `command ${name} ${exit.text} as it was told to`);
      return this.#renewCopy(this.#chain.shift(), true);
    }
    const what = `command ${name} (process ${ended?.child.pid ?? 0}) ${exit.text}`;
    if (!this.#vassal.settings.master) {
      log(`${what}: exiting with ${exit.code}`);
      process.exit(exit.code);
    }
    if (!this.#accepting) {
      const code = exit.code === 0 ? 1 : exit.code;
      log(`${what} before the vassal accepted: stopping, exiting with ${code}`);
      return this.#end(() => process.exit(code), true);
    }
    const livedMs = performance.now() - (ended?.child.startedAt ?? 0);
    this.#startAgain(copy, livedMs, what);
  }

  #startAgain(copy: Copy, livedMs: number, what: string): void {
    copy.delayMs = nextDelayMs(copy.delayMs, livedMs, MOST_DELAY_MS);
    log(`${what}: starting it again${copy.delayMs > 0 ? ` in ${copy.delayMs} ms` : ""}`);
    copy.again = setTimeout(() => {
      copy.again = undefined;
      try {
        this.#start(copy);
      } catch (error) {
        if (!(error instanceof RuntimeError)) throw error;
        copy.notify?.close();
        this.#startAgain(copy, 0, error.message);
      }
    }, copy.delayMs);
  }

  #end(then: () => void, graceful: boolean): void {
    this.#resume();
    this.#after = then;
    this.#patience.abort();
    const mercyMs = graceful ? this.#vassal.settings.reloadMercyMs : 0;
    for (const copy of this.#copies) {
      clearTimeout(copy.again);
      copy.process?.stop(mercyMs);
    }
    this.#checkEnded();
  }

  #checkEnded(): void {
    if (this.#copies.every((copy) => copy.process === undefined)) this.#after?.();
  }

  #renewLater(graceful: boolean): void {
    this.#renewal = this.#renewal
      .then(() => this.#renew(graceful))
      .catch((error: unknown) => log(`reload failed: ${reasonOf(error)}`));
  }

  async #renew(graceful: boolean): Promise<void> {
    const { launch, sockets } = this.#vassal;
    const [{ tryNewGeneration }, { reexecute }] = await Promise.all([
      import("./trial.ts"),
      import("./reexecute.ts"),
    ]);
    const config = await renewConfig(this.#vassal);
    const failure = config.ok ? await tryNewGeneration(this.#vassal, config.pushed) : config.reason;
    if (this.#after !== undefined) return;
    if (failure !== undefined || !config.ok)
      return log(`reload refused, the command goes on as it is: ${failure}`);
    this.#end(() => reexecute(launch, sockets, config.pushed), graceful);
  }
}

function stateOf({ number, process, ready, starts, startedAt }: Copy): WorkerState {
  return {
    id: number,
    pid: process?.child.pid ?? 0,
    accepting: ready,
    startedAt,
    respawns: Math.max(0, starts - 1),
    silent: false,
    totals: undefined, // they do not pass through here
  };
}
