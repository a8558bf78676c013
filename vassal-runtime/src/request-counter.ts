/**
 * Counts the requests of this process: how many, how long, how much was sent. Costs a few additions per
 * request, and nothing where nobody asked for it. Keeps no request.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { performance } from "node:perf_hooks";

/** Since the process started. */
export interface RequestTotals {
  /** Finished, also those that were cut. */
  readonly requests: number;
  readonly running: number;
  /** Answered with 500, which is what frameworks make of an exception. */
  readonly failures: number;
  readonly runningTimeUs: number;
  /** Half of it is the last request, a quarter the one before, as in uWSGI. */
  readonly averageUs: number;
  readonly sentBytes: number;
}

interface Started {
  readonly atMs: number;
  readonly sentBytes: number;
}

const FAILED = 500;

export class RequestCounter {
  readonly #started = new WeakMap<ServerResponse, Started>();
  #requests = 0;
  #running = 0;
  #failures = 0;
  #runningTimeUs = 0;
  #averageUs = 0;
  #sentBytes = 0;

  get totals(): RequestTotals {
    return {
      requests: this.#requests,
      running: this.#running,
      failures: this.#failures,
      runningTimeUs: this.#runningTimeUs,
      averageUs: this.#averageUs,
      sentBytes: this.#sentBytes,
    };
  }

  /** A request has come. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    this.#running += 1;
    this.#started.set(response, {
      atMs: performance.now(),
      sentBytes: request.socket.bytesWritten,
    });
  }

  /** Its response is complete, or was cut. */
  end(response: ServerResponse): void {
    const started = this.#started.get(response);
    if (started === undefined) return;
    this.#started.delete(response);
    const tookUs = Math.round((performance.now() - started.atMs) * 1000);
    this.#running -= 1;
    this.#requests += 1;
    if (response.statusCode === FAILED) this.#failures += 1;
    this.#runningTimeUs += tookUs;
    this.#averageUs = Math.round((this.#averageUs + tookUs) / 2);
    this.#sentBytes += Math.max(0, (response.req.socket.bytesWritten ?? 0) - started.sentBytes);
  }
}
