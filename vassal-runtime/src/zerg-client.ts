/**
 * The client of a zerg server: fetches listening sockets over a unix socket, by uWSGI's bytes. Whatever the
 * server sends, every descriptor that came with it is either a listening socket that is served, or closed.
 */
import { decodeDescriptorMessage, descriptorMessageBytes } from "@emperor/protocol";
import * as linux from "@emperor/linux";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { InheritedSocket } from "./launch.ts";
import { log } from "./log.ts";
import { isListening, localAddressText } from "./platform.ts";
import type { ZergAddress, ZergSettings } from "./zerg-settings.ts";

/** As in uWSGI: room at first, then as much as the server announced. */
const FIRST_ROOM = 8;
/** The kernel passes no more at a time. */
const MOST = 253;
/** As in uWSGI: a server that says nothing for so long is not there. */
const ANSWER_MS = 30_000;
const FULL_RETRY_MS = 50;

/**
 * The sockets of all servers of `zerg`. Rejects with a `RuntimeError` when one of them gives none, unless
 * `zerg-fallback` is set.
 */
export async function fetchZergSockets(
  settings: Pick<ZergSettings, "attachTo" | "fallback">,
  answerMs = ANSWER_MS,
): Promise<InheritedSocket[]> {
  const fetched: InheritedSocket[] = [];
  for (const address of settings.attachTo) {
    try {
      const sockets = await fetchFrom(address, answerMs);
      log(
        `zerg of ${address.text}: ${sockets.length} socket(s): ${sockets.map(({ text }) => text).join(", ")}`,
      );
      fetched.push(...sockets);
    } catch (error) {
      const problem = `${address.origin}: zerg server ${JSON.stringify(address.text)}: ${reasonOf(error)}`;
      if (!settings.fallback) {
        for (const { fd } of fetched) linux.close(fd);
        throw new RuntimeError("VASSAL_BIND", problem, {}, { cause: error });
      }
      log(`${problem}; going on without it (zerg-fallback)`);
    }
  }
  return fetched;
}

async function fetchFrom({ path }: ZergAddress, answerMs: number): Promise<InheritedSocket[]> {
  const first = await ask(path, FIRST_ROOM, answerMs);
  // The room was too small: what came is incomplete.
  const fds = first.count > FIRST_ROOM ? (await again(path, first, answerMs)).fds : first.fds;
  const sockets: InheritedSocket[] = [];
  for (const fd of fds) {
    const text = isListening(fd) ? localAddressText(fd) : undefined;
    if (text !== undefined && !sockets.some((socket) => socket.text === text))
      sockets.push({ fd, text, given: true, zerg: true });
    else linux.close(fd);
  }
  if (sockets.length > 0) return sockets;
  throw new Error(
    fds.length === 0
      ? "it has no sockets to give"
      : `none of the ${fds.length} descriptors that it gives is a listening socket`,
  );
}

interface Gift {
  readonly count: number;
  readonly fds: readonly number[];
}

async function again(path: string, { count, fds }: Gift, answerMs: number): Promise<Gift> {
  for (const fd of fds) linux.close(fd);
  if (count > MOST) throw new Error(`it announces ${count} sockets, ${MOST} can be passed`);
  const gift = await ask(path, count, answerMs);
  if (gift.count === count) return gift;
  for (const fd of gift.fds) linux.close(fd);
  throw new Error(`it announced ${count} sockets and then ${gift.count}`);
}

/** One connection, one message. */
async function ask(path: string, room: number, answerMs: number): Promise<Gift> {
  const deadline = performance.now() + answerMs;
  const connection = await connect(path, deadline);
  try {
    const message = await receive(connection, room, deadline);
    const decoded = decodeDescriptorMessage("zerg", message.bytes);
    const fits = decoded.ok && (decoded.count > room || decoded.count === message.fds.length);
    if (decoded.ok && fits) return { count: decoded.count, fds: message.fds };
    for (const fd of message.fds) linux.close(fd);
    throw new Error(
      decoded.ok
        ? `it announces ${decoded.count} sockets and sends ${message.fds.length}`
        : message.bytes.length === 0
          ? "it hung up without a word"
          : `what it sends is no answer of a zerg server (${decoded.reason})`,
    );
  } finally {
    linux.close(connection);
  }
}

async function connect(path: string, deadline: number): Promise<number> {
  for (;;) {
    try {
      return linux.connect({ family: "unix", path }).fd;
    } catch (error) {
      // Many zergs ask at once, and the server's queue is full.
      const full = error instanceof linux.LinuxError && error.code === "EAGAIN";
      if (!full || performance.now() >= deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, FULL_RETRY_MS));
  }
}

async function receive(
  connection: number,
  room: number,
  deadline: number,
): Promise<linux.ReceivedMessage> {
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer);
      watcher.close();
    };
    const watcher = linux.createWatcher(() => {
      try {
        const message = linux.receiveDescriptors(
          connection,
          descriptorMessageBytes("zerg"),
          Math.max(1, room),
        );
        if (message === undefined) return watcher.rearm(0);
        finish();
        resolve(message);
      } catch (error) {
        finish();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
    const timer = setTimeout(
      () => {
        finish();
        reject(new Error("it does not answer"));
      },
      Math.max(0, deadline - performance.now()),
    );
    watcher.addReadable(connection, 0);
  });
}
