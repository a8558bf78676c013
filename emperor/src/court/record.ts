/** What the court keeps per vassal: the pure state, what its source said, and facts for display. */
import type { VassalSpec } from "@emperor/monitors";
import type { ExitReason, Notice, Vassal, Wanted } from "../lifecycle/index.ts";
import type { ProcessHandle, SocketsKey } from "./hands.ts";
import type { Timed } from "./deadlines.ts";

/** Wall clock facts in seconds, for the stats only. 0 = never, as uWSGI shows it. */
export interface DisplayFacts {
  /** First start of the present instance; renewed when a death led to a new process, as in uWSGI. */
  firstRun: number;
  lastRun: number;
  lastReady: number;
  lastAccepting: number;
  lastLoyal: number;
  lastHeartbeat: number;
  cursedAt: number;
  /** Reloads of the present instance (uWSGI's `respawns`). */
  respawns: number;
  stateSince: number;
  lastModified: number;
  unknownBytes: number;
  /** The last process came from a fork server. */
  adopted: boolean;
}

export interface LastExit {
  readonly exit: ExitReason;
  /** Wall clock seconds. */
  readonly at: number;
  readonly uptimeMs: number;
  readonly expected: boolean;
}

export interface CourtRecord extends Timed {
  /** The latest spec; after the source dropped the vassal, the last one. */
  spec: VassalSpec;
  vassal: Vassal;
  /** The live process, from the order to spawn until it is reaped. */
  handle: ProcessHandle | undefined;
  /** Generation that `handle` belongs to. */
  handleGeneration: number;
  /** Key of its on-demand sockets; 0: it has none. */
  sockets: SocketsKey;
  facts: DisplayFacts;
  /** Set after a broken invariant, until its process is reaped: what its source wants then. */
  broken: { readonly wanted: Wanted | undefined } | undefined;
  lastExit: LastExit | undefined;
  /** A reinforcement: whose, and the number that its latest process has, never used before. */
  zerg: { readonly base: CourtRecord; number: number } | undefined;
  /** Why the vassal is in its present state, for stats: the last telling notice. */
  lastFailure: string | undefined;
}

/** Everything an observer of the court gets to see of one transition. */
export interface Publication {
  readonly record: CourtRecord;
  readonly notice: Notice;
  /** Wall clock milliseconds. */
  readonly at: number;
}

export type Observer = (publication: Publication) => void;
