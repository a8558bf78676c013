/**
 * How a vassal looks from outside: what stats, logs and operators' tools may show of it. Pure, and
 * the only place that turns phases into words; it must not know wall clocks or the stats' JSON.
 */
import { agedAt } from "./blacklist.ts";
import type { Policy } from "./event.ts";
import type { Instant, Phase, Vassal } from "./vassal.ts";

/** What is held against a vassal. */
export interface Listing {
  /** Nominal delay, ms (uWSGI's `throttle_level` of an entry). */
  readonly delayMs: number;
  /** Failures in a row. uWSGI's `attempt` is one less. */
  readonly failures: number;
  readonly firstFailureAt: Instant;
  readonly lastFailureAt: Instant;
}

export interface Description {
  /** Name of the phase. */
  readonly state: Phase["name"];
  /** Why it is in that phase, or how far it got in it: one word. */
  readonly reason: string;
  /** undefined: there is no process, or its pid is not known yet. */
  readonly pid: number | undefined;
  readonly ready: boolean;
  readonly accepting: boolean;
  readonly loyal: boolean;
  readonly healthy: boolean;
  readonly reloading: boolean;
  /** When the process was started. */
  readonly startedAt: Instant | undefined;
  readonly upMs: number | undefined;
  /** The earliest next start; `now` or earlier: it waits only for the gate. undefined: none is planned. */
  readonly nextStartAt: Instant | undefined;
  /** When it will be killed if it is still there. */
  readonly killAt: Instant | undefined;
  readonly listing: Listing | undefined;
}

/** Describes a vassal at `now`. Failures that are old enough to be forgotten are not shown any more. */
export function describe(vassal: Vassal, now: Instant, policy: Policy): Description {
  const { phase } = vassal;
  const process =
    phase.name === "starting" || phase.name === "running" || phase.name === "stopping"
      ? phase
      : undefined;
  const running = phase.name === "running" ? phase : undefined;
  return {
    state: phase.name,
    reason: reasonOf(phase),
    pid: process?.pid,
    ready: running?.ready ?? false,
    accepting: running?.accepting ?? false,
    loyal: phase.name === "running" || phase.name === "stopping" ? phase.loyal : false,
    healthy: phase.name === "running" || phase.name === "stopping" ? phase.healthy : false,
    reloading: running?.reloading ?? false,
    startedAt: process?.startedAt,
    upMs: process === undefined ? undefined : Math.max(0, now - process.startedAt),
    nextStartAt: phase.name === "queued" ? phase.notBefore : undefined,
    killAt: phase.name === "stopping" ? phase.killAt : undefined,
    listing: listingOf(vassal, now, policy),
  };
}

function reasonOf(phase: Phase): string {
  switch (phase.name) {
    case "suspended":
    case "queued":
    case "stopping":
      return phase.reason;
    case "dormant":
      return "on-demand";
    case "starting":
      return phase.pid === undefined ? "spawning" : "spawned";
    case "running":
      if (phase.reloading) return "reloading";
      if (phase.loyal) return "loyal";
      if (phase.accepting) return "accepting";
      return phase.ready ? "ready" : "silent";
    case "gone":
      return "removed";
  }
}

function listingOf(vassal: Vassal, now: Instant, policy: Policy): Listing | undefined {
  const forgottenAt = agedAt(vassal.history, policy);
  if (forgottenAt === undefined || now >= forgottenAt) return undefined;
  const { delayMs, failures, firstFailureAt, lastFailureAt } = vassal.history;
  return { delayMs, failures, firstFailureAt, lastFailureAt };
}
