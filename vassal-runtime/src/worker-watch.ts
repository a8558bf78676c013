/**
 * A worker looks at itself: counts its requests, reports its load to the master, and says when a limit is
 * reached. Loaded only where somebody wants to know. Replaces nothing: that is the master's matter.
 */
import { memoryUsage } from "node:process";
import { performance } from "node:perf_hooks";
import { Socket } from "node:net";
import type { RequestWatch } from "./connections.ts";
import { exhausted } from "./worker-limits.ts";
import type { LimitSettings } from "./worker-limits.ts";
import { encodeWorkerMessage } from "./worker-report.ts";
import type { WorkerMessage } from "./worker-report.ts";

const LOOK_EVERY_MS = 1000;
/** For a master that does not read: it is stopped, or hangs. */
const MAX_UNREAD_BYTES = 4096;

export interface WorkerWatchOptions {
  /** The worker's number, from 1. */
  readonly number: number;
  readonly limits: LimitSettings;
  /** The master wants reports of the load. */
  readonly reports: boolean;
  /** Descriptor on which the master listens. */
  readonly fd: number;
}

/** Begins to look; the result is to be told of every request. */
export function watchWorker(options: WorkerWatchOptions): RequestWatch {
  return new WorkerWatch(options);
}

class WorkerWatch implements RequestWatch {
  readonly #options: WorkerWatchOptions;
  readonly #channel: Socket;
  readonly #startedAt = performance.now();
  #requests = 0;
  #running = 0;
  #retired = false;
  #utilization = performance.eventLoopUtilization();

  constructor(options: WorkerWatchOptions) {
    this.#options = options;
    this.#channel = new Socket({ fd: options.fd, readable: false, writable: true });
    this.#channel.on("error", () => undefined); // the master is gone, which the other channel tells
    this.#channel.unref();
    setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  begin(): void {
    this.#running += 1;
  }

  end(): void {
    this.#running -= 1;
    this.#requests += 1;
    const { maxRequests } = this.#options.limits;
    if (maxRequests !== undefined && this.#requests >= maxRequests) this.#checkLimits();
  }

  #look(): void {
    this.#checkLimits();
    if (!this.#options.reports) return;
    const now = performance.eventLoopUtilization();
    const load = performance.eventLoopUtilization(now, this.#utilization).utilization;
    this.#utilization = now;
    const message: WorkerMessage = {
      type: "report",
      requests: this.#requests,
      running: this.#running,
      load: Math.round(load * 20) / 20,
    };
    // Also when nothing changed: silence means that the loop hangs.
    if (this.#channel.writableLength < MAX_UNREAD_BYTES)
      this.#channel.write(encodeWorkerMessage(message));
  }

  #checkLimits(): void {
    if (this.#retired) return;
    const reason = exhausted(this.#options.limits, this.#options.number, {
      ageMs: performance.now() - this.#startedAt,
      requests: this.#requests,
      rssBytes: () => memoryUsage.rss(),
    });
    if (reason === undefined) return;
    this.#retired = true;
    this.#channel.write(encodeWorkerMessage({ type: "retire", reason }));
  }
}
