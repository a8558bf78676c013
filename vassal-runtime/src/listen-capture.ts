/**
 * Gives the vassal's sockets to whatever the app makes listen. An unmodified script calls `listen()`
 * with a port of its own; its first server gets the configured sockets instead (as Passenger does it),
 * every later server listens where it says. Does not know what the server does.
 */
import { Server } from "node:net";
import type { Socket } from "node:net";
import type { Certificate, SocketProtocol } from "./socket-settings.ts";

/** A descriptor of a listening socket; `Server.listen` takes it over and closes it. */
export interface SocketDescriptor {
  readonly fd: number;
  readonly text: string;
  readonly protocol: SocketProtocol;
  readonly tls?: Certificate;
  readonly keepAlive?: boolean;
}

export interface CaptureOptions {
  /** Empty: the app's first server listens where it wants, and is only reported. */
  readonly sockets: readonly SocketDescriptor[];
  readonly backlog: number;
  /** Takes the connections of a socket; undefined: the app's server speaks the protocol itself. */
  readonly handlerFor?: (
    socket: SocketDescriptor,
    server: Server,
  ) => ((connection: Socket) => void) | undefined;
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
    // A server that listens has an address; where possible it is one that speaks its own protocol.
    const first =
      options.sockets.find(({ protocol }) => protocol === "http") ?? options.sockets.at(0);
    const rest = options.sockets.filter((socket) => socket !== first);
    options.onServer(server);
    if (options.trial === true) return server;
    server.once("listening", options.onListening);
    if (first === undefined) return original.apply(server, [...args]);
    const handler = options.handlerFor?.(first, server);
    if (handler !== undefined) divert(server, handler);
    if (first.keepAlive === true) server.prependListener("connection", keepAlive);
    const callback = args.findLast((arg) => typeof arg === "function");
    original.call(
      server,
      { fd: first.fd, backlog: options.backlog },
      ...(callback === undefined ? [] : [callback]),
    );
    for (const socket of rest) {
      const listener = forward(socket, server, options.handlerFor?.(socket, server));
      original.call(listener, { fd: socket.fd, backlog: options.backlog });
      options.onExtraListener(listener);
    }
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

/**
 * One more listening socket, whose connections are handed to `handler`, or as they are to `server`. It
 * does not listen yet.
 */
function forward(
  socket: SocketDescriptor,
  server: Server,
  handler: ((connection: Socket) => void) | undefined,
): Server {
  // HTTP servers answer after the client has closed its half; the flag has to be the server's own.
  const allowHalfOpen =
    socket.protocol === "uwsgi" || (handler === undefined && "closeIdleConnections" in server);
  const listener = new Server({
    allowHalfOpen,
    noDelay: true,
    keepAlive: socket.keepAlive === true,
  });
  listener.on(
    "connection",
    handler ?? ((connection: Socket) => server.emit("connection", connection)),
  );
  listener.on("error", (error) => server.emit("error", error));
  return listener;
}

/**
 * The connections that `server` itself accepts go to `handler`; those that it is given by others, as
 * Node's documentation allows it, still go to its own listeners.
 */
function divert(server: Server, handler: (connection: Socket) => void): void {
  const own = server.rawListeners("connection");
  server.removeAllListeners("connection");
  server.on("connection", (connection: Socket & { readonly server?: Server }) => {
    // Node notes on each connection who accepted it.
    if (connection.server === server) return handler(connection);
    for (const listener of own) listener.call(server, connection);
  });
}

function keepAlive(connection: Socket): void {
  connection.setKeepAlive(true);
}
