/** The phases without a process: suspended, dormant, queued, gone. See `step.ts`. */
import { assertNever } from "./assert-never.ts";
import { refused } from "./blacklist.ts";
import type { VassalEvent } from "./event.ts";
import {
  clearFailures,
  enter,
  enterQueue,
  isPenalty,
  publish,
  remember,
  resume,
  update,
  type PhaseOf,
  type Turn,
} from "./turn.ts";
import { noteWanted, withoutWanted } from "./wanted.ts";

/** Nothing happens until something changes; what that is depends on the reason. */
export function stepSuspended(turn: Turn, phase: PhaseOf<"suspended">, event: VassalEvent): void {
  switch (event.type) {
    case "wanted":
      return wantedWhileSuspended(turn, phase, event.wanted);
    case "unwanted":
      return remove(turn);
    case "start-requested":
      // Before its first `wanted` there is nothing to start.
      if (phase.reason !== "unannounced") enterQueue(turn, "command", turn.now);
      return;
    case "stop-requested":
      if (phase.reason !== "unannounced" && phase.reason !== "stopped-by-command") {
        enter(turn, { name: "suspended", reason: "stopped-by-command" });
      }
      return;
    case "forgiven":
      clearFailures(turn, "forgiven");
      if (phase.reason === "exiled") resume(turn, "command");
      return;
    case "shutdown":
    case "mercy-over":
      return enter(turn, { name: "gone" });
    case "permitted":
      // Granted and cancelled crossed each other; the slot goes back.
      turn.effects.push({ type: "release-permit" });
      return;
    case "reload-requested":
      // There is no process that could reload; uWSGI's SIGHUP starts nothing either.
      return;
    case "timer":
      // Only old failures were due, and they are forgotten already.
      return;
    case "connection-waiting":
    case "socket-watched":
    case "socket-failed":
    case "deserted":
      // The socket is not watched: a report that crossed the end of the watch.
      return;
    case "spawned":
    case "spawn-failed":
    case "message":
    case "channel-closed":
    case "unheard":
    case "exited":
      // The process of this generation is gone already: its last words come too late.
      return;
    default:
      return assertNever(event);
  }
}

function wantedWhileSuspended(
  turn: Turn,
  phase: PhaseOf<"suspended">,
  wanted: Extract<VassalEvent, { readonly type: "wanted" }>["wanted"],
): void {
  const change = noteWanted(turn, wanted);
  switch (phase.reason) {
    case "unannounced":
      if (turn.policy.waitForCommand && !wanted.zerg)
        enter(turn, { name: "suspended", reason: "wait-for-command" });
      else resume(turn, "new");
      return;
    case "wait-for-command":
    case "stopped-by-command":
      // An operator's word outlives scans and changes; uWSGI forgets it at the next scan.
      if (change !== "same") publish(turn, { kind: "config-changed-while-waiting" });
      return;
    case "exiled":
    case "asleep":
      if (change !== "same") resume(turn, "changed");
      return;
  }
}

/** Waits for a connection on its socket. */
export function stepDormant(turn: Turn, event: VassalEvent): void {
  switch (event.type) {
    case "wanted": {
      const change = noteWanted(turn, event.wanted);
      if (!event.wanted.onDemand) return enterQueue(turn, "changed", turn.now);
      if (change === "same") return;
      publish(turn, { kind: "config-changed-while-waiting" });
      // The identity covers the socket's address: watch the new one.
      if (change === "identity")
        turn.effects.push({ type: "unwatch-socket" }, { type: "watch-socket" });
      return;
    }
    case "unwanted":
      return remove(turn);
    case "connection-waiting":
      return enterQueue(turn, "demand", turn.now);
    case "socket-watched":
      return publish(turn, { kind: "listening" });
    case "socket-failed":
      return socketFailed(turn, event);
    case "start-requested":
      return enterQueue(turn, "command", turn.now);
    case "stop-requested":
      return enter(turn, { name: "suspended", reason: "stopped-by-command" });
    case "forgiven":
      return clearFailures(turn, "forgiven");
    case "shutdown":
    case "mercy-over":
      return enter(turn, { name: "gone" });
    case "permitted":
      // Granted and cancelled crossed each other; the slot goes back.
      turn.effects.push({ type: "release-permit" });
      return;
    case "reload-requested":
      // It reads its config when it starts; SIGHUP wakes nobody.
      return;
    case "timer":
      // Only old failures were due, and they are forgotten already.
      return;
    case "deserted":
      // It sleeps already.
      return;
    case "spawned":
    case "spawn-failed":
    case "message":
    case "channel-closed":
    case "unheard":
    case "exited":
      // The process of this generation is gone already: its last words come too late.
      return;
    default:
      return assertNever(event);
  }
}

