/**
 * The control socket: HTTP/1.1 with JSON on a unix socket. Owns connections and their limits; what is
 * asked and who may is decided in `api.ts`. A client that is slow, silent or not speaking HTTP costs
 * one of a few places for a few seconds and holds up nobody.
 */
import { chownSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { peerCredentials } from "@emperor/linux";
import { EmperorError, errnoOf, reasonOf } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import { RepeatLimiter } from "../log/repeats.ts";
import { removeStale } from "../stats/stale-socket.ts";
import { answer, problem, type ControlAnswer, type ControlParts } from "./api.ts";
import { isAdministrator, mayEnter, maySee, type Caller } from "./rights.ts";

export interface ControlServerOptions extends ControlParts {
  readonly path: string;
  readonly mode: number;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly logger: Logger;
}

export interface ControlServer {
  /** Connections that are open now. */
  readonly connections: number;
  close(): Promise<void>;
}

/** Connections at one time, and of one user who is no administrator. */
const MOST_CONNECTIONS = 64;
const MOST_OF_ONE = 8;
/** Nothing here needs a body; what comes is counted and dropped. */
const MOST_BODY_BYTES = 65_536;
/** A client that neither sends nor takes anything for so long is gone. */
const SILENCE_MS = 10_000;
/** Events per write, and bytes that may wait for a reader before no more are taken. */
const EVENTS_AT_ONCE = 64;

/**
 * Binds the path and serves.
 * @throws EmperorError `address-in-use` or `bind-failed`
 */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const office = new Office(options);
  await office.listen();
  return office;
}

