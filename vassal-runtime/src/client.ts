/**
 * The client of the Emperor's protocol for Node programs: one object that says `spawned`, `accepting`,
 * `loyal`, beats, and hears `reload` and `stop`. It runs inside tenants' applications, so it needs
 * nothing but `@emperor/protocol` and Node itself. It must not know the runtime, and never throw
 * because there is no Emperor: then every call returns false and does nothing.
 *
 * Descriptors: an Emperor hands over the channel without close-on-exec. Node marks inherited
 * descriptors close-on-exec while it starts (all of them up to the first gap above 15), so programs
 * started with `node:child_process` get no copy. A vassal that was given a higher number by a foreign
 * Emperor should keep `UWSGI_EMPEROR_FD` out of the `stdio` of its children, as an open copy hides
 * the vassal's death.
 */
import { EventEmitter } from "node:events";
import { fstatSync } from "node:fs";
import { Socket } from "node:net";
// Its parts, not the whole package: every vassal loads this at each start.
import { decodeEmperorMessage, encodeVassalMessage } from "@emperor/protocol/emperor-messages";
import type { VassalMessageName } from "@emperor/protocol/emperor-messages";
import { ENVIRONMENT } from "@emperor/protocol/environment";
import { ConfigPipe } from "./config-pipe.ts";

/** Bytes that may wait for an Emperor that never reads; further messages are dropped (false). */
const MAX_UNREAD_BYTES = 64;

export interface ConnectOptions {
  /** Where the descriptor numbers are looked up; default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Keep the process alive while the Emperor is there; default false. */
  readonly keepAlive?: boolean;
  /**
   * What happens on a message that nobody listens to. True (default) acts as Node does for signals:
   * `stop` and `reload` exit with 0 (the Emperor starts a vassal again that it still wants), `lost`
   * exits with 1. False ignores it.
   */
  readonly defaultActions?: boolean;
}

/** Events of a connection and their arguments. */
export interface EmperorEvents {
  /** Re-read the configuration and start anew gracefully, or exit and be started again. */
  reload: [];
  /** Stop; `graceful` asks to finish the requests that run. */
  stop: [graceful: boolean];
  /** The Emperor is gone: a vassal should end. Emitted once. */
  lost: [];
}

/** The connection of this process to its Emperor. Get it from `connectEmperor()`. */
export class EmperorConnection extends EventEmitter<EmperorEvents> {
  /** Bytes without a meaning that were received. A newer Emperor may send some; they do no harm. */
  unknownBytes = 0;
  /** Why there is no connection, for a log line; empty while connected. */
  reason: string;
  readonly #socket: Socket | undefined;
  readonly #configPipe: ConfigPipe | undefined;
  readonly #defaultActions: boolean;
  #connected: boolean;
  #heartbeat: NodeJS.Timeout | undefined;

