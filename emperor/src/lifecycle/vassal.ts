/**
 * The state of one vassal: what its monitor wants, what is there, and what happened before. Plain
 * data only, so the whole court can be written down and read back. Knows no process, timer or clock.
 */

/** Monotonic milliseconds. Wall time is for display and never decides anything. */
export type Instant = number;

/** What the life-cycle must know of a wanted vassal; the court keeps the rest of the spec. */
export interface Wanted {
  /** Opaque version of the source. A difference is a change. */
  readonly version: string;
  /** Everything that cannot change in a running process: ids, directory, wrapper, socket. A difference restarts. */
  readonly identity: string;
  /** The config is pushed through a pipe: answer `config-wanted`. */
  readonly pushed: boolean;
  /** Has an on-demand socket. */
  readonly onDemand: boolean;
}

/** Why a vassal waits in `queued`. */
export type QueueReason = "new" | "throttle" | "blacklist" | "damped" | "system" | "respawn";

/** Why a process is being stopped. */
export type StopReason =
  | "removed"
  | "changed-identity"
  | "done"
  | "heartbeat"
  | "channel-lost"
  | "command"
  | "shutdown"
  | "slow-start";

/** Why a vassal rests until something changes. */
export type RestReason =
  /** Waits for a `spawn` command. */
  | "wait-for-command"
  /** An operator stopped it. */
  | "stopped-by-command"
  /** Exit code 26, or its own directory attribute is wrong: until the config changes. */
  | "exiled"
  /** It said byte 22: until the config changes. */
  | "asleep";

export type Phase =
  | { readonly name: "suspended"; readonly reason: RestReason }
  | { readonly name: "dormant" }
  /** Waits for `notBefore`, then for the gate (`asked`: the permit was requested). */
  | { readonly name: "queued"; readonly reason: QueueReason; readonly notBefore: Instant; readonly asked: boolean }
  /** The spawn effect was given; holds a gate slot. `pid` is known once `spawned` arrived. */
  | {
      readonly name: "starting";
      readonly generation: number;
      readonly pid: number | undefined;
      readonly startedAt: Instant;
    }
  | {
      readonly name: "running";
      readonly generation: number;
      readonly pid: number;
      readonly startedAt: Instant;
      readonly ready: boolean;
      readonly accepting: boolean;
      readonly loyal: boolean;
      /** Proved itself since its last (re)load: by loyalty or by time up. */
      readonly healthy: boolean;
      readonly healthyAt: Instant | undefined;
      readonly heartbeatAt: Instant | undefined;
      /** A reload was sent and neither 1 nor 5 came back yet. */
      readonly reloading: boolean;
    }
  | {
      readonly name: "stopping";
      readonly generation: number;
      readonly pid: number | undefined;
      readonly startedAt: Instant;
      readonly reason: StopReason;
      readonly loyal: boolean;
      readonly killAt: Instant;
      readonly killed: boolean;
      /** What follows the exit. Derived from `wanted` when it comes, so it is not stored. */
      readonly next: "respawn" | "dormant" | "rest" | "remove";
    }
  | { readonly name: "gone" };

export type PhaseName = Phase["name"];

/** What the Emperor remembers of a vassal's past; drives blacklist and damping. */
export interface History {
  /** Deaths without health since it was last healthy: the blacklist's count. 0 = not listed. */
  readonly failures: number;
  /** Nominal delay before the next start, ms. */
  readonly delayMs: number;
  readonly firstFailureAt: Instant;
  readonly lastFailureAt: Instant;
  /** Quick deaths of loyal generations in a row: damping. */
  readonly quickDeaths: number;
  /** Starts refused by the system in a row (EAGAIN, EMFILE...). */
  readonly refusals: number;
  /** Version that asked for exile. */
  readonly exiledVersion: string | undefined;
  readonly starts: number;
  readonly reloads: number;
  readonly crashes: number;
}

export interface Vassal {
  readonly wanted: Wanted | undefined;
  readonly phase: Phase;
  /** Number of the last process started for this vassal; events of an older one change nothing. */
  readonly generation: number;
  readonly history: History;
}
