/** Everything that can happen to one vassal. Events are in the past tense; process events carry their generation. */
import type { VassalMessageName } from "@emperor/protocol";
import type { Instant, Wanted } from "./vassal.ts";

/** How a process ended, as far as decisions need it. */
export type ExitReason =
  | { readonly kind: "code"; readonly code: number }
  | { readonly kind: "signal"; readonly signal: number };

export type VassalEvent =
  /** The monitor reports the vassal, first time, changed or once more. */
  | { readonly type: "wanted"; readonly wanted: Wanted }
  /** The source no longer has it. */
  | { readonly type: "unwanted" }
  /** The gate lets this vassal start now. */
  | { readonly type: "permitted" }
  /** `spawn` succeeded: the child exists (in copied mode its exec may still be ahead). */
  | { readonly type: "spawned"; readonly generation: number; readonly pid: number }
  /**
   * The child could not be made or did not become the program. `cause`: `system` = the machine's
   * fault (EAGAIN, EMFILE, ENOMEM): not held against the vassal; `vassal` = program, hook or
   * directory; `exile` = only another config can mend it.
   */
  | {
      readonly type: "spawn-failed";
      readonly generation: number;
      readonly cause: "system" | "vassal" | "exile";
      readonly detail: string;
    }
  /** One message of the channel (config-wanted, heartbeat...), never before `spawned`. Unknown bytes never get here. */
  | { readonly type: "message"; readonly generation: number; readonly message: VassalMessageName }
  /** EOF or error on the channel, in either direction. The process may live on. */
  | { readonly type: "channel-closed"; readonly generation: number }
  /** A message could not be written: nobody reads the channel, or it is full of messages unread. */
  | { readonly type: "unheard"; readonly generation: number }
  /** The child was reaped: the one truth about its death. */
  | { readonly type: "exited"; readonly generation: number; readonly exit: ExitReason }
  /** The deadline of the phase may have passed: handlers check for themselves. */
  | { readonly type: "timer" }
  /** SIGHUP or command: reload although nothing changed. */
  | { readonly type: "reload-requested" }
  | { readonly type: "stop-requested" }
  | { readonly type: "start-requested" }
  /** SIGURG or command: forget the past failures. */
  | { readonly type: "forgiven" }
  /** The on-demand sockets are bound and watched: the answer to `watch-socket`. */
  | { readonly type: "socket-watched" }
  /**
   * They are not. `lasting`: only another address can mend it; else somebody has the address, or its
   * directory or a descriptor is missing, which may be over soon.
   */
  | { readonly type: "socket-failed"; readonly lasting: boolean; readonly detail: string }
  /** A connection waits on the on-demand socket. */
  | { readonly type: "connection-waiting" }
  /** Nobody was connected to its on-demand sockets for as long as `emperor-on-demand-idle` allows. */
  | { readonly type: "deserted"; readonly generation: number }
  /** The Emperor ends (Ragnarok). */
  | { readonly type: "shutdown" }
  /** Second signal, or the mercy is over: kill now. */
  | { readonly type: "mercy-over" };

export type VassalEventType = VassalEvent["type"];

/** What an administrator decided once for all vassals; numbers in ms unless named otherwise. */
export interface Policy {
  /** `emperor-throttle`: step of the blacklist. */
  readonly throttleMs: number;
  /** `emperor-max-throttle`. */
  readonly maxThrottleMs: number;
  /** `emperor-no-blacklist` turns it off; the damping of quick deaths stays. */
  readonly blacklist: boolean;
  /** Up for so long without being loyal counts as healthy. */
  readonly healthyAfterMs: number;
  /** A loyal generation that lived shorter died quickly. */
  readonly quickDeathMs: number;
  /** So many quick deaths in a row cost nothing. */
  readonly quickDeathsFree: number;
  /** `emperor-required-heartbeat`. */
  readonly heartbeatMs: number;
  /** `emperor-curse-tolerance`. */
  readonly curseToleranceMs: number;
  /** After a missed heartbeat the process gets this long between stop and kill. */
  readonly heartbeatGraceMs: number;
  /** `starting` becomes `running` without a byte after this: frees the gate. */
  readonly startGraceMs: number;
  /** A process that said nothing for so long after its start is stopped; 0 = off, as programs need not speak. */
  readonly startTimeoutMs: number;
  /** `emperor-graceful-shutdown`: every stop is asked for with byte 2 instead of 0. */
  readonly gracefulStop: boolean;
  /** New vassals wait for a command (`emperor-wait-for-command`). Decided per vassal by the court. */
  readonly waitForCommand: boolean;
  /** Start of the delay after a refusal by the system; doubles up to `systemRetryMaxMs`. */
  readonly systemRetryMs: number;
  readonly systemRetryMaxMs: number;
}

export type { Instant };
