/**
 * The least of PostgreSQL that a client library accepts: it lets everybody in and answers every query with
 * the same rows, as text. The real uWSGI's Emperor takes vassals from it, and hands their configs through
 * the config pipe. Knows nothing of Emperors, nor of SQL.
 */
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;

function int(value: number, bytes: 2 | 4): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
}

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int(body.length + 4, 4), body]);
}

const READY = message("Z", Buffer.from("I"));
const TEXT_TYPE = 25;

export class TinyPostgres implements AsyncDisposable {
  /** What every query gets. */
  rows: readonly (readonly string[])[] = [];
  readonly #server: Server;
  readonly #clients = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => {
      this.#clients.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => this.#clients.delete(socket));
      let waiting = Buffer.alloc(0);
      let begun = false;
      socket.on("data", (bytes: Buffer) => {
        waiting = Buffer.concat([waiting, bytes]);
        // The first messages have no type.
        for (let head = begun ? 1 : 0; waiting.length >= head + 4; head = begun ? 1 : 0) {
          const length = head + waiting.readInt32BE(head);
          if (waiting.length < length) return;
          const one = waiting.subarray(0, length);
          waiting = waiting.subarray(length);
          if (begun) {
            if (one[0] === "Q".charCodeAt(0)) socket.write(this.#answer());
            else if (one[0] === "X".charCodeAt(0)) socket.end();
          } else if ([SSL_REQUEST, GSS_REQUEST].includes(one.readInt32BE(4))) {
            socket.write("N");
          } else {
            begun = true;
            socket.write(Buffer.concat([message("R", int(0, 4)), READY]));
          }
        }
      });
    });
  }

  static async create(): Promise<TinyPostgres> {
    const postgres = new TinyPostgres();
    await new Promise<void>((resolve) => {
      postgres.#server.listen(0, "127.0.0.1", () => resolve());
    });
    return postgres;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #answer(): Buffer {
    const columns = ["name", "config", "ts"].map((name) =>
      Buffer.concat([
        Buffer.from(`${name}\0`),
        int(0, 4),
        int(0, 2),
        int(TEXT_TYPE, 4),
        int(-1, 2),
        int(-1, 4),
        int(0, 2),
      ]),
    );
    const rows = this.rows.map((row) => {
      const values = row.map((value) => Buffer.from(value));
      return message(
        "D",
        int(row.length, 2),
        ...values.flatMap((value) => [int(value.length, 4), value]),
      );
    });
    return Buffer.concat([
      message("T", int(columns.length, 2), ...columns),
      ...rows,
      message("C", Buffer.from(`SELECT ${rows.length}\0`)),
      READY,
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
