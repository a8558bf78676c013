/**
 * The calls of the native package that starting and governing processes needs. Tests give other ones.
 * All descriptors are close-on-exec from birth.
 */
import type { ExitStatus, SpawnOptions, SpawnResult, Watcher, WatchEvent } from "@emperor/linux";

export interface Machine {
  spawn(options: SpawnOptions): SpawnResult;
  /** `maxBytes`: most bytes of one channel report. */
  watch(onEvents: (events: readonly WatchEvent[]) => void, maxBytes: number): Watcher;
  /** A connected pair of stream sockets; `own` is non-blocking. Throws with `code`. */
  socketPair(): { readonly own: number; readonly theirs: number };
  /** Bytes written, or the symbolic errno (`EAGAIN`: the buffer is full). */
  write(fd: number, bytes: Uint8Array): number | string;
  /** What is there now, at most `size` bytes; nothing when there is none, or the peer is gone. */
  read(fd: number, size: number): Uint8Array;
  close(fd: number): void;
  /** Symbolic errno, or undefined when the signal was sent. */
  signal(pidfd: number, signal: "SIGTERM" | "SIGKILL"): string | undefined;
  /** Reaps an ended child; undefined: it has not ended. */
  reap(pidfd: number): ExitStatus | undefined;
}
