/**
 * Finds out when a command accepts: by asking an address until it answers, or by the datagrams of
 * sd_notify. Asks only while the answer is open; an idle vassal has no timer of this file.
 */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { bindDatagram, close, receiveDatagram } from "@emperor/linux";
import type { ListenAddress } from "./address.ts";
import type { Children } from "./children.ts";
import type { ReadySetting } from "./command-settings.ts";

/** Pause between two questions. */
const ASK_AGAIN_MS = 100;
/** One question; a program that takes longer to answer is asked again. */
const ANSWER_WITHIN_MS = 5000;
const DATAGRAM_BYTES = 4096;
/** A child that floods its socket is read in turns. */
const DATAGRAMS_AT_ONCE = 64;
const SERVER_ERROR = 500;

/** Resolves when something answers there; never rejects, and ends quietly when it is aborted. */
export async function untilAnswered(
  ready: ReadySetting & { readonly kind: "address" | "http" },
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const answered =
      ready.kind === "address" ? await accepts(ready.address) : await answers(ready.text);
    if (answered) return !signal.aborted;
    await pause(ASK_AGAIN_MS, signal);
  }
  return false;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

async function accepts(address: ListenAddress): Promise<boolean> {
  const where =
    address.kind === "unix"
      ? { path: address.path }
      : // Nobody can be reached at "all addresses".
        { host: address.host === "0.0.0.0" ? "127.0.0.1" : address.host, port: address.port };
  return new Promise((resolve) => {
    const socket = connect({ ...where, timeout: ANSWER_WITHIN_MS });
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}

async function answers(url: string): Promise<boolean> {
  const { request } = await import("node:http");
  return new Promise((resolve) => {
    const asked = request(url, { agent: false, timeout: ANSWER_WITHIN_MS }, (response) => {
      resolve((response.statusCode ?? SERVER_ERROR) < SERVER_ERROR);
      asked.destroy();
    });
    asked.once("timeout", () => asked.destroy());
    asked.once("error", () => resolve(false));
    asked.once("close", () => resolve(false));
    asked.end();
  });
}

/** What a program says by sd_notify; other assignments have no meaning here. */
export interface Notice {
  readonly ready: boolean;
  readonly stopping: boolean;
  readonly reloading: boolean;
  readonly status: string | undefined;
}

/** Reads one datagram. */
export function readNotice(text: string): Notice {
  const values = new Map(
    text.split("\n").map((line) => {
      const equals = line.indexOf("=");
      return [line.slice(0, Math.max(0, equals)), line.slice(equals + 1)] as const;
    }),
  );
  return {
    ready: values.get("READY") === "1",
    stopping: values.get("STOPPING") === "1",
    reloading: values.get("RELOADING") === "1",
    status: values.get("STATUS"),
  };
}

/** The socket of one program; its random name is known only to those who see its environment. */
export class NotifySocket {
  /** Value of `NOTIFY_SOCKET`. */
  readonly name: string;
  readonly #fd: number;
  readonly #unwatch: () => void;

  constructor(children: Children, onNotice: (notice: Notice) => void) {
    const name = `vassal-notify-${process.pid}-${randomBytes(12).toString("hex")}`;
    this.name = `@${name}`;
    this.#fd = bindDatagram(`\0${name}`);
    this.#unwatch = children.whenReadable(this.#fd, () => {
      for (let i = 0; i < DATAGRAMS_AT_ONCE; i++) {
        const datagram = receiveDatagram(this.#fd, DATAGRAM_BYTES);
        if (datagram === undefined) return;
        onNotice(readNotice(Buffer.from(datagram.bytes).toString()));
      }
    });
  }

  close(): void {
    this.#unwatch();
    close(this.#fd);
  }
}
