/**
 * The Emperor above this one: the other end of the channel in `UWSGI_EMPEROR_FD`. Announces this
 * Emperor, hears its orders and its loss; what follows from them is for others.
 */
import * as linux from "@emperor/linux";
import { decodeEmperorMessage, encodeVassalMessage, ENVIRONMENT } from "@emperor/protocol";
import type { VassalMessageName } from "@emperor/protocol";
import { errnoOf, reasonOf } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import type { Ears } from "./ears.ts";

/** Most bytes taken at a time. More than a few never wait: uWSGI says one byte per order. */
const READ_BYTES = 64;

/** What the Emperor above may want. */
export interface SuperiorOrders {
  /** Byte 0, or with `graceful` byte 2. */
  stop(graceful: boolean): void;
  /** Byte 1. */
  reload(): void;
  /** It is gone: nobody governs this Emperor any more. */
  lost(): void;
}

/** The channel's descriptor, or why there is none. Only a socket can be the channel. */
export function channelOf(text: string | undefined): number | string {
  const name = ENVIRONMENT.emperorFd;
  if (text === undefined) return `${name} is not set`;
  if (!/^\d{1,9}$/.test(text)) return `${name} is no descriptor number: ${JSON.stringify(text)}`;
  try {
    if (linux.localAddress(Number(text))?.family === "unix") return Number(text);
    return `descriptor ${text} (${name}) is no unix socket`;
  } catch (error) {
    return `descriptor ${text} (${name}): ${reasonOf(error)}`;
  }
}

/**
 * The same open socket with another number that no program started from here inherits. Node closes
 * only low numbers at an exec, and an open copy of the channel would hide this Emperor's death.
 */
export function privateCopy(fd: number): number {
  const [one, other] = linux.socketpair({ type: "stream", nonBlocking: "none" });
  try {
    linux.sendDescriptors(one, Uint8Array.of(0), [fd]);
    const copy = linux.receiveDescriptors(other, 1, 1)?.fds[0];
    if (copy === undefined) throw new Error("the descriptor did not arrive");
    return copy;
  } finally {
    linux.close(one);
    linux.close(other);
  }
}

export class Superior {
  /** Pid of the Emperor above, as the kernel noted it; 0 when that is not known. */
  readonly pid: number;
  readonly fd: number;
  readonly #logger: Logger;
  readonly #orders: SuperiorOrders;
  #deafen: (() => void) | undefined;

  /** Hears from now on; `fd` belongs to it. */
  constructor(fd: number, ears: Ears, logger: Logger, orders: SuperiorOrders) {
    this.fd = fd;
    this.#logger = logger;
    this.#orders = orders;
    this.pid = creatorOf(fd);
    this.#deafen = ears.hear(fd, () => this.#read());
  }

  /**
   * Ready, and loyal at once, as uWSGI's sub-Emperors are: an Emperor serves no request that could
   * prove it, and its own vassals' failures are its own matter.
   */
  announce(): void {
    this.#say("spawned");
    this.#say("loyal");
  }

  /** Byte 30. */
  askReinforcements(): void {
    this.#say("reinforcements");
  }

  /** Hears and says nothing more. The channel stays open until the process ends: its end is our death. */
  deafen(): void {
    this.#deafen?.();
    this.#deafen = undefined;
  }

  #say(message: VassalMessageName): void {
    if (this.#deafen === undefined) return;
    try {
      const bytes = Uint8Array.of(encodeVassalMessage(message));
      if (linux.writeChannel(this.fd, bytes) === 1) return;
      this.#logger.warning(
        `[emperor] the Emperor above this one does not read its channel: "${message}" is not told, going on`,
      );
    } catch {
      // It is gone; the end of the channel says so as well, after what it said last.
    }
  }

  #read(): void {
    let bytes: Uint8Array | undefined;
    try {
      bytes = linux.readChannel(this.fd, READ_BYTES);
    } catch (error) {
      return this.#lost(errnoOf(error));
    }
    if (bytes === undefined) return;
    if (bytes.length === 0) return this.#lost("it closed the channel");
    for (const byte of bytes) if (this.#deafen !== undefined) this.#obey(byte);
  }

  #obey(byte: number): void {
    this.#logger.write({
      level: "info",
      dated: false,
      message: `received message ${byte} from emperor`,
    });
    switch (decodeEmperorMessage(byte)) {
      case "stop":
      case "graceful-stop":
        // Whatever the Emperor above does after this is its own matter: it may well be the next to go.
        this.deafen();
        return this.#orders.stop(byte !== 0);
      case "reload":
        return this.#orders.reload();
      case undefined:
        // Newer Emperors may know more; an unknown word is no reason to do anything.
        return;
    }
  }

  #lost(why: string): void {
    if (this.#deafen === undefined) return;
    this.deafen();
    this.#logger.write({
      level: "error",
      dated: false,
      message: `lost connection with my emperor !!! (${why}): this Emperor ends, and its vassals with it`,
    });
    this.#orders.lost();
  }
}

function creatorOf(fd: number): number {
  try {
    return linux.peerCredentials(fd).pid;
  } catch {
    return 0;
  }
}
