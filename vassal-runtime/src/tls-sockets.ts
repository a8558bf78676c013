/**
 * TLS for `https-socket`: reads and checks certificate and key, and turns connections into decrypted ones.
 * Files are read once per process, so a reload brings new ones. Loaded only where it is wanted.
 */
import { readFileSync } from "node:fs";
import { createSecureContext, createServer } from "node:tls";
import type { Server as TlsServer } from "node:tls";
import type { Server, Socket } from "node:net";
import type { Connections } from "./connections.ts";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { Certificate } from "./socket-settings.ts";

interface Pem {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Reads both files; throws a `RuntimeError` when they cannot be used together. `text` names the socket. */
export function readCertificate({ certificate, key }: Certificate, text: string): Pem {
  try {
    const pem = { cert: readFileSync(certificate), key: readFileSync(key) };
    createSecureContext(pem);
    return pem;
  } catch (error) {
    throw new RuntimeError(
      "VASSAL_TLS",
      `https-socket ${JSON.stringify(text)} cannot use certificate ${JSON.stringify(certificate)} and key ${JSON.stringify(key)}: ${reasonOf(error)}`,
      {},
      { cause: error },
    );
  }
}

/** What to do with each raw connection, so that `server` gets it decrypted. */
export function tlsHandler(
  pem: Pem,
  server: Server,
  connections: Connections,
): (connection: Socket) => void {
  // An app's own TLS server takes decrypted connections under a name of their own.
  const event = "setSecureContext" in server ? "secureConnection" : "connection";
  const tls: TlsServer = createServer({ ...pem, ALPNProtocols: ["http/1.1"] }, (socket) => {
    connections.handshakeEnded(() => server.emit(event, socket));
  });
  // Comes exactly once for each handshake that fails, a client that goes away included.
  tls.on("tlsClientError", () => connections.handshakeEnded());
  return (connection) => {
    connections.handshakeBegan();
    tls.emit("connection", connection);
  };
}
