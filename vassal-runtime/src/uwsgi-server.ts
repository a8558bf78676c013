/**
 * Serves the app's HTTP server over the uwsgi protocol, as nginx's `uwsgi_pass` and uWSGI's routers speak
 * it: each connection brings one request, which reaches the same listeners as over HTTP. Counts what it
 * refuses. Opens no socket, and does not know what the requests are about.
 */
import type { Server, Socket } from "node:net";
import { log } from "./log.ts";
import { UwsgiConnection } from "./uwsgi-connection.ts";
import type { AppServer } from "./uwsgi-connection.ts";

/** What was wrong with connections, each counted. */
export interface UwsgiFaults {
  /** The packet was no request: cut, lying lengths, random bytes, too late. The connection was closed. */
  readonly malformed: number;
  /** The client went away before the whole body had come; the request was aborted. */
  readonly shorter: number;
  /** There was more behind the body than CONTENT_LENGTH says; it was ignored. */
  readonly longer: number;
}

const CONSEQUENCES: Readonly<Record<keyof UwsgiFaults, string>> = {
  malformed: "sent no request; such connections are closed",
  shorter: "ended before their bodies were complete; such requests are aborted",
  longer: "sent more than their CONTENT_LENGTH; the rest is ignored",
};

/** Whether requests can be given to a server in the form of events, as to Node's own for HTTP/1. */
export function isAppServer(server: Server): server is AppServer {
  return "closeIdleConnections" in server;
}

export class UwsgiServer {
  readonly #server: AppServer;
  readonly #counts = { malformed: 0, shorter: 0, longer: 0 };

  constructor(server: AppServer) {
    this.#server = server;
  }

  get faults(): UwsgiFaults {
    return this.#counts;
  }

  /** Takes over a fresh connection. */
  serve(socket: Socket): void {
    new UwsgiConnection(this.#server, socket, (fault, reason) => this.#count(fault, reason));
  }

  /** Tells of the first, second, fourth, eighth... so that nobody fills the log with bad packets. */
  #count(fault: keyof UwsgiFaults, reason: string): void {
    const count = ++this.#counts[fault];
    if ((count & (count - 1)) !== 0) return;
    log(`uwsgi: ${count} connection(s) ${CONSEQUENCES[fault]}; the last one: ${reason}`);
  }
}
