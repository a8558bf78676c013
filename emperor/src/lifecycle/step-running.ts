/** The phase of a process that has spoken or had its time to. See `step.ts`. */
import type { VassalMessageName } from "@emperor/protocol";
import { assertNever } from "./assert-never.ts";
import { heartbeatDueAt, slowStartAt } from "./deadlines.ts";
import { exited, killNow, spawnFailed, stop } from "./ending.ts";
import type { VassalEvent } from "./event.ts";
import { clearFailures, publish, remember, update, type PhaseOf, type Turn } from "./turn.ts";
import { noteWanted, withoutWanted } from "./wanted.ts";

export function stepRunning(turn: Turn, phase: PhaseOf<"running">, event: VassalEvent): void {
  switch (event.type) {
    case "wanted": {
      const change = noteWanted(turn, event.wanted);
      if (change === "identity") stop(turn, phase, "changed-identity", "respawn");
      else if (change === "changed") reload(turn, phase, "changed");
      return;
    }
    case "unwanted":
      withoutWanted(turn);
      stop(turn, phase, "removed", "remove");
      return;
    case "message":
      return heard(turn, phase, event.message);
    case "channel-closed":
    case "unheard":
      stop(turn, phase, "channel-lost", "respawn");
      return;
    case "exited":
      return exited(turn, phase, event.exit);
    case "timer":
      return timer(turn, phase);
    case "reload-requested":
      return reload(turn, phase, "requested");
    case "stop-requested":
      stop(turn, phase, "command", "stopped");
      return;
    case "forgiven":
      return clearFailures(turn, "forgiven");
    case "shutdown":
      stop(turn, phase, "shutdown", "remove");
      return;
    case "mercy-over":
      killNow(turn, stop(turn, phase, "shutdown", "remove"), "mercy");
      return;
    case "permitted":
      // It holds no slot any more: a second grant goes back.
      turn.effects.push({ type: "release-permit" });
      return;
    case "start-requested":
      // It runs.
      return;
    case "deserted":
      // Back to its socket, which stays bound: whoever connects meanwhile is served by the next process.
      if (turn.vassal.wanted?.onDemand === true) stop(turn, phase, "deserted", "respawn");
      return;
    case "connection-waiting":
    case "socket-watched":
    case "socket-failed":
      // It accepts connections itself.
      return;
    case "spawn-failed":
      // Its hooks took longer than the grace of a silent start, and then one of them failed.
      return spawnFailed(turn, phase, event);
    case "spawned":
      // It would contradict what `running` means: the answer to this spawn has come.
      return;
    default:
      return assertNever(event);
  }
}

/**
 * A zerg has its sockets from a zerg server and loses them in a reload: a real uWSGI exits with 1 then. So
 * it finishes its requests and another with the new config takes its place.
 */
export function replaceZerg(turn: Turn, phase: PhaseOf<"starting"> | PhaseOf<"running">): void {
  stop(turn, phase, "replaced", "respawn");
}

/** Sends the byte and counts it. Byte 1 of a real uWSGI never comes after a reload, so nothing waits for it. */
export function reloadRunning(turn: Turn, generation: number, why: "changed" | "requested"): void {
  remember(turn, { reloads: turn.vassal.history.reloads + 1 });
  publish(turn, { kind: "reloading", generation, why });
  turn.effects.push({ type: "send", generation, message: "reload" });
}

function reload(turn: Turn, phase: PhaseOf<"running">, why: "changed" | "requested"): void {
  if (turn.vassal.wanted?.zerg === true) {
    replaceZerg(turn, phase);
    return;
  }
  const { now, policy } = turn;
  update(turn, phase, {
    ready: false,
    accepting: false,
    reloading: true,
    // New code has to prove itself. `loyal` stays, as in uWSGI, and still guards against the blacklist.
    healthy: false,
    healthyAt: now + policy.healthyAfterMs,
    // A slow reload is no missed heartbeat (uWSGI kills it); one that never ends is, after the tolerance.
    heartbeatAt: phase.heartbeatAt === undefined ? undefined : now + policy.curseToleranceMs,
  });
  reloadRunning(turn, phase.generation, why);
}

function heard(turn: Turn, phase: PhaseOf<"running">, message: VassalMessageName): void {
  switch (message) {
    case "spawned":
      ready(turn, phase);
      return;
    case "accepting": {
      // uWSGI says 1 only at its first start, so after a reload 5 means ready as well.
      const now = phase.reloading ? ready(turn, phase) : phase;
      update(turn, now, { accepting: true });
      if (!phase.accepting) publish(turn, { kind: "accepting", generation: phase.generation });
      return;
    }
    case "config-wanted":
      // A vassal that reads a file asks for nothing; one that does not have a pipe gets nothing.
      if (turn.vassal.wanted?.pushed === true)
        turn.effects.push({ type: "send-config", generation: phase.generation });
      return;
    case "loyal":
      update(turn, phase, { loyal: true, healthy: true });
      if (!phase.loyal) publish(turn, { kind: "loyal", generation: phase.generation });
      return clearFailures(turn, "loyal");
    case "done":
      stop(turn, phase, "done", turn.vassal.wanted?.onDemand === true ? "respawn" : "asleep");
      return;
    case "heartbeat":
      update(turn, phase, { heartbeatAt: Math.max(turn.now, phase.heartbeatAt ?? turn.now) });
      if (phase.heartbeatAt === undefined)
        publish(turn, { kind: "heartbeat", generation: phase.generation });
      return;
    case "reinforcements":
      turn.effects.push({ type: "reinforce" });
      return;
    default:
      return assertNever(message);
  }
}

function ready(turn: Turn, phase: PhaseOf<"running">): PhaseOf<"running"> {
  // The end of the reload ends the excuse: silence counts from here.
  const heartbeatAt =
    phase.reloading && phase.heartbeatAt !== undefined ? turn.now : phase.heartbeatAt;
  if (!phase.ready) publish(turn, { kind: "ready", generation: phase.generation });
  return update(turn, phase, { ready: true, reloading: false, heartbeatAt });
}

function timer(turn: Turn, phase: PhaseOf<"running">): void {
  const { now, policy } = turn;
  const heartbeatAt = heartbeatDueAt(phase, policy);
  if (heartbeatAt !== undefined && now >= heartbeatAt) {
    stop(turn, phase, "heartbeat", "respawn");
    return;
  }
  const slowAt = slowStartAt(phase, policy);
  if (slowAt !== undefined && now >= slowAt) {
    stop(turn, phase, "slow-start", "respawn");
    return;
  }
  if (phase.healthy || now < phase.healthyAt) return;
  update(turn, phase, { healthy: true });
  publish(turn, { kind: "healthy", generation: phase.generation, upMs: now - phase.startedAt });
  clearFailures(turn, "healthy");
}
