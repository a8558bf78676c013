/** Load on a web server: `wrk` for speed, an own client that counts every failure. Knows no server. */
import { execFile } from "node:child_process";
import { Agent, get } from "node:http";
import { promisify } from "node:util";
import { delay, now } from "./measure.mjs";

const run = promisify(execFile);
export const CONNECTIONS = 64;

/** Requests per second that `wrk` gets through in `seconds`. */
export async function requestsPerSecond(port, seconds) {
  const args = ["-t1", `-c${CONNECTIONS}`, `-d${seconds}`, `http://127.0.0.1:${port}/`];
  const { stdout } = await run("wrk", args);
  if (/Socket errors|Non-2xx/.test(stdout)) throw new Error(`wrk on port ${port}: ${stdout}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]);
}

/** Resolves to the status; rejects when the connection fails. */
function ask(port, agent) {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, agent, timeout: 10_000 }, (response) => {
      response.resume();
      response.once("error", reject);
      response.once("end", () => resolve(response.statusCode));
    })
      .once("timeout", function timeout() {
        this.destroy(new Error("no answer within 10 s"));
      })
      .once("error", reject);
  });
}

/** ms from `startedAt` (ns) until the first answer. */
export async function firstAnswer(port, startedAt, limitMs = 20_000) {
  for (;;) {
    try {
      if ((await ask(port, false)) === 200) return (now() - startedAt) / 1e6;
    } catch {
      // Not yet.
    }
    if (now() - startedAt > limitMs * 1e6) throw new Error(`nobody answers on port ${port}`);
    await delay(1);
  }
}

/**
 * Asks on `clients` connections until `stop()`, half of them kept alive, the others new for each request,
 * with some milliseconds between two requests of a client. Every failure is counted with its reason.
 */
export function steadyLoad(port, clients = 16, pauseMs = 4) {
  let running = true;
  const result = { answers: 0, failures: 0, reasons: new Map() };
  const failed = (reason) => {
    result.failures += 1;
    result.reasons.set(reason, (result.reasons.get(reason) ?? 0) + 1);
  };
  const one = async (agent) => {
    while (running) {
      try {
        const status = await ask(port, agent);
        if (status === 200) result.answers += 1;
        else failed(`status ${status}`);
      } catch (error) {
        failed(error.code ?? error.message);
      }
      await delay(pauseMs * 2 * Math.random());
    }
    if (agent !== false) agent.destroy();
  };
  const all = Promise.all(
    Array.from({ length: clients }, (_, n) =>
      one(n % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : false),
    ),
  );
  return {
    stop: async () => {
      running = false;
      await all;
      return result;
    },
  };
}
