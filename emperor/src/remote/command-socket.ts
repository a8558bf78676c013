/**
 * `emperor-command-socket`: datagrams of a unix socket or of UDP on this machine, handed on one by
 * one. Owns the sockets and their files; what a datagram means is for others.
 */
import { statSync, unlinkSync } from "node:fs";
import * as linux from "@emperor/linux";
import { COMMAND_MAX_BYTES } from "@emperor/protocol";
import { EmperorError, reasonOf } from "../errors.ts";
import type { StatsAddress } from "../stats/address.ts";
import type { Ears } from "./ears.ts";
import { removeStaleDatagram } from "./stale-datagram.ts";

/** One more than a command may have, so that a longer one is seen to be longer. */
const READ_BYTES = COMMAND_MAX_BYTES + 1;
/** Datagrams taken per turn of the loop: a flood of them holds up nobody for long. */
const PER_TURN = 32;

/** Whoever is at this machine may send to it; datagrams from elsewhere are no commands. */
const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/;

export interface CommandSocketParts {
  readonly address: StatsAddress;
  /** Mode of a unix socket's file. uWSGI leaves it to the umask. */
  readonly mode: number;
  readonly ears: Ears;
  readonly onDatagram: (datagram: Uint8Array, sender: string) => void;
}

export interface CommandSocket {
  close(): Promise<void>;
}

/**
 * Binds the socket.
 * @throws EmperorError `bad-address`, `address-in-use`, `bind-failed`
 */
export async function openCommandSocket(parts: CommandSocketParts): Promise<CommandSocket> {
  const { address } = parts;
  if (address.kind === "tcp") return openUdp(parts, address.host, address.port);
  const path = address.kind === "unix" ? address.path : `\0${address.name}`;
  if (address.kind === "unix") {
    const obstacle = removeStaleDatagram(path);
    if (obstacle !== undefined) throw refusal("address-in-use", parts, obstacle);
  }
  let fd: number;
  try {
    fd = linux.bindDatagram(path, parts.mode);
  } catch (error) {
    throw refusal("bind-failed", parts, reasonOf(error), error);
  }
  const own = address.kind === "unix" ? statSync(path, { bigint: true }) : undefined;
  const deafen = parts.ears.hear(fd, () => receive(fd, parts));
  return {
    close: async () => {
      deafen();
      linux.close(fd);
      if (own !== undefined) removeOwn(path, own);
    },
  };
}

function receive(fd: number, { onDatagram }: CommandSocketParts): void {
  for (let count = 0; count < PER_TURN; count += 1) {
    const datagram = linux.receiveDatagram(fd, READ_BYTES);
    if (datagram === undefined) return;
    const { credentials } = datagram;
    const sender =
      credentials === undefined ? "nobody known" : `pid ${credentials.pid}, uid ${credentials.uid}`;
    onDatagram(datagram.bytes, sender);
  }
}

async function openUdp(
  parts: CommandSocketParts,
  written: string,
  port: number,
): Promise<CommandSocket> {
  // `:PORT` is every address to uWSGI, so that whoever reaches the machine could stop its vassals.
  const host = written === "0.0.0.0" && parts.address.text.startsWith(":") ? "127.0.0.1" : written;
  if (!LOOPBACK.test(host)) {
    const why = "commands carry no proof of who sends them, so UDP is for 127.0.0.0/8 and ::1 only";
    throw refusal("bad-address", parts, why);
  }
  const { createSocket } = await import("node:dgram");
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  await new Promise<void>((resolve, reject) => {
    socket.once("error", (error) => reject(refusal("bind-failed", parts, reasonOf(error), error)));
    socket.bind({ port, address: host, exclusive: true }, resolve);
  });
  socket.removeAllListeners("error");
  // An error of one datagram; the socket stays what it is.
  socket.on("error", () => undefined);
  socket.on("message", (bytes, { address, port: from }) => {
    parts.onDatagram(bytes, `${address}:${from}`);
  });
  return { close: () => new Promise((resolve) => socket.close(() => resolve())) };
}

/** Somebody may have put another one there. */
function removeOwn(path: string, own: { readonly dev: bigint; readonly ino: bigint }): void {
  try {
    const found = statSync(path, { bigint: true });
    if (found.dev === own.dev && found.ino === own.ino) unlinkSync(path);
  } catch {
    // It is gone.
  }
}

function refusal(
  code: "bad-address" | "address-in-use" | "bind-failed",
  { address }: CommandSocketParts,
  why: string,
  cause?: unknown,
): EmperorError {
  const message = `emperor-command-socket = ${address.text}: ${why}; nothing is started`;
  return new EmperorError(code, message, { cause });
}
