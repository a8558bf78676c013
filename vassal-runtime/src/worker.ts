/**
 * A worker under a master: the app in a process of its own. Towards its master it is a vassal like any
 * other: it speaks the Emperor's protocol on the same variable. Knows no configuration file.
 */
import { writeSync } from "node:fs";
import { startApp } from "./app-process.ts";
import type { AppProcess } from "./app-process.ts";
import { connectEmperor } from "./client.ts";
import { IDLE_GRACE_MS } from "./connections.ts";
import type { RequestWatch } from "./connections.ts";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { HookSettings } from "./hook-settings.ts";
import type { SocketDescriptor } from "./listen-capture.ts";
import type { LogSettings, RequestLogSettings } from "./log-settings.ts";
import { labelLog, log } from "./log.ts";
import { followOrders } from "./orders.ts";
import { dieWithParent } from "./platform.ts";
import type { LimitSettings } from "./worker-limits.ts";
import { encodeWorkerMessage } from "./worker-report.ts";

/** What a master tells its worker, as JSON in its environment. */
export interface WorkerOrders {
  /** Name of the vassal for the log. */
  readonly label: string;
  readonly file: string;
  readonly origin: string;
  readonly sockets: readonly SocketDescriptor[];
  readonly backlog: number;
  readonly heartbeatMs: number | undefined;
  readonly mercyMs: number;
  /** Its number, from 1; a successor gets the same. */
  readonly number: number;
  readonly title: string | undefined;
  readonly harakiri: { readonly limitMs: number; readonly fd: number } | undefined;
  /** How requests are told; without `fd` on standard error. */
  readonly requests:
    | { readonly settings: RequestLogSettings; readonly fd: number | undefined }
    | undefined;
  readonly logLead: Pick<LogSettings, "date" | "prefix"> | undefined;
  /** Undefined: nobody wants to know about requests. */
  readonly watch:
    | { readonly limits: LimitSettings; readonly reports: boolean; readonly fd: number }
    | undefined;
  /** `first`: the first worker with this number, and this configuration. */
  readonly hooks:
    | { readonly actions: HookSettings; readonly first: boolean; readonly fd: number }
    | undefined;
}

/** Serves until told to stop. Never returns normally: the process exits. */
export async function runWorker(orders: WorkerOrders): Promise<void> {
  labelLog(orders.label);
  if (orders.logLead !== undefined) (await import("./vassal-log.ts")).decorate(orders.logLead);
  dieWithParent();
  if (orders.title !== undefined) process.title = orders.title;
  const master = connectEmperor({ defaultActions: false });
  const fail = (error: unknown): void => {
    log(error instanceof RuntimeError ? error.message : `unexpected: ${String(error)}`);
    process.exit(error instanceof RuntimeError ? error.exitCode : 1);
  };
  let app: AppProcess | undefined;
  const leave = (): void => {
    if (app === undefined) process.exit(0);
    const drained = app.drain({
      idleGraceMs: IDLE_GRACE_MS,
      deadlineMs: orders.mercyMs,
      waitForUpgraded: true,
    });
    drained.then(() => process.exit(0), fail);
  };
  let leaving = false;
  followOrders(master, "its master", {
    reload: () => undefined, // only a master reloads
    stop: (graceful) => {
      if (!graceful) process.exit(0);
      if (!leaving) leave();
      leaving = true;
    },
    lost: () => process.exit(1),
  });
  try {
    const hooks = await workerHooks(orders);
    hooks("post-fork");
    app = await startApp({
      ...orders,
      watches: await requestWatches(orders),
      onLoaded: () => {
        hooks("post-app");
        master.spawned();
      },
      onAccepting: () => {
        hooks("accepting");
        master.accepting();
        if (orders.heartbeatMs !== undefined) master.heartbeat(orders.heartbeatMs / 1000);
      },
      onFirstServed: () => master.loyal(),
      onFatal: fail,
    });
  } catch (error) {
    fail(error);
  }
}

/** Runs the hooks of a phase; a failure ends this worker, and the master with all the others. */
async function workerHooks({
  hooks,
  number,
}: WorkerOrders): Promise<(phase: "post-fork" | "post-app" | "accepting") => void> {
  if (hooks === undefined) return () => undefined;
  const { runAcceptingHooks, runHooks } = await import("./hooks.ts");
  const { actions, fd, first } = hooks;
  return (phase) => {
    try {
      if (phase === "accepting") runAcceptingHooks(actions, { number, first });
      else runHooks(actions, phase);
    } catch (error) {
      log(reasonOf(error));
      try {
        writeSync(fd, encodeWorkerMessage({ type: "hook-failed" }));
      } catch {
        // The master is gone already.
      }
      process.exit(1);
    }
  };
}

async function requestWatches(orders: WorkerOrders): Promise<RequestWatch[]> {
  const watches: RequestWatch[] = [];
  if (orders.watch !== undefined) {
    const { watchWorker } = await import("./worker-watch.ts");
    watches.push(watchWorker({ ...orders.watch, number: orders.number }));
  }
  if (orders.requests !== undefined) {
    const { settings, fd } = orders.requests;
    const { watchRequests } = await import("./vassal-log.ts");
    watches.push(watchRequests(settings, orders.number, fd));
  }
  if (orders.harakiri !== undefined) {
    const { fd, limitMs } = orders.harakiri;
    const { watchForHarakiri } = await import("./harakiri.ts");
    watches.push(watchForHarakiri(limitMs, orders.label, orders.number, fd));
  }
  return watches;
}