/** Nothing is held against the vassal: whoever has its address may leave, a missing directory may come. */
function socketFailed(
  turn: Turn,
  event: Extract<VassalEvent, { readonly type: "socket-failed" }>,
): void {
  const { lasting, detail } = event;
  publish(turn, { kind: "socket-failed", lasting, detail });
  if (lasting) return enter(turn, { name: "suspended", reason: "exiled" });
  const refusal = refused(turn.vassal.history, turn.policy);
  remember(turn, refusal.history);
  enterQueue(turn, "socket", turn.now + refusal.delayMs);
}

/** Waits for its time, then for the gate. */
export function stepQueued(turn: Turn, phase: PhaseOf<"queued">, event: VassalEvent): void {
  switch (event.type) {
    case "wanted": {
      const before = turn.vassal;
      const change = noteWanted(turn, event.wanted);
      if (change === "same") return;
      // With another socket whoever asked for it waits there no more, or waits to be seen again.
      const keepsItsPlace =
        phase.asked &&
        before.history.failures === 0 &&
        !(change === "identity" && event.wanted.onDemand) &&
        before.wanted?.onDemand === event.wanted.onDemand;
      if (keepsItsPlace) publish(turn, { kind: "config-changed-while-waiting" });
      else resume(turn, "changed");
      return;
    }
    case "unwanted":
      return remove(turn);
    case "permitted":
      if (!phase.asked) {
        // Granted and cancelled crossed each other; the slot goes back.
        turn.effects.push({ type: "release-permit" });
        return;
      }
      return start(turn);
    case "timer":
      return timerWhileQueued(turn, phase);
    case "start-requested":
      if (!phase.asked) enterQueue(turn, "command", turn.now);
      return;
    case "forgiven":
      clearFailures(turn, "forgiven");
      // A refusal by the machine was no punishment: forgiving the vassal does not mend the machine.
      if (isPenalty(phase.reason)) resume(turn, "command");
      return;
    case "stop-requested":
      return enter(turn, { name: "suspended", reason: "stopped-by-command" });
    case "shutdown":
    case "mercy-over":
      return enter(turn, { name: "gone" });
    case "reload-requested":
      // It reads its config when it starts.
      return;
    case "connection-waiting":
    case "socket-watched":
    case "socket-failed":
    case "deserted":
      // The socket is not watched now; the connection waits in the kernel and is seen later.
      return;
    case "spawned":
    case "spawn-failed":
    case "message":
    case "channel-closed":
    case "unheard":
    case "exited":
      // The process of this generation is gone already: its last words come too late.
      return;
    default:
      return assertNever(event);
  }
}

function timerWhileQueued(turn: Turn, phase: PhaseOf<"queued">): void {
  if (phase.asked || turn.now < phase.notBefore) return;
  // The penalty is served: one that starts on demand waits for demand again.
  if (isPenalty(phase.reason) && turn.vassal.wanted?.onDemand === true)
    return enter(turn, { name: "dormant" });
  update(turn, phase, { asked: true });
}

function start(turn: Turn): void {
  const { vassal } = turn;
  const generation = vassal.generation + 1;
  turn.vassal = {
    ...vassal,
    generation,
    history: { ...vassal.history, starts: vassal.history.starts + 1 },
  };
  enter(turn, {
    name: "starting",
    generation,
    pid: undefined,
    startedAt: turn.now,
    permit: true,
    reload: "none",
  });
}

/** The end: a new `wanted` makes a new record. */
export function stepGone(turn: Turn, event: VassalEvent): void {
  // Granted and cancelled crossed each other; the slot goes back. Everything else comes too late.
  if (event.type === "permitted") turn.effects.push({ type: "release-permit" });
}

function remove(turn: Turn): void {
  withoutWanted(turn);
  enter(turn, { name: "gone" });
}
