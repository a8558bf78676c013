/**
 * `harakiri` in a worker: a request that takes longer than the limit ends the process, and the log says
 * which one it was. A thread looks on, because a loop that hangs cannot. Loaded only where it is set.
 */
import { Worker } from "node:worker_threads";
import type { ServerResponse } from "node:http";
import type { RequestWatch } from "./connections.ts";
import { HarakiriBoard } from "./harakiri-board.ts";

/** What the thread is given. */
export interface HarakiriOrders {
  readonly memory: SharedArrayBuffer;
  readonly limitMs: number;
  readonly label: string;
  readonly number: number;
  /** Descriptor on which the master listens. */
  readonly fd: number;
}

/** Milliseconds on a clock that all threads share. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Starts the thread; the result is to be told of every request. */
export function watchForHarakiri(
  limitMs: number,
  label: string,
  number: number,
  fd: number,
): RequestWatch {
  const board = new HarakiriBoard();
  const orders: HarakiriOrders = { memory: board.memory, limitMs, label, number, fd };
  const thread = new Worker(new URL(threadFile(), import.meta.url), {
    workerData: orders,
    // It needs no memory to speak of; the app's own flags are not for it.
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2 },
    execArgv: [],
    env: {},
  });
  thread.unref();
  const slots = new WeakMap<ServerResponse, number>();
  return {
    begin: (request, response) => {
      slots.set(response, board.begin(sharedNow(), request.method ?? "?", request.url ?? "?"));
    },
    end: (response) => {
      const slot = slots.get(response);
      if (slot !== undefined) board.end(slot);
      slots.delete(response);
    },
  };
}

/** Beside this file, in the sources as in what is built. */
function threadFile(): string {
  return import.meta.url.endsWith(".ts") ? "./harakiri-thread.ts" : "./harakiri-thread.js";
}
