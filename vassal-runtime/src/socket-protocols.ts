/**
 * Which code speaks the protocol of which socket. Loaded ahead of the app, because an app that calls
 * `listen()` does not wait; modules of protocols that no socket has are not loaded.
 */
import type { Server, Socket } from "node:net";
import type { Connections } from "./connections.ts";
import { RuntimeError } from "./errors.ts";
import type { SocketDescriptor } from "./listen-capture.ts";

export type ConnectionHandler = (connection: Socket) => void;

/**
 * Undefined for plain HTTP, which the app's server speaks itself. Throws a `RuntimeError` when the app's
 * server cannot be served in that way.
 */
export type HandlerFor = (
  socket: SocketDescriptor,
  server: Server,
  connections: Connections,
) => ConnectionHandler | undefined;

/** Prepares for these sockets. Rejects with a `RuntimeError` when a certificate cannot be used. */
export async function loadProtocols(sockets: readonly SocketDescriptor[]): Promise<HandlerFor> {
  const speaks = (protocol: string): boolean =>
    sockets.some((socket) => socket.protocol === protocol);
  const uwsgi = speaks("uwsgi") ? await import("./uwsgi-server.ts") : undefined;
  const tls = speaks("https") ? await import("./tls-sockets.ts") : undefined;
  const certificates = new Map(
    sockets.flatMap((socket) =>
      tls === undefined || socket.tls === undefined
        ? []
        : [[socket, tls.readCertificate(socket.tls, socket.text)] as const],
    ),
  );
  let uwsgiServer: InstanceType<NonNullable<typeof uwsgi>["UwsgiServer"]> | undefined;

  return (socket, server, connections) => {
    const pem = certificates.get(socket);
    if (pem !== undefined && tls !== undefined) return tls.tlsHandler(pem, server, connections);
    if (socket.protocol !== "uwsgi" || uwsgi === undefined) return undefined;
    if (!uwsgi.isAppServer(server)) {
      throw new RuntimeError(
        "VASSAL_NO_APP",
        `socket ${JSON.stringify(socket.text)} speaks the uwsgi protocol, but the app's server is none for HTTP: use http-socket, which hands connections over as they are`,
      );
    }
    const serving = (uwsgiServer ??= new uwsgi.UwsgiServer(server));
    return (connection) => {
      connections.follow(connection);
      serving.serve(connection);
    };
  };
}
