/**
 * Stands in, on the wire, for a member of a MongoDB replica set where a test needs change streams,
 * which FerretDB does not have. Holds documents in memory; answers only what a follower asks.
 */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { BSON, type Document } from "mongodb";
import { onTestFinished } from "vitest";

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const STREAM_ID = BSON.Long.fromNumber(7);

type Answer = Document | Promise<Document>;

export class MongoStandIn {
  readonly documents = new Map<string, Document>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #events: Document[] = [];
  #tokens = 0;
  #waiting: (() => void) | undefined;
  #streamFailure: { code: number; errmsg: string } | undefined;
  /** Streams that were opened, looks that were taken. */
  streams = 0;
  looks = 0;

  constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
      let pending = Buffer.alloc(0);
      socket.on("data", (chunk: Buffer) => {
        pending = Buffer.concat([pending, chunk]);
        while (pending.length >= 4 && pending.length >= pending.readInt32LE(0)) {
          const message = pending.subarray(0, pending.readInt32LE(0));
          pending = pending.subarray(message.length);
          void this.#serve(socket, Buffer.from(message));
        }
      });
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  put(document: Document & { readonly name: string }): void {
    const operationType = this.documents.has(document.name) ? "update" : "insert";
    this.documents.set(document.name, document);
    this.#emit({
      operationType,
      fullDocument: document,
      documentKey: { _id: document.name },
      ...(operationType === "update" ? { updateDescription: { updatedFields: { ts: 1 } } } : {}),
    });
  }

  /** Changes a document without telling the stream. */
  putSilently(document: Document & { readonly name: string }): void {
    this.documents.set(document.name, document);
  }

  remove(name: string): void {
    this.documents.delete(name);
    this.#emit({ operationType: "delete", documentKey: { _id: name } });
  }

  /** The stream that is open, and all others, fail so until `undefined`. */
  failStreams(failure: { code: number; errmsg: string } | undefined): void {
    this.#streamFailure = failure;
    this.#waiting?.();
  }

  async close(): Promise<void> {
    this.#waiting?.();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #emit(event: Document): void {
    this.#tokens += 1;
    const _id = { _data: String(this.#tokens) };
    this.#events.push({ _id, ns: { db: "uwsgi", coll: "emperor.vassals" }, ...event });
    this.#waiting?.();
  }

  async #serve(socket: Socket, message: Buffer): Promise<void> {
    const id = message.readInt32LE(4);
    const operation = message.readInt32LE(12);
    if (operation === OP_QUERY) {
      const afterName = message.indexOf(0, 20) + 1;
      const command = BSON.deserialize(message.subarray(afterName + 8));
      const body = BSON.serialize(await this.#answer(command));
      const head = Buffer.alloc(20);
      head.writeInt32LE(1, 16);
      return send(socket, id, OP_REPLY, Buffer.concat([head, body]));
    }
    const command = BSON.deserialize(message.subarray(21));
    const body = BSON.serialize(await this.#answer(command));
    send(socket, id, OP_MSG, Buffer.concat([Buffer.alloc(5), body]));
  }

  #answer(command: Document): Answer {
    const [name = ""] = Object.keys(command);
    switch (name) {
      case "hello":
      case "ismaster":
      case "isMaster":
        return this.#hello();
      case "find":
        return this.#find(command);
      case "aggregate":
        this.streams += 1;
        return this.#streamFailure === undefined
          ? this.#batch("firstBatch", [])
          : { ok: 0, ...this.#streamFailure };
      case "getMore":
        return this.#more();
      case "listCollections":
        return cursor("firstBatch", [{ name: "emperor.vassals", type: "collection" }], 0);
      default:
        return { ok: 1 };
    }
  }

  #hello(): Document {
    return {
      ok: 1,
      helloOk: true,
      isWritablePrimary: true,
      ismaster: true,
      setName: "stand-in",
      setVersion: 1,
      hosts: [this.address],
      primary: this.address,
      me: this.address,
      minWireVersion: 0,
      maxWireVersion: 21,
      maxBsonObjectSize: 16_777_216,
      maxMessageSizeBytes: 48_000_000,
      maxWriteBatchSize: 100_000,
      logicalSessionTimeoutMinutes: 30,
      localTime: new Date(),
    };
  }

  #find(command: Document): Document {
    this.looks += 1;
    const { $and: conditions = [] } = command["filter"] as { $and?: readonly Document[] };
    const names = conditions
      .map((one) => (one["name"] as { $in?: readonly string[] } | undefined)?.$in)
      .find(Boolean);
    const found = [...this.documents.values()].filter(
      (document) => names === undefined || names.includes(String(document["name"])),
    );
    return cursor("firstBatch", found, 0);
  }

  /** Waits for events as a server does, a second at most. */
  async #more(): Promise<Document> {
    if (this.#events.length === 0 && this.#streamFailure === undefined) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#waiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#waiting = undefined;
    }
    if (this.#streamFailure !== undefined) return { ok: 0, ...this.#streamFailure };
    const events = this.#events;
    this.#events = [];
    return this.#batch("nextBatch", events);
  }

  #batch(kind: "firstBatch" | "nextBatch", events: readonly Document[]): Document {
    return cursor(kind, events, STREAM_ID, {
      postBatchResumeToken: { _data: String(this.#tokens) },
    });
  }
}

function cursor(
  kind: string,
  documents: readonly Document[],
  id: BSON.Long | 0,
  more: Document = {},
): Document {
  const open = id === 0 ? BSON.Long.ZERO : id;
  return { ok: 1, cursor: { id: open, ns: "uwsgi.emperor.vassals", [kind]: documents, ...more } };
}

function send(socket: Socket, to: number, operation: number, body: Uint8Array): void {
  if (socket.destroyed) return;
  const head = Buffer.alloc(16);
  head.writeInt32LE(16 + body.length, 0);
  head.writeInt32LE(to, 8);
  head.writeInt32LE(operation, 12);
  socket.write(Buffer.concat([head, body]));
}

/** A stand-in that is gone when the test is over. */
export async function startMongoStandIn(): Promise<MongoStandIn> {
  const server = new MongoStandIn();
  await server.listen();
  onTestFinished(() => server.close());
  return server;
}
