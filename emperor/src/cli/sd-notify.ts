/**
 * What systemd is told through NOTIFY_SOCKET: uWSGI's texts, and what it never sent (STOPPING,
 * RELOADING, MAINPID, WATCHDOG). Changes only, and not more often than anybody can read.
 */
import { SD_NOTIFY } from "@emperor/protocol";
import { errnoOf } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import type { System } from "./system.ts";

export interface NotifierOptions {
  /** Value of NOTIFY_SOCKET; without one nothing is sent. */
  readonly socket: string | undefined;
  /** Values of WATCHDOG_USEC and WATCHDOG_PID. */
  readonly watchdogUsec?: string | undefined;
  readonly watchdogPid?: string | undefined;
  readonly pid: number;
  readonly system: Pick<System, "sendDatagram">;
  readonly logger: Logger;
  /** Monotonic ms since the boot of the machine, as CLOCK_MONOTONIC counts. */
  readonly now?: () => number;
  readonly setTimer?: (callback: () => void, ms: number) => { readonly cancel: () => void };
}

/** Shortest time between two figures: a boot of thousands of vassals is no news per vassal. */
const STATUS_INTERVAL_MS = 100;

export class SystemdNotifier {
  readonly #options: NotifierOptions;
  readonly #now: () => number;
  readonly #setTimer: (callback: () => void, ms: number) => { readonly cancel: () => void };
  #governed: number | undefined;
  #sentGoverned: number | undefined;
  #sentAt = -Infinity;
  #statusTimer: { readonly cancel: () => void } | undefined;
  #watchdogTimer: { readonly cancel: () => void } | undefined;
  #complained = false;
  #ready = false;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => Number(process.hrtime.bigint()) / 1e6);
    this.#setTimer = options.setTimer ?? unrefTimer;
  }

  initializing(): void {
    this.#send(SD_NOTIFY.initializing());
  }

  /** `mainPid`: the process that systemd started was another one. */
  ready(mainPid: boolean): void {
    this.#send((mainPid ? SD_NOTIFY.mainPid(this.#options.pid) : "") + SD_NOTIFY.ready());
    this.#ready = true;
    this.#armWatchdog();
    if (this.#governed !== undefined) this.governing(this.#governed);
  }

  /** The number of vassals with a process may have changed. */
  governing(count: number): void {
    this.#governed = count;
    // A figure before READY would be overwritten by its status.
    if (!this.#ready || this.#statusTimer !== undefined || count === this.#sentGoverned) return;
    const wait = this.#sentAt + STATUS_INTERVAL_MS - this.#now();
    if (wait <= 0) this.#sendGoverned();
    else this.#statusTimer = this.#setTimer(() => this.#statusDue(), wait);
  }

  reloading(): void {
    this.#send(SD_NOTIFY.reloading(this.#now() * 1000));
  }

  reloaded(): void {
    this.#send(SD_NOTIFY.reloaded());
  }

  stopping(): void {
    this.#send(SD_NOTIFY.stopping());
  }

  /** The last word; nothing is sent afterwards. */
  buried(): void {
    this.#statusTimer?.cancel();
    this.#watchdogTimer?.cancel();
    this.#send(SD_NOTIFY.buried());
    this.#ready = false;
  }

  #statusDue(): void {
    this.#statusTimer = undefined;
    if (this.#ready && this.#governed !== this.#sentGoverned) this.#sendGoverned();
  }

  #sendGoverned(): void {
    const count = this.#governed ?? 0;
    this.#sentGoverned = count;
    this.#sentAt = this.#now();
    this.#send(SD_NOTIFY.governing(count));
  }

  #armWatchdog(): void {
    const { watchdogUsec, watchdogPid, pid } = this.#options;
    const usec = Number(watchdogUsec);
    if (watchdogUsec === undefined || !Number.isFinite(usec) || usec <= 0) return;
    if (watchdogPid !== undefined && watchdogPid !== String(pid)) return;
    this.#beat(Math.max(1, usec / 2000));
  }

  /** Half of systemd's limit, as its manual recommends. */
  #beat(intervalMs: number): void {
    this.#send(SD_NOTIFY.watchdog());
    this.#watchdogTimer = this.#setTimer(() => this.#beat(intervalMs), intervalMs);
  }

  #send(text: string): void {
    const { socket, system, logger } = this.#options;
    if (socket === undefined || socket === "") return;
    try {
      system.sendDatagram(socket, text);
    } catch (error) {
      if (this.#complained) return;
      this.#complained = true;
      logger.warning(
        `[emperor] cannot tell systemd through NOTIFY_SOCKET ${socket}: ${errnoOf(error) || String(error)}, going on`,
      );
    }
  }
}

function unrefTimer(callback: () => void, ms: number): { readonly cancel: () => void } {
  const timer = setTimeout(callback, ms);
  timer.unref();
  return { cancel: () => clearTimeout(timer) };
}
