/**
 * Gives the vassal's sockets to whatever the app makes listen. An unmodified script calls `listen()`
 * with a port of its own; its first server gets the configured sockets instead (as Passenger does it),
 * every later server listens where it says. Does not know what the server does.
 */
import { Server } from "node:net";
import type { Socket } from "node:net";

/** A descriptor of a listening socket; `Server.listen` takes it over and closes it. */
export interface SocketDescriptor {
  readonly fd: number;
  readonly text: string;
}

export interface CaptureOptions {
  /** Empty: the app's first server listens where it wants, and is only reported. */
  readonly sockets: readonly SocketDescriptor[];
  readonly backlog: number;
  /** The app's server is known, and about to listen. */
  readonly onServer: (server: Server) => void;
  /** A further listening socket of the same server. */
  readonly onExtraListener: (listener: Server) => void;
  /** The server listens on all of its sockets. */
  readonly onListening: () => void;
  /** A trial: no server ever listens, the first attempt is only reported to `onServer`. */
  readonly trial?: boolean;
}

type Listen = (this: Server, ...args: unknown[]) => Server;

export interface Capture {
  /** The server that got the sockets. */
  readonly server: Server | undefined;
  /** Gives the sockets to a server that the runtime itself made. */
  adopt(server: Server): void;
}

/** Watches `net.Server.prototype.listen` (which HTTP, HTTPS and HTTP/2 servers share) from now on. */
export function captureListen(options: CaptureOptions): Capture {
  // Only ever called with a server as `this`.
  // oxlint-disable-next-line typescript/unbound-method
  const original = Server.prototype.listen as Listen;
  let captured: Server | undefined;

  const take = (server: Server, args: readonly unknown[]): Server => {
    captured = server;
    const [first, ...rest] = options.sockets;
    options.onServer(server);
    if (options.trial === true) return server;
    server.once("listening", options.onListening);
    if (first === undefined) return original.apply(server, [...args]);
    const callback = args.findLast((arg) => typeof arg === "function");
    original.call(
      server,
      { fd: first.fd, backlog: options.backlog },
      ...(callback === undefined ? [] : [callback]),
    );
    for (const socket of rest)
      options.onExtraListener(forward(original, socket, server, options.backlog));
    return server;
  };

  Server.prototype.listen = function listen(this: Server, ...args: unknown[]): Server {
    if (options.trial === true) return captured === undefined ? take(this, args) : this;
    // A second `listen()` of the same server is the app's mistake, reported by Node as always.
    return captured === undefined ? take(this, args) : original.apply(this, args);
  } as Server["listen"];

  return {
    get server() {
      return captured;
    },
    adopt(server) {
      take(server, []);
    },
  };
}

/** One more listening socket, whose connections are handed to `server`. */
function forward(
  original: Listen,
  socket: SocketDescriptor,
  server: Server,
  backlog: number,
): Server {
  // HTTP servers answer after the client has closed its half; the flag has to be the server's own.
  const allowHalfOpen = "closeIdleConnections" in server;
  const listener = new Server({ allowHalfOpen, noDelay: true });
  listener.on("connection", (connection: Socket) => server.emit("connection", connection));
  listener.on("error", (error) => server.emit("error", error));
  original.call(listener, { fd: socket.fd, backlog });
  return listener;
}
