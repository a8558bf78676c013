/**
 * The thread that ends a worker with a request that takes too long. It sleeps until the oldest request
 * would be overdue, so it costs nothing while all is well.
 */
import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { HarakiriBoard } from "./harakiri-board.ts";
import { sharedNow } from "./harakiri.ts";
import type { HarakiriOrders } from "./harakiri.ts";
import { labelLog, log, quote } from "./log.ts";
import { encodeWorkerMessage } from "./worker-report.ts";

const { memory, limitMs, label, number, fd } = workerData as HarakiriOrders;
labelLog(label);
const board = new HarakiriBoard(memory);
const sleeper = new Int32Array(new SharedArrayBuffer(4));

for (;;) {
  const found = board.inspect(sharedNow(), limitMs);
  if ("text" in found) {
    log(
      `harakiri: worker ${number} (process ${process.pid}) is killed, as ${quote(found.text)} runs for ${(found.ageMs / 1000).toFixed(1)} s (limit ${limitMs / 1000} s)`,
    );
    try {
      writeSync(fd, encodeWorkerMessage({ type: "harakiri" }));
    } catch {
      // The master is gone, or does not read; the count is not worth a worker that hangs.
    }
    process.kill(process.pid, "SIGKILL");
  }
  Atomics.wait(sleeper, 0, 0, "text" in found ? limitMs : Math.ceil(found.lookAgainInMs));
}
