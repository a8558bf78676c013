/**
 * Tells of each request of this process in one line, when its answer is complete or was cut. Lines go to
 * whoever is given; loaded only where request lines are wanted.
 */
import type { ServerResponse } from "node:http";
import { performance } from "node:perf_hooks";
import type { RequestWatch } from "./connections.ts";
import type { RequestLogSettings } from "./log-settings.ts";
import { compileLogFormat, usualLine } from "./request-line.ts";
import type { ServedRequest } from "./request-line.ts";

interface Started {
  readonly startedAt: number;
  readonly clockMs: number;
  readonly sentBytes: number;
  readonly address: string;
}

/** On the response itself: a map would cost more than the line. */
const STARTED = Symbol("vassal.request-log");
type Watched = ServerResponse & { [STARTED]?: Started };

/** A line must fit into one write to a pipe; see `line-writer.ts`. */
const MOST_LINE_LENGTH = 4000;

/** The result is to be told of every request. `write` gets a line with its end. */
export function requestLog(
  settings: RequestLogSettings,
  worker: number,
  write: (line: string) => void,
): RequestWatch {
  const render =
    settings.format === undefined ? usualLine : compileLogFormat(settings.format).render;
  const { pid } = process;
  let requests = 0;
  return {
    begin: (request, response: Watched) => {
      const { socket } = request;
      response[STARTED] = {
        startedAt: Date.now(),
        clockMs: performance.now(),
        sentBytes: socket.bytesWritten,
        // The socket forgets it when it is closed.
        address: socket.remoteAddress ?? "",
      };
    },
    end: (response: Watched) => {
      const started = response[STARTED];
      if (started === undefined) return;
      requests += 1;
      const request = response.req;
      const served: ServedRequest = {
        request,
        address: plainAddress(started.address),
        status: response.statusCode,
        head: () => headOf(response),
        sentBytes: Math.max(0, request.socket.bytesWritten - started.sentBytes),
        startedAt: started.startedAt,
        tookUs: Math.round((performance.now() - started.clockMs) * 1000),
        worker,
        pid,
        requests,
        cut: !response.writableFinished,
      };
      if (!settings.all && !isNamed(settings, served)) return;
      const line = render(served, settings);
      const text = String(line);
      write(`${text.length > MOST_LINE_LENGTH ? text.slice(0, MOST_LINE_LENGTH) : text}\n`);
    },
  };
}

/** Does one of the options that pick requests name this one? */
function isNamed(settings: RequestLogSettings, served: ServedRequest): boolean {
  const { status, sentBytes, tookUs, cut } = served;
  return (
    (settings.clientErrors && status >= 400 && status < 500) ||
    (settings.serverErrors && status >= 500 && status < 600) ||
    (settings.slowMs !== undefined && tookUs >= settings.slowMs * 1000) ||
    (settings.bigBytes !== undefined && sentBytes >= settings.bigBytes) ||
    (settings.zero && sentBytes <= served.head().length) ||
    (settings.ioErrors && cut)
  );
}

/** What was sent in front of the body; Node keeps it, though not under a public name. */
function headOf(response: ServerResponse): string {
  const head: unknown = Reflect.get(response, "_header");
  return typeof head === "string" ? head : "";
}

/** IPv4 clients of a socket for both are IPv4 clients. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
