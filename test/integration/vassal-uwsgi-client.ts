/** A client that speaks the uwsgi protocol, or whatever bytes a test wants. Knows no vassal. */
import { Socket, connect } from "node:net";
import * as linux from "@emperor/linux";
import { encodeDictionary, encodePacket } from "@emperor/protocol";

/** A request packet for `GET /`. */
export function packet(): Buffer {
  const body = encodeDictionary([
    ["REQUEST_METHOD", "GET"],
    ["REQUEST_URI", "/"],
  ]);
  const bytes = body.ok ? encodePacket(0, 0, body.bytes) : body;
  if (!bytes.ok) throw new Error(bytes.reason);
  return Buffer.from(bytes.bytes);
}

/** Everything that comes back for these bytes, until the end; "" when the connection is just closed. */
export async function exchange(path: string, bytes: Uint8Array): Promise<string> {
  // Node 20 cannot connect to abstract names.
  const socket = path.startsWith("\0")
    ? new Socket({ fd: linux.connect({ family: "unix", path }).fd })
    : connect(path);
  let answer = "";
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  const closed = closing(socket);
  socket.write(bytes);
  await closed;
  return answer;
}

/** Resolves when the socket is closed, by an end or by a reset: who hangs up on unread bytes resets. */
export function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}
