/**
 * `emperor-trigger-socket`: every connection causes a scan of all monitors and is closed at once. In
 * uWSGI it works for the first connection only. Owns the socket; a scan is for others.
 */
import { statSync, unlinkSync } from "node:fs";
import * as linux from "@emperor/linux";
import { EmperorError, reasonOf } from "../errors.ts";
import type { StatsAddress } from "../stats/address.ts";
import { removeStale } from "../stats/stale-socket.ts";
import type { Ears } from "./ears.ts";

/** Connections taken per turn of the loop. They lead to one scan together. */
const PER_TURN = 64;

export interface TriggerParts {
  readonly address: StatsAddress;
  readonly mode: number | undefined;
  readonly backlog: number;
  readonly ears: Ears;
  readonly onTrigger: () => void;
}

/**
 * Binds the socket.
 * @returns a function that closes it
 * @throws EmperorError `address-in-use`, `bind-failed`
 */
export async function openTriggerSocket(parts: TriggerParts): Promise<() => void> {
  const { address, mode, backlog, ears } = parts;
  if (address.kind === "unix") {
    const obstacle = await removeStale(address.path);
    if (obstacle !== undefined) throw refusal("address-in-use", parts, obstacle);
  }
  let fd: number;
  try {
    fd = linux.listen(await addressOf(address), {
      backlog,
      ...(mode === undefined || address.kind !== "unix" ? {} : { mode }),
    });
  } catch (error) {
    throw refusal("bind-failed", parts, reasonOf(error), error);
  }
  const own = address.kind === "unix" ? statSync(address.path, { bigint: true }) : undefined;
  const deafen = ears.hear(fd, () => {
    if (takeAll(fd)) parts.onTrigger();
  });
  return () => {
    deafen();
    linux.close(fd);
    if (address.kind !== "unix" || own === undefined) return;
    try {
      const found = statSync(address.path, { bigint: true });
      if (found.dev === own.dev && found.ino === own.ino) unlinkSync(address.path);
    } catch {
      // It is gone.
    }
  };
}

/** Was there a connection? What a client sends is not read: to connect is all it has to say. */
function takeAll(fd: number): boolean {
  let any = false;
  for (let count = 0; count < PER_TURN; count += 1) {
    try {
      const connection = linux.accept(fd);
      if (connection === undefined) return any;
      linux.close(connection);
    } catch {
      // It hung up before it was taken, or no descriptor is left: it wanted a scan all the same.
    }
    any = true;
  }
  return any;
}

async function addressOf(address: StatsAddress): Promise<Parameters<typeof linux.listen>[0]> {
  if (address.kind === "unix") return { family: "unix", path: address.path };
  if (address.kind === "abstract") return { family: "unix", path: `\0${address.name}` };
  const { lookup } = await import("node:dns/promises");
  const { address: host, family } = await lookup(address.host);
  return { family: family === 6 ? "ipv6" : "ipv4", host, port: address.port };
}

function refusal(
  code: "address-in-use" | "bind-failed",
  { address }: TriggerParts,
  why: string,
  cause?: unknown,
): EmperorError {
  const message = `emperor-trigger-socket = ${address.text}: ${why}; nothing is started`;
  return new EmperorError(code, message, { cause });
}
