/**
 * What may be asked of this process, from the Emperor's channel and by signals, brought into one
 * form. Knows not how an order is carried out.
 *
 * SIGTERM and SIGINT stop (gracefully; the second one at once). uWSGI 2.0 reloads on SIGTERM unless
 * `die-on-term` is set, a surprise that every service file has to work around. SIGHUP reloads, SIGQUIT
 * reloads brutally, as in uWSGI 2.1 (and in 2.0 with `die-on-term`).
 */
import type { EmperorConnection } from "./client.ts";
import { log } from "./log.ts";

export const THE_EMPEROR = "the Emperor";

export interface Orders {
  reload(): void;
  /** SIGQUIT: reload without waiting for requests; absent: it ends the process, as by default. */
  brutalReload?(): void;
  /** Called again when a second order comes; `graceful` false means at once. */
  stop(graceful: boolean): void;
  /** The Emperor is gone. */
  lost(): void;
}

/** Follows the orders from now on. `who` is at the other end: `the Emperor`, for a worker its master. */
export function followOrders(emperor: EmperorConnection, who: string, orders: Orders): void {
  let stops = 0;
  const stop = (graceful: boolean, what: string): void => {
    stops += 1;
    const now = !graceful || stops > 1;
    log(`${what}: ${now ? "stopping at once" : "stopping when the running requests are done"}`);
    orders.stop(!now);
  };
  emperor.on("reload", () => {
    log(`${who} asks for a reload`);
    orders.reload();
  });
  emperor.on("stop", (graceful) => stop(graceful, `${who} asks for a stop`));
  emperor.on("lost", () => {
    log(
      who === THE_EMPEROR
        ? "lost connection with my emperor !!! stopping"
        : `${who} is gone: stopping`,
    );
    orders.lost();
  });
  process.on("SIGTERM", () => stop(true, "SIGTERM"));
  process.on("SIGINT", () => stop(true, "SIGINT"));
  process.on("SIGHUP", () => {
    log("SIGHUP: reloading");
    orders.reload();
  });
  if (orders.brutalReload === undefined) return;
  process.on("SIGQUIT", () => {
    log("SIGQUIT: reloading at once, running requests are cut");
    orders.brutalReload?.();
  });
}
