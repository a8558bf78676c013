/**
 * The facts that a record keeps for display alone: how they begin, and how the published transitions
 * move them. Nothing here decides anything.
 */
import type { VassalSpec } from "@emperor/monitors";
import { newVassal, type Notice } from "../lifecycle/index.ts";
import type { CourtRecord } from "./record.ts";

/** A record of a vassal that was never heard of before. */
export function newRecord(spec: VassalSpec, wallNowMs: number): CourtRecord {
  return {
    spec,
    vassal: newVassal(),
    handle: undefined,
    handleGeneration: 0,
    sockets: 0,
    deadlineAt: 0,
    heapIndex: -1,
    broken: undefined,
    lastExit: undefined,
    lastFailure: undefined,
    zerg: undefined,
    facts: {
      firstRun: 0,
      lastRun: 0,
      lastReady: 0,
      lastAccepting: 0,
      lastLoyal: 0,
      lastHeartbeat: 0,
      cursedAt: 0,
      respawns: 0,
      stateSince: Math.floor(wallNowMs / 1000),
      lastModified: spec.modifiedAt,
      unknownBytes: 0,
      adopted: false,
    },
  };
}

/** The times that uWSGI's stats show, kept up from the published transitions. */
export function noteForDisplay(record: CourtRecord, notice: Notice, seconds: number): void {
  const facts = record.facts;
  switch (notice.kind) {
    case "spawning":
      facts.firstRun = seconds;
      facts.lastRun = seconds;
      facts.lastReady = 0;
      facts.lastAccepting = 0;
      facts.lastLoyal = 0;
      facts.lastHeartbeat = 0;
      facts.cursedAt = 0;
      facts.respawns = 0;
      facts.unknownBytes = 0;
      facts.adopted = false;
      return;
    case "waiting-on-demand":
      // As uWSGI clears them: it is neither dying nor was it ever ready.
      facts.cursedAt = 0;
      facts.lastHeartbeat = 0;
      return;
    case "reloading":
      facts.respawns += 1;
      facts.lastRun = seconds;
      return;
    case "stopping":
    case "channel-lost":
    case "heartbeat-missed":
      if (facts.cursedAt === 0) facts.cursedAt = seconds;
      return;
    case "exited":
      record.lastExit = {
        exit: notice.exit,
        at: seconds,
        uptimeMs: notice.uptimeMs,
        expected: notice.expected,
      };
      return;
    default:
  }
}
