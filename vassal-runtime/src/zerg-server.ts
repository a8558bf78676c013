/**
 * A zerg server: hands out listening sockets to whoever connects and may, by uWSGI's bytes: one message,
 * then the end. Nothing is read, and nothing is kept of a client.
 */
import { encodeDescriptorMessage } from "@emperor/protocol";
import * as linux from "@emperor/linux";
import { lstatSync, unlinkSync } from "node:fs";
import { RuntimeError, reasonOf } from "./errors.ts";
import { atLeaving } from "./leaving.ts";
import { log } from "./log.ts";
import { makeRoom } from "./sockets.ts";
import type { ZergAddress } from "./zerg-settings.ts";

/** A socket that can be handed out. */
export interface Gift {
  readonly fd: number;
  readonly text: string;
}

const BACKLOG = 128;
const ACCEPT_AT_ONCE = 64;
const DEFAULT_MODE = 0o600;
/** The kernel passes no more at a time. */
const MOST = 253;
/** Refused clients are told of at most once in this time, ms. */
const REFUSALS_EVERY_MS = 10_000;

/**
 * Serves from now on. `gifts` are asked for each time, for a reload may change them. Rejects with a
 * `RuntimeError` when the address cannot be bound. `mode` undefined: 600, and only root and the own user
 * get anything; uWSGI leaves the mode to the umask and asks nobody who they are.
 */
export async function serveZergs(
  address: ZergAddress,
  mode: number | undefined,
  gifts: () => readonly Gift[],
): Promise<void> {
  const { origin, path, text } = address;
  const isFile = !path.startsWith("\0");
  if (isFile) await makeRoom(path, address);
  let fd: number;
  try {
    fd = linux.listen({ family: "unix", path }, { backlog: BACKLOG, mode: mode ?? DEFAULT_MODE });
  } catch (error) {
    throw new RuntimeError(
      "VASSAL_BIND",
      `${origin}: cannot serve zergs on ${JSON.stringify(text)}: ${reasonOf(error)}`,
      {},
      { cause: error },
    );
  }
  if (isFile) removeAtEnd(path);
  const server = new ZergServer(text, mode !== undefined, gifts);
  const watcher = linux.createWatcher(() => {
    server.serve(fd);
    watcher.rearm(0);
  });
  watcher.addListener(fd, 0);
  watcher.unref();
  log(`zerg server on ${text}: ${[...new Set(gifts().map((gift) => gift.text))].join(", ")}`);
}

class ZergServer {
  readonly #text: string;
  /** The file's mode says who may connect, and so who gets the sockets. */
  readonly #trusting: boolean;
  readonly #gifts: () => readonly Gift[];
  #refusedAt = -Infinity;

  constructor(text: string, trusting: boolean, gifts: () => readonly Gift[]) {
    this.#text = text;
    this.#trusting = trusting;
    this.#gifts = gifts;
  }

  /** Everybody who waits, as far as a turn of the loop goes. */
  serve(listener: number): void {
    for (let count = 0; count < ACCEPT_AT_ONCE; count++) {
      let client: number | undefined;
      try {
        client = linux.accept(listener);
        if (client === undefined) return;
        this.#give(client);
      } catch (error) {
        this.#refused(`a zerg got nothing: ${reasonOf(error)}`);
        // Without a client it was the accept itself that failed: not again in this turn.
        if (client === undefined) return;
      } finally {
        if (client !== undefined) linux.close(client);
      }
    }
  }

  #give(client: number): void {
    const peer = linux.peerCredentials(client);
    if (!this.#trusting && peer.uid !== 0 && peer.uid !== process.geteuid?.())
      return this.#refused(
        `user ${peer.uid} (pid ${peer.pid}) may not have the sockets: zerg-server-mode is not set`,
      );
    // As uWSGI: each address once.
    const unique = new Map(this.#gifts().map((gift) => [gift.text, gift.fd]));
    const fds = [...unique.values()].slice(0, MOST);
    linux.sendDescriptors(client, encodeDescriptorMessage("zerg", fds.length), fds);
  }

  #refused(text: string): void {
    const now = performance.now();
    if (now - this.#refusedAt < REFUSALS_EVERY_MS) return;
    this.#refusedAt = now;
    log(`zerg server on ${this.#text}: ${text}`);
  }
}

/** Only the very file that was made here. */
function removeAtEnd(path: string): void {
  const made = lstatSync(path);
  atLeaving(() => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.ino === made.ino && found.dev === made.dev) unlinkSync(path);
  });
}