class Office implements ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  readonly #callers = new Map<Socket, Caller>();
  readonly #complaints = new RepeatLimiter();

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        maxHeaderSize: 8192,
        headersTimeout: SILENCE_MS,
        requestTimeout: SILENCE_MS,
        keepAliveTimeout: 5000,
        connectionsCheckingInterval: 2000,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.on("connection", (socket) => this.#admit(socket));
    // The default answer to what is no HTTP is 400 and the end.
    this.#server.on("error", (error) => this.#complain("server", reasonOf(error)));
  }

  get connections(): number {
    return this.#callers.size;
  }

  async listen(): Promise<void> {
    const { path, logger, uid, gid } = this.#options;
    try {
      await this.#bind();
    } catch (error) {
      if (errnoOf(error) !== "EADDRINUSE") throw this.#bindError(error);
      const occupant = await removeStale(path);
      if (occupant !== undefined) throw this.#bindError(error, occupant);
      await this.#bind().catch((again: unknown) => {
        throw this.#bindError(again);
      });
    }
    try {
      if (uid !== undefined || gid !== undefined) chownSync(path, uid ?? -1, gid ?? -1);
    } catch (error) {
      await this.close();
      throw this.#bindError(error);
    }
    logger.info(`[emperor] control socket at ${path}`);
  }

  async close(): Promise<void> {
    for (const socket of this.#callers.keys()) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #bind(): Promise<void> {
    const { path, mode } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      // The file has its mode with its first breath.
      const before = process.umask(~mode & 0o777);
      try {
        this.#server.listen({ path, backlog: 64 }, () => {
          this.#server.removeListener("error", reject);
          resolve();
        });
      } finally {
        process.umask(before);
      }
    });
  }

  #bindError(error: unknown, occupant?: string): EmperorError {
    const inUse = errnoOf(error) === "EADDRINUSE";
    const why = occupant ?? (inUse ? "another process listens there" : reasonOf(error));
    return new EmperorError(
      inUse ? "address-in-use" : "bind-failed",
      `emperor-control = ${this.#options.path}: cannot listen there: ${why}; nothing is started`,
      { cause: error },
    );
  }

  /** The kernel says who it is, before a byte is read. */
  #admit(socket: Socket): void {
    const { policy } = this.#options;
    const caller = callerOf(socket);
    socket.on("error", () => socket.destroy());
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
    const isFull =
      caller !== undefined &&
      !isAdministrator(caller, policy) &&
      [...this.#callers.values()].filter(({ uid }) => uid === caller.uid).length >= MOST_OF_ONE;
    if (caller === undefined || isFull || this.#callers.size >= MOST_CONNECTIONS) {
      this.#complain(
        "full",
        `a connection of user ${caller?.uid ?? "unknown"} is refused: too many`,
      );
      socket.destroy();
      return;
    }
    this.#callers.set(socket, caller);
    socket.once("close", () => this.#callers.delete(socket));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const caller = this.#callers.get(request.socket);
    if (caller === undefined) return void request.socket.destroy();
    if (!mayEnter(caller, this.#options.policy)) {
      const why = "only root and the Emperor's user may use this socket";
      return send(response, problem(403, "forbidden", why));
    }
    let bytes = 0;
    let tooMuch = false;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MOST_BODY_BYTES || tooMuch) return;
      tooMuch = true;
      response.shouldKeepAlive = false;
      send(response, problem(413, "too-large", `a body has at most ${MOST_BODY_BYTES} bytes`));
      response.once("finish", () => request.socket.destroy());
    });
    await new Promise((resolve) => request.once("end", resolve).once("close", resolve));
    if (tooMuch || !request.complete) return;
    const { method = "", url = "/" } = request;
    try {
      const target = new URL(url, "http://control");
      if (target.pathname === "/v1/events") return this.#events(request, response, caller, target);
    } catch {
      return send(response, problem(400, "bad-request", "the address of the request is none"));
    }
    // Whoever waits for a reload is silent for a reason.
    request.socket.setTimeout(0);
    try {
      send(response, await answer({ method, url, caller }, this.#options));
    } catch (error) {
      const message = "the request could not be answered; please report this bug";
      this.#options.logger.write({
        level: "error",
        message: `[emperor] control socket: ${message}`,
        ...(error instanceof Error && error.stack !== undefined ? { detail: error.stack } : {}),
      });
      send(response, problem(500, "bug", message));
    }
    request.socket.setTimeout(SILENCE_MS);
  }

  /** One JSON object a line: what there is after `since`, and with `follow` what comes. */
  #events(request: IncomingMessage, response: ServerResponse, caller: Caller, url: URL): void {
    const since = Number(url.searchParams.get("since") ?? 0);
    if (!Number.isSafeInteger(since) || since < 0)
      return send(
        response,
        problem(400, "bad-request", "since: the id of an event, a whole number"),
      );
    if (request.method !== "GET") return send(response, problem(405, "wrong-method", "use GET"));
    const { events, policy } = this.#options;
    const follows = isSet(url.searchParams.get("follow"));
    // A follower may hear nothing for hours; one that takes nothing is held by the size of the ring.
    request.socket.setTimeout(follows ? 0 : SILENCE_MS);
    response.writeHead(200, {
      "Content-Type": "application/x-ndjson",
      "Cache-Control": "no-store",
    });
    response.flushHeaders();
    let queued = false;
    const pump = (): void => {
      queued = false;
      while (!response.writableNeedDrain && !response.destroyed) {
        const { events: batch, lost } = reader.take(EVENTS_AT_ONCE);
        const lines = lost === 0 ? [] : [{ event: "lost", count: lost }];
        const text = [...lines, ...batch].map((line) => `${JSON.stringify(line)}\n`).join("");
        if (text !== "") response.write(text);
        // Some may have been somebody else's: only an empty look at the end is the end.
        if (text === "") break;
      }
      if (!follows && !response.writableNeedDrain) response.end();
    };
    const reader = events.read(
      since,
      (owner) => maySee(caller, owner, policy),
      () => {
        // Many transitions of one moment are one write.
        if (queued || !follows) return;
        queued = true;
        setImmediate(pump);
      },
    );
    response.on("drain", pump);
    response.once("close", () => reader.close());
    pump();
  }

  #complain(what: string, message: string): void {
    if (this.#complaints.ask(what, performance.now()).pass)
      this.#options.logger.warning(`[emperor] control socket: ${message}`);
  }
}

function isSet(value: string | null): boolean {
  return value !== null && value !== "0";
}

function callerOf(socket: Socket): Caller | undefined {
  const handle: unknown = "_handle" in socket ? socket._handle : undefined;
  if (typeof handle !== "object" || handle === null || !("fd" in handle)) return undefined;
  if (typeof handle.fd !== "number" || handle.fd < 0) return undefined;
  try {
    return { uid: peerCredentials(handle.fd).uid };
  } catch {
    // Gone before it was looked at.
    return undefined;
  }
}

function send(response: ServerResponse, { status, body }: ControlAnswer): void {
  if (response.headersSent || response.destroyed) return;
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(text),
    "Cache-Control": "no-store",
  });
  response.end(text);
}
