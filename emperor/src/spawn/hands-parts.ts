/** What the hands are made of. Types only. */
import type { VassalCgroups } from "../cgroups/vassal-cgroups.ts";
import type { HandsListener } from "../court/hands.ts";
import type { Logger } from "../log/logger.ts";
import type { ProcessTree } from "./cgroup.ts";
import type { EmperorHooks } from "./emperor-hooks.ts";
import type { ForkServerClient } from "./fork-server.ts";
import type { HookSet } from "./hook-set.ts";
import type { Machine } from "./machine.ts";
import type { SocketMachine, SocketPolicy } from "./on-demand-sockets.ts";
import type { Planner } from "./plan.ts";
import type { signalAs } from "./signal-as.ts";

/** What the hands are made of; `createHands` puts it together. */
export interface HandsParts {
  readonly machine: Machine;
  readonly listener: HandsListener;
  readonly logger: Logger;
  readonly planner: Planner;
  readonly hooks: HookSet;
  readonly emperorHooks: EmperorHooks;
  readonly tree: ProcessTree;
  readonly cgroups?: VassalCgroups;
  /** Tyrant mode: how to signal those whom we may not signal ourselves. */
  readonly signalAs?: typeof signalAs;
  /** Absent: no vassal is started by a fork server. */
  readonly forkServer?: ForkServerClient | undefined;
  readonly sockets: {
    readonly machine: SocketMachine;
    readonly policy: SocketPolicy;
    /** `emperor-on-demand-idle`; 0: off. */
    readonly idleMs: number;
  };
  /** Monotonic milliseconds. */
  readonly now: () => number;
}
