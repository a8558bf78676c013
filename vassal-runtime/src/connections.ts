/**
 * The connections of one server, and the way to end them without losing a request: stop listening,
 * answer what was asked, close what is idle. Works for HTTP, HTTPS and plain `net` servers. Does not
 * know why the server ends, nor the Emperor.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Server } from "node:net";
import type { Socket } from "node:net";

/** How long an idle kept-alive connection may still bring a request while its worker goes. */
export const IDLE_GRACE_MS = 250;

/** How long a TLS handshake that is under way may take then. */
const HANDSHAKE_GRACE_MS = 2000;

export interface DrainOptions {
  /** A kept-alive connection without a request is closed after this time: its next request may be on the way. */
  readonly idleGraceMs: number;
  /** Connections that are left then are cut. */
  readonly deadlineMs: number;
  /** Wait for upgraded connections (WebSocket) as for requests; false cuts them when only they are left. */
  readonly waitForUpgraded: boolean;
}

/** Is told of every request; `end` comes once for each, when its response is complete or was cut. */
export interface RequestWatch {
  begin(request: IncomingMessage, response: ServerResponse): void;
  end(response: ServerResponse): void;
}

/** What a connection does at the moment: the response to its last request, or that it was upgraded. */
type Activity = ServerResponse | "upgraded" | undefined;

/** Closes the listening side only: `http.Server.close()` would cut idle connections at once. */
function stopListening(server: Server): void {
  if (server.listening) Server.prototype.close.call(server);
}

export class Connections {
  readonly #activity = new Map<Socket, Activity>();
  readonly #servers: Server[];
  readonly #http: boolean;
  #handshakes = 0;
  readonly #watches: readonly RequestWatch[];
  #onFirstServed: (() => void) | undefined;
  #draining: DrainOptions | undefined;
  #drained: (() => void) | undefined;

  /**
   * Follows `server` from now on; call it before it listens. `onFirstServed` is called once, after the
   * first complete response (for a server that is not HTTP: after the first connection).
   */
  constructor(server: Server, onFirstServed: () => void, watches: readonly RequestWatch[] = []) {
    this.#watches = watches;
    this.#servers = [server];
    this.#onFirstServed = onFirstServed;
    this.#http = "closeIdleConnections" in server;
    // Requests of a TLS server name the decrypted socket, which has an event of its own.
    server.on("setSecureContext" in server ? "secureConnection" : "connection", (socket: Socket) =>
      this.#opened(socket),
    );
    if (this.#http) this.#followRequests(server);
  }

  /** Number of open connections. */
  get count(): number {
    return this.#activity.size;
  }

  /** A connection that the server does not see as one of its own, but whose requests it gets. */
  follow(socket: Socket): void {
    this.#opened(socket);
  }

  /** A client begins with TLS; its connection is known to the server only after that. */
  handshakeBegan(): void {
    this.#handshakes += 1;
  }

  /** It has ended; `handOver` gives the connection to the server. */
  handshakeEnded(handOver?: () => void): void {
    handOver?.();
    this.#handshakes = Math.max(0, this.#handshakes - 1);
    if (this.#draining !== undefined) this.#checkDrained();
  }

  /** Another listening socket whose connections `server` serves. */
  addListener(listener: Server): void {
    this.#servers.push(listener);
  }

  /** Stops accepting, lets everything end, cuts the rest at the deadline. Resolves to the number cut. */
  async drain(options: DrainOptions): Promise<number> {
    this.#draining = options;
    for (const server of this.#servers) stopListening(server);
    let cut = 0;
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(() => {
        cut = this.#activity.size;
        this.#cutAll();
      }, options.deadlineMs);
      // Who has not even begun to ask by then is no reason to wait.
      const patience = setTimeout(
        () => {
          this.#handshakes = 0;
          this.#checkDrained();
        },
        Math.min(HANDSHAKE_GRACE_MS, options.deadlineMs),
      );
      this.#drained = () => {
        clearTimeout(deadline);
        clearTimeout(patience);
        resolve();
      };
      for (const [socket, activity] of this.#activity) this.#finish(socket, activity, options);
      this.#checkDrained();
    });
    return cut;
  }

  #followRequests(server: Server): void {
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
      this.#activity.set(request.socket, response);
      for (const watch of this.#watches) watch.begin(request, response);
      if (this.#onFirstServed !== undefined || this.#watches.length > 0) {
        // It comes once; `once` would cost each request a wrapper.
        response.on("close", () => {
          for (const watch of this.#watches) watch.end(response);
          if (response.writableFinished) this.#served();
        });
      }
      if (this.#draining !== undefined) response.setHeader("connection", "close");
    };
    const onUpgrade = (_request: IncomingMessage, socket: Socket): void => {
      this.#activity.set(socket, "upgraded");
    };
    server.prependListener("request", onRequest);
    // A listener for one of these changes how Node treats such requests, so ours joins the app's only.
    const special: Readonly<Record<string, typeof onRequest | typeof onUpgrade>> = {
      upgrade: onUpgrade,
      connect: onUpgrade,
      checkContinue: onRequest,
      checkExpectation: onRequest,
    };
    const join = (event: string | symbol): void => {
      const listener = typeof event === "string" ? special[event] : undefined;
      if (listener !== undefined && !server.listeners(event).includes(listener)) {
        delete (special as Record<string, unknown>)[String(event)];
        server.prependListener(event as string, listener as () => void);
      }
    };
    for (const event of Object.keys(special)) if (server.listenerCount(event) > 0) join(event);
    server.on("newListener", join);
  }

  #opened(socket: Socket): void {
    this.#activity.set(socket, undefined);
    socket.once("close", () => {
      this.#activity.delete(socket);
      if (!this.#http) this.#served();
      if (this.#draining !== undefined) this.#checkDrained();
    });
    // Accepted by the kernel before the listening socket was closed.
    if (this.#draining !== undefined) this.#finish(socket, undefined, this.#draining);
  }

  #served(): void {
    const callback = this.#onFirstServed;
    this.#onFirstServed = undefined;
    callback?.();
  }

  #finish(socket: Socket, activity: Activity, options: DrainOptions): void {
    if (activity === "upgraded" || !this.#http) return;
    const closeWhenIdle = (): void => {
      const now = this.#activity.get(socket);
      // A request that came meanwhile was told that it is the last one; its end closes the connection.
      if (now === "upgraded" || (now !== undefined && isRunning(now))) return;
      socket.destroy();
    };
    if (activity !== undefined && isRunning(activity)) {
      if (!activity.headersSent) activity.setHeader("connection", "close");
      activity.once("close", () => setTimeout(closeWhenIdle, options.idleGraceMs));
    } else {
      setTimeout(closeWhenIdle, options.idleGraceMs);
    }
  }

  #checkDrained(): void {
    if (this.#activity.size === 0 && this.#handshakes === 0) this.#drained?.();
    else if (
      this.#draining?.waitForUpgraded === false &&
      [...this.#activity.values()].every((a) => a === "upgraded")
    ) {
      this.#cutAll();
    }
  }

  #cutAll(): void {
    for (const socket of this.#activity.keys()) socket.destroy();
  }
}

function isRunning(response: ServerResponse): boolean {
  return !response.writableFinished && !response.destroyed;
}
