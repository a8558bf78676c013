/**
 * The vassal's end of the config pipe (`UWSGI_EMPEROR_FD_CONFIG`), through which an Emperor pushes the
 * configuration. Part of the client: needs only `@emperor/protocol`. Does not know what a config says.
 */
import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import { ConfigFrameDecoder } from "@emperor/protocol/config-frame";

/** After a complete packet one more may follow at once; so long nothing else may come before it counts. */
const QUIET_MS = 20;

export class ConfigPipe {
  readonly #socket: Socket;
  readonly #decoder = new ConfigFrameDecoder();
  #framesUsed = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.unref();
    socket.on("data", (chunk: Buffer) => {
      this.#decoder.push(chunk);
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on("end", end);
    socket.on("error", end);
  }

  /** Opens the pipe that the text names; undefined when there is none. */
  static open(text: string | undefined): ConfigPipe | undefined {
    if (text === undefined || !/^\d{1,9}$/.test(text)) return undefined;
    const fd = Number(text);
    try {
      if (!fstatSync(fd).isSocket()) return undefined;
      return new ConfigPipe(
        new Socket({ fd, readable: true, writable: false, allowHalfOpen: true }),
      );
    } catch {
      return undefined;
    }
  }

  /** The last complete packet that is in the pipe now or comes in time, and was not read before. */
  async read(timeoutMs: number): Promise<Buffer | undefined> {
    const deadlineAt = performance.now() + timeoutMs;
    this.#socket.ref();
    try {
      for (;;) {
        const seen = this.#decoder.frames;
        const complete = seen > this.#framesUsed && this.#decoder.pendingBytes === 0;
        const waitMs = Math.min(complete ? QUIET_MS : Infinity, deadlineAt - performance.now());
        if (this.#ended || waitMs <= 0) break;
        const woken = await this.#next(waitMs);
        if (!woken && complete) break;
      }
    } finally {
      this.#socket.unref();
    }
    if (this.#decoder.frames === this.#framesUsed || this.#decoder.latest === undefined)
      return undefined;
    this.#framesUsed = this.#decoder.frames;
    return Buffer.from(this.#decoder.latest);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Resolves with true when something was read, with false after the time. */
  async #next(waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#wake = undefined;
        resolve(false);
      }, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve(true);
      };
    });
  }
}
