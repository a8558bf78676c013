/** Orders of the life-cycle to the hands. Values, executed by `court`; nothing is executed here. */
import type { EmperorMessageName } from "@emperor/protocol";
import type { ExitReason } from "./event.ts";
import type { Instant, Phase, QueueReason, RestReason, StopReason } from "./vassal.ts";

export type Effect =
  /** Ask the gate for a permit; lower `nuisance` goes first (respawn of a healthy one -1, else failures). Answer: `permitted`. */
  | { readonly type: "request-permit"; readonly nuisance: number }
  | { readonly type: "cancel-permit" }
  /** The slot taken with `permitted` is free again. */
  | { readonly type: "release-permit" }
  /** Answer: `spawned` or `spawn-failed` with this generation. */
  | { readonly type: "spawn"; readonly generation: number }
  /** Failure of the write comes back as `unheard`. */
  | { readonly type: "send"; readonly generation: number; readonly message: EmperorMessageName }
  /** One complete packet into the config pipe. */
  | { readonly type: "send-config"; readonly generation: number }
  /** `tree`: the process group / cgroup, not just the main process. */
  | {
      readonly type: "kill";
      readonly generation: number;
      readonly signal: "SIGTERM" | "SIGKILL";
      readonly scope: "process" | "tree";
    }
  /** Watch the on-demand sockets, binding them when needed. Answer: `socket-watched` or `socket-failed`. */
  | { readonly type: "watch-socket" }
  /** They stay bound: who connects now waits for the vassal. */
  | { readonly type: "unwatch-socket" }
  /** Nobody shall be able to connect any more. */
  | { readonly type: "close-socket" }
  /** Byte 30 of a running vassal: the broodlord decides. */
  | { readonly type: "reinforce" }
  /** The one typed stream that log, stats, hooks and metrics subscribe to. */
  | { readonly type: "publish"; readonly notice: Notice }
  /** Nothing is left: the court drops the record, its socket and its spec. */
  | { readonly type: "forget" };

/**
 * What an operator could ask "why did it ...?" about. Every change of phase publishes exactly one of
 * its own (see `PHASE_NOTICES`); what happens to a process or to the blacklist publishes another.
 */
export type Notice =
  | { readonly kind: "queued"; readonly reason: QueueReason; readonly delayMs: number }
  | {
      readonly kind: "blacklisted";
      readonly failures: number;
      readonly delayMs: number;
      readonly atMaximum: boolean;
    }
  | { readonly kind: "damped"; readonly quickDeaths: number; readonly delayMs: number }
  | {
      readonly kind: "unlisted";
      readonly reason: "loyal" | "healthy" | "changed" | "forgiven" | "aged";
    }
  | { readonly kind: "resting"; readonly reason: RestReason }
  | { readonly kind: "waiting-on-demand" }
  /** The sockets of a vassal that waits on demand are bound and watched. */
  | { readonly kind: "listening" }
  | { readonly kind: "socket-failed"; readonly lasting: boolean; readonly detail: string }
  | { readonly kind: "spawning"; readonly generation: number }
  | { readonly kind: "started"; readonly generation: number; readonly pid: number }
  | {
      readonly kind: "spawn-failed";
      readonly generation: number;
      readonly cause: "system" | "vassal" | "exile";
      readonly detail: string;
    }
  /** From `starting` to `running`; `spoke`: by its first byte, else because the grace is over. */
  | { readonly kind: "running"; readonly generation: number; readonly spoke: boolean }
  /** Byte 1, or byte 5 after a reload. */
  | { readonly kind: "ready"; readonly generation: number }
  /** Byte 5. */
  | { readonly kind: "accepting"; readonly generation: number }
  | { readonly kind: "loyal"; readonly generation: number }
  | { readonly kind: "healthy"; readonly generation: number; readonly upMs: number }
  /** The first heartbeat of a generation: from now on they are required. */
  | { readonly kind: "heartbeat"; readonly generation: number }
  | { readonly kind: "heartbeat-missed"; readonly generation: number; readonly silentMs: number }
  | {
      readonly kind: "reloading";
      readonly generation: number;
      readonly why: "changed" | "requested";
    }
  | { readonly kind: "config-changed-while-waiting" }
  | { readonly kind: "stopping"; readonly generation: number; readonly reason: StopReason }
  | { readonly kind: "channel-lost"; readonly generation: number }
  | {
      readonly kind: "killed";
      readonly generation: number;
      readonly why: "tolerance" | "heartbeat" | "mercy" | "setup";
    }
  | {
      readonly kind: "exited";
      readonly generation: number;
      /** undefined: it ended before its spawn was reported. */
      readonly pid: number | undefined;
      readonly exit: ExitReason;
      readonly uptimeMs: number;
      readonly expected: boolean;
      readonly loyal: boolean;
    }
  | { readonly kind: "removed" };

export type NoticeKind = Notice["kind"];
export type { Instant, Phase };
