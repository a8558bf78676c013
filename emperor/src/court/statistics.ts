/**
 * The court as the statistics show it: uWSGI's document with its field names and 0/1 numbers, and
 * what operators missed in it beside. Pure: it reads records and writes plain data.
 */
import type {
  StatsBlacklistEntry,
  StatsMonitor,
  StatsDocument,
  StatsVassal,
} from "@emperor/protocol";
import { describe, type Instant, type Policy } from "../lifecycle/index.ts";
import type { MonitorDesk } from "./monitor-desk.ts";
import type { CourtRecord } from "./record.ts";

export interface StatisticsInput {
  readonly identity: {
    readonly pid: number;
    readonly uid: number;
    readonly gid: number;
    readonly cwd: string;
  };
  readonly version: string;
  /** Pid of the Emperor above. */
  readonly superiorPid?: number | undefined;
  readonly tyrant: boolean;
  readonly policy: Policy;
  readonly records: Iterable<CourtRecord>;
  readonly desks: readonly MonitorDesk[];
  readonly throttleLevelMs: number;
  readonly starting: number;
  readonly queued: number;
  /** Monotonic ms. */
  readonly now: Instant;
  /** Wall clock ms. */
  readonly wallNow: number;
}

/** One consistent picture; times in whole seconds since the epoch, as uWSGI gives them. */
export function statsDocument(input: StatisticsInput): StatsDocument {
  const vassals: StatsVassal[] = [];
  const blacklist: StatsBlacklistEntry[] = [];
  const addresses = new Map(input.desks.map((desk) => [desk.monitor.id, desk.monitor.address]));
  const perMonitor = new Map<string, number>();
  const wallOf = (at: Instant): number => (input.wallNow + (at - input.now)) / 1000;
  for (const record of input.records) {
    vassals.push(
      vassalStats(record, addresses.get(record.spec.monitor) ?? record.spec.monitor, input, wallOf),
    );
    perMonitor.set(record.spec.monitor, (perMonitor.get(record.spec.monitor) ?? 0) + 1);
    const { listing } = describe(record.vassal, input.now, input.policy);
    if (listing === undefined) continue;
    blacklist.push({
      id: record.spec.name,
      throttle_level: Math.round(listing.delayMs),
      attempt: listing.failures - 1,
      first_attempt: Math.floor(wallOf(listing.firstFailureAt)),
      last_attempt: Math.floor(wallOf(listing.lastFailureAt)),
    });
  }
  return {
    version: input.version,
    ...input.identity,
    emperor: input.desks.map((desk) => desk.monitor.address),
    emperor_tyrant: input.tyrant ? 1 : 0,
    throttle_level: Math.round(input.throttleLevelMs),
    starting: input.starting,
    queued: input.queued,
    monitors: input.desks.map((desk) => monitorStats(desk, perMonitor.get(desk.monitor.id) ?? 0)),
    vassals,
    blacklist,
    ...(input.superiorPid === undefined ? {} : { superior: { pid: input.superiorPid } }),
  };
}

function monitorStats(desk: MonitorDesk, vassals: number): StatsMonitor {
  return {
    id: desk.monitor.id,
    address: desk.monitor.address,
    state: desk.state,
    reason: desk.reason,
    since: desk.since,
    last_change: desk.lastChangeAt,
    vassals,
  };
}

function vassalStats(
  record: CourtRecord,
  monitor: string,
  input: StatisticsInput,
  wallOf: (at: Instant) => number,
): StatsVassal {
  const { spec, facts, vassal, lastExit } = record;
  const description = describe(vassal, input.now, input.policy);
  return {
    id: spec.name,
    // uWSGI shows -1 where there is no process; only here is it a number at all.
    pid: description.pid ?? -1,
    born: Math.floor(spec.modifiedAt),
    last_mod: Math.floor(facts.lastModified),
    last_heartbeat: facts.lastHeartbeat,
    loyal: description.loyal ? 1 : 0,
    ready: description.ready ? 1 : 0,
    accepting: description.accepting ? 1 : 0,
    last_loyal: facts.lastLoyal,
    last_ready: facts.lastReady,
    last_accepting: facts.lastAccepting,
    first_run: facts.firstRun,
    last_run: facts.lastRun,
    cursed: facts.cursedAt,
    zerg: record.zerg === undefined ? 0 : 1,
    on_demand: spec.socket ?? "",
    suspended: description.state === "suspended" ? 1 : 0,
    adopted: facts.adopted ? 1 : 0,
    uid: spec.uid ?? 0,
    gid: spec.gid ?? 0,
    monitor,
    respawns: facts.respawns,
    state: description.state,
    state_since: facts.stateSince,
    reason: description.reason,
    ...(description.nextStartAt === undefined
      ? {}
      : { next_start: wallOf(description.nextStartAt) }),
    ...(lastExit === undefined
      ? {}
      : {
          last_exit: {
            ...(lastExit.exit.kind === "code"
              ? { code: lastExit.exit.code }
              : { signal: lastExit.exit.signal }),
            at: lastExit.at,
            uptime: Math.round(lastExit.uptimeMs) / 1000,
          },
        }),
    ...(record.lastFailure === undefined ? {} : { last_failure: record.lastFailure }),
    starts: vassal.history.starts,
    reloads: vassal.history.reloads,
    crashes: vassal.history.crashes,
    unknown_bytes: facts.unknownBytes,
    uptime: Math.round(description.upMs ?? 0) / 1000,
    attrs: spec.attributes,
    ...(spec.path === undefined ? {} : { path: spec.path }),
    ...(record.zerg === undefined ? {} : { zerg_number: record.zerg.number }),
  };
}
