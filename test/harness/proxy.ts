/**
 * Stands between a client and a server on unix sockets or TCP: forwards, or holds everything back as a
 * network that fails does. Counts what passes. Knows no protocol.
 */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { connectTo } from "./sockets.ts";

export class Proxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #frozen = false;
  /** Bytes in both directions. */
  bytes = 0;
  /** Connections that clients made. */
  accepted = 0;

  constructor(target: string) {
    this.#server = createServer((client) => {
      this.accepted += 1;
      const server = connectTo(target);
      const pair = [client, server] as const;
      this.#pairs.add(pair);
      this.#join(client, server);
      this.#join(server, client);
      if (this.#frozen) for (const side of pair) side.pause();
    });
  }

  #join(from: Socket, to: Socket): void {
    from.on("data", (chunk: Buffer) => {
      this.bytes += chunk.length;
      to.write(chunk);
    });
    const end = (): void => {
      from.destroy();
      to.destroy();
      for (const pair of this.#pairs) if (pair.includes(from)) this.#pairs.delete(pair);
    };
    from.on("error", end);
    from.on("close", end);
  }

  /** Listens on a path, or on a free port of the loopback (0). */
  async listen(place: string | 0): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      if (place === 0) this.#server.listen(0, "127.0.0.1", resolve);
      else this.#server.listen(place, resolve);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Accepts connections and bytes and passes nothing on: no end, no error, no answer. */
  freeze(): void {
    this.#frozen = true;
    for (const pair of this.#pairs) for (const side of pair) side.pause();
  }

  thaw(): void {
    this.#frozen = false;
    for (const pair of this.#pairs) for (const side of pair) side.resume();
  }

  /** Cuts every connection. */
  cut(): void {
    for (const pair of this.#pairs) for (const side of pair) side.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A proxy that is gone when the test is over. */
export async function startProxy(target: string, place: string | 0): Promise<Proxy> {
  const proxy = new Proxy(target);
  await proxy.listen(place);
  onTestFinished(() => proxy.close());
  return proxy;
}
