/**
 * The Imperial Bureau of Statistics: one JSON document per connection, then the end. It knows nothing
 * of vassals: the document comes from a callback. A client that neither reads nor sends costs one of
 * a few places for a few seconds, and never holds up the Emperor.
 */
import { lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { renderStats, type StatsDocument } from "@emperor/protocol";
import { EmperorError, errnoOf, reasonOf } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import { RepeatLimiter } from "../log/repeats.ts";
import type { StatsAddress } from "./address.ts";

export interface StatsServerOptions {
  readonly address: StatsAddress;
  /** Called once per connection (or less, under load). */
  readonly document: () => StatsDocument;
  readonly logger: Logger;
  /** `stats-http`: wait for a request, send a header. */
  readonly http: boolean;
  readonly minified: boolean;
  /** Mode of a unix socket; without it the umask decides. */
  readonly mode: number | undefined;
  readonly backlog: number;
  readonly limits?: Partial<StatsLimits>;
}

export interface StatsLimits {
  /** Connections at one time; the oldest is closed for a new one. */
  readonly connections: number;
  /** From accept to the end of a connection, ms. uWSGI's `socket-timeout` is 4 s per step. */
  readonly connectionMs: number;
  /** With more connections than this a document may be reused ... */
  readonly crowd: number;
  /** ... for so long, ms. */
  readonly reuseMs: number;
}

export interface StatsServer {
  /** As given, the port filled in if it was 0. */
  readonly address: string;
  /** Connections that are open now. */
  readonly connections: number;
  /** Stops listening, drops all connections, removes the unix socket's path. */
  close(): Promise<void>;
}

const LIMITS: StatsLimits = { connections: 16, connectionMs: 4000, crowd: 4, reuseMs: 50 };

/** No `Access-Control-Allow-Origin`: web pages opened on this machine have no business here. */
const HTTP_HEAD =
  "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";

/**
 * Binds the address and serves.
 * @throws EmperorError `address-in-use` or `bind-failed`
 */
export async function startStatsServer(options: StatsServerOptions): Promise<StatsServer> {
  const bureau = new Bureau(options);
  await bureau.listen();
  return bureau;
}

class Bureau implements StatsServer {
  readonly #options: StatsServerOptions;
  readonly #limits: StatsLimits;
  readonly #server: Server;
  /** Oldest first, with the timer that ends each. */
  readonly #open = new Map<Socket, NodeJS.Timeout>();
  readonly #complaints = new RepeatLimiter();
  #last: { readonly body: Buffer; readonly at: number } | undefined;

  constructor(options: StatsServerOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  get address(): string {
    const bound = this.#server.address();
    const { address } = this.#options;
    if (address.kind !== "tcp" || bound === null || typeof bound === "string") return address.text;
    return address.port === 0 ? address.text.replace(/0+$/, String(bound.port)) : address.text;
  }

  get connections(): number {
    return this.#open.size;
  }

  async listen(): Promise<void> {
    const { address, logger } = this.#options;
    try {
      await this.#bind();
    } catch (error) {
      if (errnoOf(error) !== "EADDRINUSE" || address.kind !== "unix")
        throw bindError(address, error);
      const occupant = await removeStale(address.path);
      if (occupant !== undefined) throw bindError(address, error, occupant);
      await this.#bind().catch((again: unknown) => {
        throw bindError(address, again);
      });
    }
    this.#server.on("error", (error) => {
      if (this.#complaints.ask("server", performance.now()).pass) {
        logger.warning(`[emperor] stats server on ${this.address}: ${reasonOf(error)}, going on`);
      }
    });
    logger.write({
      level: "info",
      dated: false,
      message: `*** Emperor stats server enabled on ${this.address} fd: ${this.#descriptor()} ***`,
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#open.keys()) socket.destroy();
    // Node unlinks a unix socket's path by itself when it closes the server.
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #bind(): Promise<void> {
    const { address, backlog, mode } = this.#options;
    const place =
      address.kind === "tcp"
        ? { host: address.host, port: address.port, backlog }
        : { path: address.kind === "unix" ? address.path : `\0${address.name}`, backlog };
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      // The socket file gets its mode with its first breath: a chmod afterwards would leave a moment
      // in which anybody may connect. Unix sockets are bound within the call.
      const before =
        address.kind === "unix" && mode !== undefined ? process.umask(~mode & 0o777) : undefined;
      try {
        this.#server.listen(place, () => {
          this.#server.removeListener("error", reject);
          resolve();
        });
      } finally {
        if (before !== undefined) process.umask(before);
      }
    });
  }

  /** The number that uWSGI's line shows; Node hides it behind its handle. */
  #descriptor(): number {
    const handle = "_handle" in this.#server ? this.#server._handle : undefined;
    return typeof handle === "object" &&
      handle !== null &&
      "fd" in handle &&
      typeof handle.fd === "number"
      ? handle.fd
      : -1;
  }

  #accept(socket: Socket): void {
    if (this.#open.size >= this.#limits.connections) {
      const [oldest] = this.#open.keys();
      oldest?.destroy();
      if (oldest !== undefined) this.#open.delete(oldest);
    }
    const timer = setTimeout(() => socket.destroy(), this.#limits.connectionMs);
    timer.unref();
    this.#open.set(socket, timer);
    socket.on("close", () => {
      clearTimeout(timer);
      this.#open.delete(socket);
    });
    // A client that goes away in the middle is its own affair.
    socket.on("error", () => socket.destroy());
    if (!this.#options.http) {
      this.#answer(socket);
      // What a client says is read and dropped: unread bytes would turn the end into a reset, which
      // may cost it the end of the document.
      socket.resume();
      socket.on("end", () => socket.end());
      return;
    }
    socket.once("data", () => {
      this.#answer(socket);
      socket.resume();
    });
    socket.once("end", () => socket.end());
  }

  #answer(socket: Socket): void {
    const body = this.#body();
    if (body === undefined) {
      socket.destroy();
      return;
    }
    if (this.#options.http) socket.write(`${HTTP_HEAD}Content-Length: ${body.length}\r\n\r\n`);
    socket.end(body);
  }

  /** The document's bytes. In a crowd all share one of a moment ago: a flood must not cost a CPU. */
  #body(): Buffer | undefined {
    const now = performance.now();
    if (
      this.#last !== undefined &&
      this.#open.size > this.#limits.crowd &&
      now - this.#last.at < this.#limits.reuseMs
    ) {
      return this.#last.body;
    }
    try {
      const text = renderStats(this.#options.document(), { minified: this.#options.minified });
      const body = Buffer.from(text);
      this.#last = this.#open.size > this.#limits.crowd ? { body, at: now } : undefined;
      return body;
    } catch (error) {
      this.#options.logger.write({
        level: "error",
        message:
          "[emperor] the statistics could not be made, closing the connection; please report this bug",
        ...(error instanceof Error && error.stack !== undefined ? { detail: error.stack } : {}),
      });
      return undefined;
    }
  }
}

function bindError(
  address: StatsAddress,
  error: unknown,
  occupant = "another process listens there",
): EmperorError {
  const inUse = errnoOf(error) === "EADDRINUSE";
  const why = inUse ? occupant : reasonOf(error);
  return new EmperorError(
    inUse ? "address-in-use" : "bind-failed",
    `emperor-stats = ${address.text}: cannot listen there: ${why}; nothing is started`,
    { cause: error },
  );
}

/**
 * Removes a socket file that a dead process left behind. Anything that is no socket, or that somebody
 * listens on, stays, while uWSGI unlinks whatever has the name.
 * @returns why it stays
 */
async function removeStale(path: string): Promise<string | undefined> {
  try {
    // As big integers, for the reason given in log/descriptor-sink.ts.
    if (!lstatSync(path, { bigint: true }).isSocket())
      return "there is something that is no socket";
  } catch {
    return undefined;
  }
  const dead = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (error) => resolve(errnoOf(error) === "ECONNREFUSED"));
  });
  if (!dead) return "another process listens there";
  unlinkSync(path);
  return undefined;
}
