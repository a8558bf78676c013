/** Tiny clients of stream sockets: what an operator does with `nc`. Knows no protocol. */
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** `host:port`, or the path of a unix socket. */
export function connectTo(address: string): Socket {
  const colon = address.lastIndexOf(":");
  if (address.includes("/") || colon < 0) return connect({ path: address });
  return connect({
    host: address.slice(0, colon) || "127.0.0.1",
    port: Number(address.slice(colon + 1)),
  });
}

/** Connects, sends `request` if there is one, and gives everything until the peer closes. */
export function exchange(address: string, request?: string, deadlineMs = 5000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTo(address);
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => {
      socket.destroy(new Error(`no end of the answer of ${address} within ${deadlineMs} ms`));
    }, deadlineMs);
    socket.on("connect", () => {
      if (request !== undefined) socket.write(request);
    });
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.on("close", (hadError) => {
      clearTimeout(timer);
      if (!hadError) resolve(Buffer.concat(chunks).toString("utf8"));
    });
  });
}

/** A TCP port of the loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
