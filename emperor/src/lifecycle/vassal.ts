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
  /** A reinforcement: nothing is ever held against it, because it is not started again; it is gone instead. */
  readonly zerg?: true;
}

/** Why a vassal waits in `queued`. */
export type QueueReason =
  /** Its source reported it for the first time. */
  | "new"
  /** Its config changed while it had no process. */
  | "changed"
  /** A connection waits on its on-demand socket. */
  | "demand"
  /** Its on-demand socket could not be bound: then that is tried again. */
  | "socket"
  /** An operator asked for the start, or forgave its failures. */
  | "command"
  /** Its process ended and nothing speaks against the next one. */
  | "respawn"
  /** It died without having been healthy. */
  | "blacklist"
  /** It died quickly too often, although nothing is held against it. */
  | "damped"
  /** The machine refused the start. */
  | "system";

/** Why a process is being stopped. */
export type StopReason =
  | "removed"
  | "changed-identity"
  | "done"
  | "deserted"
  /** A zerg whose vassal reloads. */
  | "replaced"
  | "heartbeat"
  | "channel-lost"
  | "command"
  | "shutdown"
  | "slow-start";

/** Why a vassal rests until something changes. */
export type RestReason =
  /** The record was made a moment ago and its first `wanted` is on the way. */
  | "unannounced"
  /** Waits for a `spawn` command. */
  | "wait-for-command"
  /** An operator stopped it. */
  | "stopped-by-command"
  /** Exit code 26, or its own directory or socket address is wrong: until the config changes. */
  | "exiled"
  /** It said byte 22: until the config changes. */
  | "asleep";

/** What follows the exit of a process that is being stopped. */
export type AfterStop =
  /** A new process or its on-demand socket; by way of the blacklist if the stop was its own fault. */
  | "respawn"
  /** Rests `asleep`. */
  | "asleep"
  /** Rests `stopped-by-command`. */
  | "stopped"
  /** Nothing: it is no longer wanted, or the Emperor ends. */
  | "remove";

export type Phase =
  | { readonly name: "suspended"; readonly reason: RestReason }
  | { readonly name: "dormant" }
  /** Waits for `notBefore`, then for the gate (`asked`: the permit was requested). */
  | {
      readonly name: "queued";
      readonly reason: QueueReason;
      readonly notBefore: Instant;
      readonly asked: boolean;
    }
  /** The spawn effect was given. `pid` is known once `spawned` arrived, which also renews `startedAt`. */
  | {
      readonly name: "starting";
      readonly generation: number;
      readonly pid: number | undefined;
      readonly startedAt: Instant;
      /** Still holds its slot of the gate; a spawn that takes longer than the grace gives it back. */
      readonly permit: boolean;
      /** A reload is due (`owed`: as soon as there is a channel) or on its way (`sent`). */
      readonly reload: "none" | "owed" | "sent";
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
      /** When it counts as healthy if it is still up then. */
      readonly healthyAt: Instant;
      /** Since when it is silent: the last heartbeat, or later while a reload excuses it. undefined: none was sent yet. */
      readonly heartbeatAt: Instant | undefined;
      /** A reload was sent and neither 1 nor 5 came back yet. */
      readonly reloading: boolean;
    }
  | {
      readonly name: "stopping";
      readonly generation: number;
      /** undefined: `spawned` has not come yet; the stop is carried out when it does. */
      readonly pid: number | undefined;
      readonly startedAt: Instant;
      readonly permit: boolean;
      readonly reason: StopReason;
      readonly loyal: boolean;
      readonly healthy: boolean;
      /** SIGTERM is due; only for a lost channel, where no byte can ask. */
      readonly termAt: Instant | undefined;
      /** SIGKILL is due. undefined: only the end of the mercy decides (Ragnarok). */
      readonly killAt: Instant | undefined;
      readonly killed: boolean;
      readonly next: AfterStop;
    }
  | { readonly name: "gone" };

export type PhaseName = Phase["name"];

/** What the Emperor remembers of a vassal's past; drives blacklist and damping. */
export interface History {
  /** Deaths without health since it was last healthy: the blacklist's count. 0 = not listed. */
  readonly failures: number;
  /** Nominal delay before the next start, ms; 0 while `failures` is 0. */
  readonly delayMs: number;
  readonly firstFailureAt: Instant;
  readonly lastFailureAt: Instant;
  /** Quick deaths in a row that the blacklist does not count: damping. */
  readonly quickDeaths: number;
  /** Starts refused by the system in a row (EAGAIN, EMFILE...). */
  readonly refusals: number;
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

/** What a vassal remembers before anything happened. */
export const CLEAN_HISTORY: History = {
  failures: 0,
  delayMs: 0,
  firstFailureAt: 0,
  lastFailureAt: 0,
  quickDeaths: 0,
  refusals: 0,
  starts: 0,
  reloads: 0,
  crashes: 0,
};

/** A vassal that nothing is known of yet; its first `wanted` sets it going. */
export function newVassal(): Vassal {
  return {
    wanted: undefined,
    phase: { name: "suspended", reason: "unannounced" },
    generation: 0,
    history: CLEAN_HISTORY,
  };
}
