/** What the court keeps per vassal: the pure state, what its source said, and facts for display. */
import type { VassalSpec } from "@emperor/monitors";
import type { ExitReason, Notice, Vassal, Wanted } from "../lifecycle/index.ts";
import type { ProcessHandle, RunUsage } from "./hands.ts";
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
}

export interface LastExit {
  readonly exit: ExitReason;
  /** Wall clock seconds. */
  readonly at: number;
  readonly uptimeMs: number;
  readonly expected: boolean;
}

/** Sums of the runs that ended. */
export interface PastUsage {
  readonly runs: number;
  readonly cpuMs: number;
  readonly oomKills: number;
  /** The highest of all. */
  readonly memoryPeak: number;
  readonly last: RunUsage;
}

export interface CourtRecord extends Timed {
  /** The latest spec; after the source dropped the vassal, the last one. */
  spec: VassalSpec;
  vassal: Vassal;
  /** The live process, from the order to spawn until it is reaped. */
  handle: ProcessHandle | undefined;
  /** Generation that `handle` belongs to. */
  handleGeneration: number;
  facts: DisplayFacts;
  /** Set after a broken invariant, until its process is reaped: what its source wants then. */
  broken: { readonly wanted: Wanted | undefined } | undefined;
  lastExit: LastExit | undefined;
  /** Only where there are cgroups, and only after the first end. */
  past?: PastUsage;
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
