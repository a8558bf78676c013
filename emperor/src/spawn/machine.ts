/**
 * The calls of the native package that starting and governing processes needs. Tests give other ones;
 * the Emperor gives the package itself.
 */
import { constants } from "node:os";
import type * as linux from "@emperor/linux";

export type Machine = Pick<
  typeof linux,
  | "spawn"
  | "spawnAsync"
  | "createWatcher"
  | "socketpair"
  | "readChannel"
  | "writeChannel"
  | "close"
  | "reap"
  | "signalProcess"
  | "signalGroup"
>;

export type Signal = "SIGTERM" | "SIGKILL";

/** The symbolic errno of what a system call threw. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}

/** Bytes written, 0 when nothing fits now; undefined when the peer is gone. */
export function writeIfPossible(
  machine: Machine,
  fd: number,
  bytes: Uint8Array,
): number | undefined {
  try {
    return machine.writeChannel(fd, bytes);
  } catch {
    return undefined;
  }
}

/** Signals one child. The symbolic errno of a refusal; undefined when it got the signal or is gone. */
export function signalChild(machine: Machine, pidfd: number, signal: Signal): string | undefined {
  try {
    machine.signalProcess(pidfd, constants.signals[signal]);
    return undefined;
  } catch (error) {
    return errorCode(error);
  }
}
