/**
 * A message queue in its smallest form: the sending end (PUSH) of ZeroMQ's protocol, ZMTP 3.0 without
 * security, for one peer. The real uWSGI's Emperor takes vassals from it, and hands their
 * configs through the config pipe. Knows nothing of Emperors.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";

const SIGNATURE = [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f];
const MORE = 1;
const COMMAND = 4;

function greeting(): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.set([...SIGNATURE, 3, 0]);
  bytes.write("NULL", 12);
  return bytes;
}

function frame(flags: number, body: Buffer): Buffer {
  const size = Buffer.alloc(9);
  size[0] = flags | 2; // eight bytes of length
  size.writeBigUInt64BE(BigInt(body.length), 1);
  return Buffer.concat([size, body]);
}

function ready(): Buffer {
  const property = (name: string, value: string): Buffer => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(value.length);
    return Buffer.concat([Buffer.of(name.length), Buffer.from(name), size, Buffer.from(value)]);
  };
  const name = Buffer.from("\x05READY");
  return frame(COMMAND, Buffer.concat([name, property("Socket-Type", "PUSH")]));
}

/** One connection to a peer that is bound to a unix socket (`ipc://PATH`). */
export class ZmqPush implements Disposable {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.resume();
    socket.write(Buffer.concat([greeting(), ready()]));
  }

  static async connect(path: string): Promise<ZmqPush> {
    const socket = await new Promise<Socket>((resolve, reject) => {
      const connecting = connect(path, () => resolve(connecting));
      connecting.once("error", reject);
    });
    return new ZmqPush(socket);
  }

  /** One message of several parts. */
  send(...parts: readonly string[]): void {
    const frames = parts.map((part, index) =>
      frame(index < parts.length - 1 ? MORE : 0, Buffer.from(part)),
    );
    this.#socket.write(Buffer.concat(frames));
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
