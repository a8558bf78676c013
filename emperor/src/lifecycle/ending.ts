/**
 * How processes end: asking one to stop, and what follows when one is gone. A death has one path
 * here, whatever led to it: the exit that was reaped (or the start that failed) is the only truth.
 */
import { diedHealthy, failed, refused, type Penalty } from "./blacklist.ts";
import type { ExitReason, VassalEvent } from "./event.ts";
import { enter, enterQueue, publish, remember, resume, type PhaseOf, type Turn } from "./turn.ts";
import type { AfterStop, Instant, StopReason } from "./vassal.ts";

/** Exit code of a vassal that only another config can mend (uWSGI's "exile"). */
const EXILE_EXIT_CODE = 26;
/** A kill that did not end the process is repeated, at most this often, ms. */
const SHORTEST_KILL_INTERVAL_MS = 1000;
/** Share of the tolerance after which a process without a channel gets SIGTERM. */
const TERM_AFTER = 2 / 3;

/** Stops that somebody wanted: whatever the process does then is not held against it. */
export function isDeliberate(reason: StopReason): boolean {
  switch (reason) {
    case "removed":
    case "changed-identity":
    case "done":
    case "deserted":
    case "replaced":
    case "command":
    case "shutdown":
      return true;
    case "heartbeat":
    case "channel-lost":
    case "slow-start":
      return false;
  }
}

/** The process shall end. Before `spawned` that is only noted; `asked` does the rest when it comes. */
export function stop(
  turn: Turn,
  phase: PhaseOf<"starting"> | PhaseOf<"running">,
  reason: StopReason,
  next: AfterStop,
): PhaseOf<"stopping"> {
  const stopping: PhaseOf<"stopping"> = {
    name: "stopping",
    generation: phase.generation,
    pid: phase.pid,
    startedAt: phase.startedAt,
    permit: phase.name === "starting" && phase.permit && phase.pid === undefined,
    reason,
    loyal: phase.name === "running" && phase.loyal,
    healthy: phase.name === "running" && phase.healthy,
    ...stopDeadlines(turn, phase.pid, reason),
    killed: false,
    next,
  };
  enter(turn, stopping);
  if (phase.pid !== undefined) askToStop(turn, stopping);
  return stopping;
}

/**
 * When force follows. A lost channel cannot carry the question, a deserted program may never have read
 * its channel, and uWSGI kills such a process after
 * the tolerance and not before: SIGTERM comes late enough for a death whose exit is still on the way,
 * and early enough for an orderly end. In Ragnarok the mercy of the whole court decides.
 */
export function stopDeadlines(
  turn: Turn,
  pid: number | undefined,
  reason: StopReason,
): { readonly termAt: Instant | undefined; readonly killAt: Instant | undefined } {
  const { now, policy } = turn;
  if (pid === undefined || reason === "shutdown") return { termAt: undefined, killAt: undefined };
  if (reason === "heartbeat") return { termAt: undefined, killAt: now + policy.heartbeatGraceMs };
  const killAt = now + policy.curseToleranceMs;
  return {
    termAt:
      reason === "channel-lost" || reason === "deserted"
        ? now + policy.curseToleranceMs * TERM_AFTER
        : undefined,
    killAt,
  };
}

/** The stop message. A process that hangs has no request to finish, so it is never asked gracefully. */
export function askToStop(turn: Turn, phase: PhaseOf<"stopping">): void {
  if (phase.reason === "channel-lost") return;
  // Who is put to sleep may have been given a connection in this very moment: it may finish it.
  const graceful =
    phase.reason === "deserted" ||
    phase.reason === "replaced" ||
    (turn.policy.gracefulStop && phase.reason !== "heartbeat");
  const message = graceful ? "graceful-stop" : "stop";
  turn.effects.push({ type: "send", generation: phase.generation, message });
}

/** SIGKILL to everything the process left or made. */
export function killNow(
  turn: Turn,
  phase: PhaseOf<"stopping">,
  why: "tolerance" | "heartbeat" | "mercy",
): PhaseOf<"stopping"> {
  turn.effects.push({
    type: "kill",
    generation: phase.generation,
    signal: "SIGKILL",
    scope: "tree",
  });
  publish(turn, { kind: "killed", generation: phase.generation, why });
  const again = turn.now + Math.max(turn.policy.curseToleranceMs, SHORTEST_KILL_INTERVAL_MS);
  const killed = { ...phase, termAt: undefined, killAt: again, killed: true };
  turn.vassal = { ...turn.vassal, phase: killed };
  return killed;
}

/** The process was reaped. */
export function exited(
  turn: Turn,
  phase: PhaseOf<"starting"> | PhaseOf<"running"> | PhaseOf<"stopping">,
  exit: ExitReason,
): void {
  const expected = phase.name === "stopping" && isDeliberate(phase.reason);
  const loyal = phase.name !== "starting" && phase.loyal;
  const healthy = phase.name !== "starting" && phase.healthy;
  const uptimeMs = Math.max(0, turn.now - phase.startedAt);
  const { generation, pid } = phase;
  publish(turn, { kind: "exited", generation, pid, exit, uptimeMs, expected, loyal });
  if (!expected) remember(turn, { crashes: turn.vassal.history.crashes + 1 });
  if (phase.name === "stopping" && (phase.next !== "respawn" || expected))
    return follow(turn, phase.next);
  if (exit.kind === "code" && exit.code === EXILE_EXIT_CODE)
    return enter(turn, { name: "suspended", reason: "exiled" });
  if (loyal || healthy)
    return punish(turn, diedHealthy(turn.vassal.history, uptimeMs, turn.policy));
  punish(turn, failed(turn.vassal.history, phase.generation, turn.now, turn.policy));
}

/** There is no process and there was none that counts. */
export function spawnFailed(
  turn: Turn,
  phase: PhaseOf<"starting"> | PhaseOf<"running"> | PhaseOf<"stopping">,
  event: Extract<VassalEvent, { readonly type: "spawn-failed" }>,
): void {
  publish(turn, {
    kind: "spawn-failed",
    generation: phase.generation,
    cause: event.cause,
    detail: event.detail,
  });
  if (phase.name === "stopping" && (phase.next !== "respawn" || isDeliberate(phase.reason))) {
    return follow(turn, phase.next);
  }
  const { history } = turn.vassal;
  switch (event.cause) {
    case "system": {
      const refusal = refused(history, turn.policy);
      remember(turn, refusal.history);
      return enterQueue(turn, "system", turn.now + refusal.delayMs);
    }
    case "vassal":
      remember(turn, { crashes: history.crashes + 1 });
      return punish(turn, failed(turn.vassal.history, phase.generation, turn.now, turn.policy));
    case "exile":
      remember(turn, { crashes: history.crashes + 1 });
      return enter(turn, { name: "suspended", reason: "exiled" });
  }
}

function punish(turn: Turn, penalty: Penalty): void {
  remember(turn, penalty.history);
  if (turn.vassal.wanted?.zerg === true) return enter(turn, { name: "gone" });
  if (penalty.kind === "none") resume(turn, "respawn");
  else enterQueue(turn, penalty.kind, turn.now + penalty.delayMs);
}

function follow(turn: Turn, next: AfterStop): void {
  switch (next) {
    case "respawn":
      return resume(turn, "respawn");
    case "asleep":
      return enter(turn, { name: "suspended", reason: "asleep" });
    case "stopped":
      return enter(turn, { name: "suspended", reason: "stopped-by-command" });
    case "remove":
      return enter(turn, { name: "gone" });
  }
}
