/**
 * `emperor-proxy-socket`: lends the channel of the Emperor above to another program, which is governed
 * in our place; and `UWSGI_EMPEROR_PROXY`, which borrows one. Both speak uWSGI's bytes.
 */
import { statSync, unlinkSync } from "node:fs";
import * as linux from "@emperor/linux";
import {
  decodeDescriptorMessage,
  descriptorMessageBytes,
  encodeDescriptorMessage,
} from "@emperor/protocol";
import { EmperorError, reasonOf } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import { removeStale } from "../stats/stale-socket.ts";
import type { Ears } from "./ears.ts";

const OPTION = "emperor-proxy-socket";
const MODE = 0o600;
/** Channel, config pipe, and (uWSGI 2.1) on-demand sockets. */
const MOST_DESCRIPTORS = 3;

export interface LenderParts {
  /** Absolute. */
  readonly path: string;
  /** The channel, then the config pipe if there is one. */
  readonly descriptors: readonly number[];
  readonly ears: Ears;
  readonly logger: Logger;
  /** Somebody has it now. */
  readonly onLent: () => void;
}

/**
 * Lends `descriptors` to everybody who connects and has the rights of the file (0600).
 * @returns a function that ends it
 * @throws EmperorError `address-in-use`, `bind-failed`
 */
export async function openLender(parts: LenderParts): Promise<() => void> {
  const { path, descriptors, ears, logger } = parts;
  const refuse = (code: "address-in-use" | "bind-failed", why: string): EmperorError =>
    new EmperorError(code, `${OPTION} = ${path}: ${why}; nothing is started`);
  const obstacle = await removeStale(path);
  if (obstacle !== undefined) throw refuse("address-in-use", obstacle);
  let fd: number;
  try {
    fd = linux.listen({ family: "unix", path }, { backlog: 16, mode: MODE });
  } catch (error) {
    throw refuse("bind-failed", reasonOf(error));
  }
  const own = statSync(path, { bigint: true });
  const message = encodeDescriptorMessage("emperor", descriptors.length);
  const deafen = ears.hear(fd, () => {
    try {
      const connection = linux.accept(fd);
      if (connection === undefined) return;
      try {
        linux.sendDescriptors(connection, message, descriptors);
      } finally {
        linux.close(connection);
      }
      logger.info(`[emperor] ${OPTION}: the channel of the Emperor above is lent`);
      parts.onLent();
    } catch (error) {
      logger.warning(
        `[emperor] ${OPTION}: the channel could not be lent: ${reasonOf(error)}, going on`,
      );
    }
  });
  return () => {
    deafen();
    linux.close(fd);
    try {
      if (statSync(path, { bigint: true }).ino === own.ino) unlinkSync(path);
    } catch {
      // It is gone.
    }
  };
}

export interface Borrowed {
  readonly channel: number;
  readonly configPipe: number | undefined;
}

/** What came back of one attempt: the descriptors, or why not. `final`: another attempt gives the same. */
type Attempt = Borrowed | { readonly problem: string; readonly final: boolean };

const ATTEMPT_EVERY_MS = 200;

/**
 * Fetches the channel from the proxy at `path`. uWSGI tries for ever; here an Emperor that gets none
 * within `limitMs` ends, and whoever started it hears why.
 * @throws EmperorError `proxy-failed`
 */
export async function borrowChannel(path: string, limitMs: number, ears: Ears): Promise<Borrowed> {
  const end = performance.now() + limitMs;
  for (;;) {
    const left = Math.max(1, end - performance.now());
    const attempt = await tryOnce(path, left, ears);
    if ("channel" in attempt) return attempt;
    if (attempt.final || performance.now() + ATTEMPT_EVERY_MS > end) {
      throw new EmperorError(
        "proxy-failed",
        `UWSGI_EMPEROR_PROXY = ${path}: ${attempt.problem}; nothing is started`,
      );
    }
    await new Promise((resolve) => {
      setTimeout(resolve, ATTEMPT_EVERY_MS);
    });
  }
}

async function tryOnce(path: string, limitMs: number, ears: Ears): Promise<Attempt> {
  let fd: number;
  try {
    fd = linux.connect({ family: "unix", path }).fd;
  } catch (error) {
    return { problem: reasonOf(error), final: false };
  }
  try {
    if (!(await readable(fd, limitMs, ears)))
      return { problem: "it accepts and says nothing", final: true };
    return take(linux.receiveDescriptors(fd, descriptorMessageBytes("emperor"), MOST_DESCRIPTORS));
  } catch (error) {
    return { problem: reasonOf(error), final: false };
  } finally {
    linux.close(fd);
  }
}

function readable(fd: number, limitMs: number, ears: Ears): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (heard: boolean): void => {
      clearTimeout(timer);
      deafen();
      resolve(heard);
    };
    const timer = setTimeout(() => finish(false), limitMs);
    const deafen = ears.hear(fd, () => finish(true));
  });
}

/** Descriptors of an answer that is no good are closed: nothing of a stranger stays here. */
function take(message: linux.ReceivedMessage | undefined): Attempt {
  const { bytes = new Uint8Array(), fds = [], truncated = false } = message ?? {};
  const answer = decodeDescriptorMessage("emperor", bytes);
  const [channel, configPipe, ...rest] = fds;
  const isGood =
    answer.ok &&
    !truncated &&
    answer.count === fds.length &&
    channel !== undefined &&
    linux.localAddress(channel)?.family === "unix";
  if (!isGood) {
    for (const fd of fds) linux.close(fd);
    return { problem: "its answer is not that of an Emperor proxy", final: true };
  }
  // uWSGI 2.1 adds on-demand sockets, which an Emperor has no use for.
  for (const fd of rest) linux.close(fd);
  return { channel, configPipe };
}