  /** Use `connectEmperor()`; a descriptor can be read by one connection only. */
  constructor(options: ConnectOptions = {}) {
    super();
    const env = options.env ?? process.env;
    this.#defaultActions = options.defaultActions ?? true;
    const opened = openChannel(env[ENVIRONMENT.emperorFd]);
    if (typeof opened === "string") {
      this.reason = opened;
      this.#socket = undefined;
      this.#configPipe = undefined;
      this.#connected = false;
      return;
    }
    this.reason = "";
    this.#socket = opened;
    this.#connected = true;
    this.#configPipe = ConfigPipe.open(env[ENVIRONMENT.emperorFdConfig]);
    opened.on("data", (bytes: Buffer) => this.#received(bytes));
    opened.on("end", () => this.#lost("the Emperor closed the channel"));
    opened.on("error", (error) => this.#lost(error.message));
    if (options.keepAlive !== true) opened.unref();
  }

  /** An Emperor is at the other end. */
  get connected(): boolean {
    return this.#connected;
  }

  /** A config pipe exists: the Emperor pushes the configuration. */
  get hasConfigPipe(): boolean {
    return this.#configPipe !== undefined;
  }

  /** Byte 1: the program is loaded. Like all messages: false when nobody was told. */
  spawned(): boolean {
    return this.#send("spawned");
  }

  /** Byte 5: requests are accepted. Send it again after each reload. */
  accepting(): boolean {
    return this.#send("accepting");
  }

  /** Byte 17: the first request was served. A vassal that dies before it is slowed down (blacklist). */
  loyal(): boolean {
    return this.#send("loyal");
  }

  /** Byte 22: no longer needed. The Emperor stops this vassal, or keeps its socket for later. */
  bye(): boolean {
    return this.#send("done");
  }

  /** Byte 30: overloaded; a broodlord Emperor starts a reinforcement. */
  reinforcements(): boolean {
    return this.#send("reinforcements");
  }

  /** Byte 2: send the configuration once more through the config pipe; see `readConfig`. */
  wantConfig(): boolean {
    return this.#configPipe !== undefined && this.#send("config-wanted");
  }

  /** Byte 26, once. The first one arms the Emperor's watchdog. */
  beat(): boolean {
    return this.#send("heartbeat");
  }

  /**
   * Beats now and then every `everySeconds`. Once begun it must go on for the life of the process
   * (the Emperor kills a vassal that falls silent), so use less than half of the Emperor's limit.
   */
  heartbeat(everySeconds: number): boolean {
    if (!(everySeconds > 0))
      throw new RangeError(`heartbeat: ${everySeconds} is no interval in seconds`);
    this.stopHeartbeat();
    if (!this.beat()) return false;
    this.#heartbeat = setInterval(() => this.beat(), everySeconds * 1000);
    this.#heartbeat.unref();
    return true;
  }

  /** Ends `heartbeat()`; only sensible just before the end of the process. */
  stopHeartbeat(): void {
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  /**
   * Reads the pushed configuration: everything that waits in the config pipe is drained and the last
   * complete packet counts, because a uWSGI 2.0 Emperor sends two for one reload.
   *
   * @returns the bytes of the configuration; undefined without a pipe, or when none came in time.
   */
  async readConfig(timeoutMs = 5000): Promise<Buffer | undefined> {
    return this.#configPipe?.read(timeoutMs);
  }

  /** Closes the channel. To the Emperor this looks like the death of the vassal. */
  close(): void {
    this.stopHeartbeat();
    this.#connected = false;
    this.reason = "closed by this process";
    this.#socket?.destroy();
    this.#configPipe?.close();
  }

  #send(name: VassalMessageName): boolean {
    const socket = this.#socket;
    if (!this.#connected || socket === undefined) return false;
    if (socket.writableLength >= MAX_UNREAD_BYTES) return false;
    socket.write(Uint8Array.of(encodeVassalMessage(name)));
    return true;
  }

  #received(bytes: Buffer): void {
    for (const byte of bytes) {
      const name = decodeEmperorMessage(byte);
      switch (name) {
        case "reload":
          if (!this.emit("reload")) this.#defaultAction(0);
          break;
        case "stop":
        case "graceful-stop":
          if (!this.emit("stop", name === "graceful-stop")) this.#defaultAction(0);
          break;
        case undefined:
          this.unknownBytes += 1;
          break;
      }
    }
  }

  #lost(reason: string): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.reason = reason;
    this.stopHeartbeat();
    this.#socket?.destroy();
    if (!this.emit("lost")) this.#defaultAction(1);
  }

  #defaultAction(exitCode: number): void {
    if (this.#defaultActions) process.exit(exitCode);
  }
}

/** Opens the channel, or says why there is none. */
function openChannel(text: string | undefined): Socket | string {
  const { emperorFd } = ENVIRONMENT;
  if (text === undefined || text === "") return `no Emperor: ${emperorFd} is not set`;
  if (!/^\d{1,9}$/.test(text))
    return `no Emperor: ${emperorFd} is no descriptor number: ${JSON.stringify(text)}`;
  const fd = Number(text);
  try {
    // The variable outlives the descriptor in children of a vassal; there the number may be free, or
    // belong to a file of theirs. Only a socket can be the channel.
    if (!fstatSync(fd).isSocket())
      return `no Emperor: descriptor ${fd} (${emperorFd}) is no socket`;
    return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  } catch (error) {
    return `no Emperor: descriptor ${fd} (${emperorFd}): ${error instanceof Error ? error.message : String(error)}`;
  }
}

const SHARED = Symbol.for("emperor.vassal.connection");
type Holder = { [SHARED]?: EmperorConnection };

/**
 * The connection of this process to its Emperor, made at the first call. All later calls, also those of
 * another copy of this package in the same process, and those of an app that the `vassal` command
 * loaded, return the same object (the options of the first call count), because only one reader may
 * stand at the descriptor. With an `env` of your own you get a connection of your own.
 */
export function connectEmperor(options: ConnectOptions = {}): EmperorConnection {
  if (options.env !== undefined && options.env !== process.env)
    return new EmperorConnection(options);
  const holder = globalThis as Holder;
  return (holder[SHARED] ??= new EmperorConnection(options));
}
