/**
 * The hands: the only code that touches processes, sockets and timers. The court gives orders in
 * these words and hears back through `HandsListener`; the simulation gives it other hands.
 */
import type { VassalSpec } from "@emperor/monitors";
import type { EmperorMessageName } from "@emperor/protocol";

/** Facts about a process that only the machine knows. */
export interface ReapedProcess {
  readonly code: number | null;
  readonly signal: number | null;
}

/** Why a start failed. `transient`: the machine's fault (EAGAIN, EMFILE, ENFILE, ENOMEM). */
export interface SpawnFailureReport {
  readonly cause: "system" | "vassal" | "exile";
  /** Full sentence part: what, where, errno. */
  readonly detail: string;
}

/** A handle is a small number that is never used again: `incarnation` of one process. */
export type ProcessHandle = number;

/** A number that is never used again: the on-demand sockets of one record. */
export type SocketsKey = number;

/** Why on-demand sockets are not there. `lasting`: only another address can mend it. */
export interface SocketFailure {
  readonly lasting: boolean;
  /** Full sentence part: what, where, errno. */
  readonly detail: string;
}

/** What only some starts have. */
export interface SpawnExtras {
  readonly zergNumber?: number;
  /** The process gets these sockets, which are bound now if they are not yet. */
  readonly sockets?: SocketsKey;
}

export interface Hands {
  /** Starts the vassal's process. Outcome: `onSpawned` or `onSpawnFailed`, possibly before it returns. */
  spawn(handle: ProcessHandle, spec: VassalSpec, extras: SpawnExtras): void;
  /** Writes one byte to the channel; `false` when it cannot be written (peer gone or buffer full). */
  send(handle: ProcessHandle, message: EmperorMessageName): boolean;
  /** Writes one config packet; continues later what does not fit now. */
  sendConfig(handle: ProcessHandle, config: Uint8Array): void;
  /** By pidfd, or the whole tree by cgroup / process group. Never anything that is not a live child of ours. */
  kill(handle: ProcessHandle, signal: "SIGTERM" | "SIGKILL", scope: "process" | "tree"): void;
  /** Releases channel, config pipe and pidfd of a reaped process and ends what is left of its tree. */
  release(handle: ProcessHandle): void;
  /**
   * Binds the sockets that `spec` asks for, those that are bound already excepted, and reports the next
   * connection by `onConnectionWaiting`, once. What `spec` no longer asks for is closed.
   */
  watchSockets(key: SocketsKey, spec: VassalSpec): SocketFailure | undefined;
  /** No reports any more; the sockets stay bound. */
  unwatchSockets(key: SocketsKey): void;
  /** Closes them and removes the files that were made for them. Unknown keys are ignored. */
  closeSockets(key: SocketsKey): void;
  /** Milliseconds, monotonic. */
  now(): number;
  /** Milliseconds since the epoch, for display only. */
  wallNow(): number;
  /** One timer for the whole court; a new call replaces the old. `undefined`: none. */
  setAlarm(at: number | undefined): void;
}

export interface HandsListener {
  /** `adopted`: by a fork server. */
  onSpawned(handle: ProcessHandle, pid: number, adopted?: boolean): void;
  onSpawnFailed(handle: ProcessHandle, failure: SpawnFailureReport): void;
  /** Bytes as read from the channel, at most a few hundred at a time. */
  onBytes(handle: ProcessHandle, bytes: Uint8Array): void;
  onChannelClosed(handle: ProcessHandle): void;
  onExited(handle: ProcessHandle, status: ReapedProcess): void;
  /** Somebody waits at one of the sockets that were watched. */
  onConnectionWaiting(key: SocketsKey): void;
  /** Nobody was connected to the process's on-demand sockets for as long as the administrator allows. */
  onDeserted(handle: ProcessHandle): void;
  onAlarm(): void;
}
