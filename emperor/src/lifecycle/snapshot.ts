/**
 * How a vassal looks from outside: what stats, logs and operators' tools may show of it. Pure, and
 * the only place that turns phases into words; it must not know wall clocks or the stats' JSON.
 */
import type { History, Instant, Phase, Vassal } from "./vassal.ts";

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
  /** Why it is in that phase; undefined where the phase says it all. */
  readonly reason: string | undefined;
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

/** Describes a vassal at `now`. */
export function describe(vassal: Vassal, now: Instant): Description {
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
    listing: listingOf(vassal.history),
  };
}

function reasonOf(phase: Phase): string | undefined {
  return phase.name === "suspended" || phase.name === "queued" || phase.name === "stopping"
    ? phase.reason
    : undefined;
}

function listingOf(history: History): Listing | undefined {
  if (history.failures === 0) return undefined;
  const { delayMs, failures, firstFailureAt, lastFailureAt } = history;
  return { delayMs, failures, firstFailureAt, lastFailureAt };
}
