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
  /** What its cgroup had counted; undefined without cgroups. */
  readonly usage?: RunUsage;
}

/** What one run has used, as far as the machine counts it. Bytes, milliseconds, numbers. */
export interface RunUsage {
  readonly memoryPeak?: number;
  readonly cpuMs?: number;
  readonly processesPeak?: number;
  /** Processes that the kernel killed for want of memory in the cgroup. */
  readonly oomKills?: number;
}

/** The same of a run that goes on, and how it is now. */
export interface CgroupAccount extends RunUsage {
  readonly memory?: number;
  readonly processes?: number;
  /** Percent of the last ten seconds in which some task of it waited for the resource. */
  readonly pressure?: { readonly cpu?: number; readonly memory?: number; readonly io?: number };
}

/** Why a start failed. `transient`: the machine's fault (EAGAIN, EMFILE, ENFILE, ENOMEM). */
export interface SpawnFailureReport {
  readonly cause: "system" | "vassal" | "exile";
  /** Full sentence part: what, where, errno. */
  readonly detail: string;
}

/** A handle is a small number that is never used again: `incarnation` of one process. */
export type ProcessHandle = number;

export interface Hands {
  /** Starts the vassal's process. Outcome: `onSpawned` or `onSpawnFailed`, possibly before it returns. */
  spawn(handle: ProcessHandle, spec: VassalSpec, extras: { readonly zergNumber?: number }): void;
  /** Writes one byte to the channel; `false` when it cannot be written (peer gone or buffer full). */
  send(handle: ProcessHandle, message: EmperorMessageName): boolean;
  /** Writes one config packet; continues later what does not fit now. */
  sendConfig(handle: ProcessHandle, config: Uint8Array): void;
  /** By pidfd, or the whole tree by cgroup / process group. Never anything that is not a live child of ours. */
  kill(handle: ProcessHandle, signal: "SIGTERM" | "SIGKILL", scope: "process" | "tree"): void;
  /** Releases channel, config pipe and pidfd of a reaped process and ends what is left of its tree. */
  release(handle: ProcessHandle): void;
  /** Milliseconds, monotonic. */
  now(): number;
  /** Milliseconds since the epoch, for display only. */
  wallNow(): number;
  /** One timer for the whole court; a new call replaces the old. `undefined`: none. */
  setAlarm(at: number | undefined): void;
  /** What the cgroups of these processes say, in order; absent where there are no cgroups. */
  accounts?(handles: readonly ProcessHandle[]): readonly (CgroupAccount | undefined)[];
  /**
   * Stops every process of the vassal until it is thawed: nothing of it runs, its memory stays. What
   * keeps it from that, or undefined. A frozen vassal answers nothing: who stops it thaws it first.
   */
  freeze?(handle: ProcessHandle): string | undefined;
  thaw?(handle: ProcessHandle): string | undefined;
}

export interface HandsListener {
  onSpawned(handle: ProcessHandle, pid: number): void;
  onSpawnFailed(handle: ProcessHandle, failure: SpawnFailureReport): void;
  /** Bytes as read from the channel, at most a few hundred at a time. */
  onBytes(handle: ProcessHandle, bytes: Uint8Array): void;
  onChannelClosed(handle: ProcessHandle): void;
  onExited(handle: ProcessHandle, status: ReapedProcess): void;
  onAlarm(): void;
}
