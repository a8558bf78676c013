/** The phase of a process that shall end. See `step.ts`. */
import { assertNever } from "./assert-never.ts";
import { graceOverAt } from "./deadlines.ts";
import { askToStop, exited, isDeliberate, killNow, spawnFailed, stopDeadlines } from "./ending.ts";
import type { VassalEvent } from "./event.ts";
import { clearFailures, publish, update, type PhaseOf, type Turn } from "./turn.ts";
import type { StopReason } from "./vassal.ts";
import { noteWanted, withoutWanted } from "./wanted.ts";

export function stepStopping(turn: Turn, phase: PhaseOf<"stopping">, event: VassalEvent): void {
  switch (event.type) {
    case "wanted":
      return wanted(turn, phase, event.wanted);
    case "unwanted":
      withoutWanted(turn);
      hurry(turn, update(turn, phase, { reason: overtaken(phase, "removed"), next: "remove" }));
      return;
    case "stop-requested":
      if (phase.next === "remove") return;
      hurry(turn, update(turn, phase, { reason: overtaken(phase, "command"), next: "stopped" }));
      return;
    case "start-requested":
      // What nobody wants any more cannot be started, and in Ragnarok nothing is.
      if (phase.next !== "remove") update(turn, phase, { next: "respawn" });
      return;
    case "spawned":
      return spawned(turn, phase, event.pid);
    case "spawn-failed":
      return spawnFailed(turn, phase, event);
    case "exited":
      return exited(turn, phase, event.exit);
    case "message":
      // It is going anyway, but a last request that was finished still proves the process.
      if (event.message !== "loyal") return;
      update(turn, phase, { loyal: true, healthy: true });
      if (!phase.loyal) publish(turn, { kind: "loyal", generation: phase.generation });
      return clearFailures(turn, "loyal");
    case "timer":
      return timer(turn, phase);
    case "forgiven":
      return clearFailures(turn, "forgiven");
    case "shutdown":
      hurry(turn, update(turn, phase, { reason: "shutdown", next: "remove" }));
      return;
    case "mercy-over": {
      const doomed = update(turn, phase, { reason: "shutdown", next: "remove" });
      if (doomed.pid === undefined) update(turn, doomed, { killed: true });
      else killNow(turn, doomed, "mercy");
      return;
    }
    case "permitted":
      // The slot that it has is the one it was given; a second grant while it has none goes back.
      if (!phase.permit) turn.effects.push({ type: "release-permit" });
      return;
    case "channel-closed":
      // A vassal closes its channel when it obeys; one that does not is killed when its time is over.
      return;
    case "unheard":
      // It was asked to stop and could not hear it: the signal asks. Whoever is deaf to both is killed in time.
      if (phase.pid !== undefined && !phase.killed) terminate(turn, phase);
      return;
    case "reload-requested":
      // What follows the stop reads its config afresh.
      return;
    case "deserted":
      // It is going.
      return;
    case "connection-waiting":
    case "socket-watched":
    case "socket-failed":
      // The connection waits in the kernel until the socket is watched again.
      return;
    default:
      return assertNever(event);
  }
}

function wanted(
  turn: Turn,
  phase: PhaseOf<"stopping">,
  next: Extract<VassalEvent, { readonly type: "wanted" }>["wanted"],
): void {
  const isBack = turn.vassal.wanted === undefined;
  const change = noteWanted(turn, next);
  if (phase.reason === "shutdown") return;
  // A vassal that came back, or one that said it was done and has a new config, runs again after the exit.
  // One that an operator stopped stays stopped.
  if (isBack || (phase.next === "asleep" && change !== "same"))
    update(turn, phase, { next: "respawn" });
}

/** Once somebody wants the end of a process that failed, its end is no failure any more. */
function overtaken(phase: PhaseOf<"stopping">, by: "removed" | "command"): StopReason {
  return isDeliberate(phase.reason) ? phase.reason : by;
}

/** Now somebody wants it gone: one without a channel, which could not be asked, gets its signal at once. */
function hurry(turn: Turn, phase: PhaseOf<"stopping">): void {
  if (phase.termAt !== undefined) terminate(turn, phase);
}

function terminate(turn: Turn, phase: PhaseOf<"stopping">): void {
  turn.effects.push({
    type: "kill",
    generation: phase.generation,
    signal: "SIGTERM",
    scope: "process",
  });
  update(turn, phase, { termAt: undefined });
}

/** The spawn that was under way when the stop was decided: now there is somebody to stop. */
function spawned(turn: Turn, phase: PhaseOf<"stopping">, pid: number): void {
  // Said twice it is still the same process.
  if (phase.pid !== undefined) return;
  publish(turn, { kind: "started", generation: phase.generation, pid });
  const alive = update(turn, phase, {
    pid,
    startedAt: turn.now,
    permit: false,
    ...stopDeadlines(turn, pid, phase.reason),
  });
  if (phase.killed) killNow(turn, alive, "mercy");
  else askToStop(turn, alive);
}

function timer(turn: Turn, phase: PhaseOf<"stopping">): void {
  const { now, policy } = turn;
  if (phase.permit && now >= graceOverAt(phase, policy)) {
    update(turn, phase, { permit: false });
    return;
  }
  if (phase.killAt !== undefined && now >= phase.killAt) {
    killNow(turn, phase, phase.reason === "heartbeat" ? "heartbeat" : "tolerance");
    return;
  }
  if (phase.termAt !== undefined && now >= phase.termAt) terminate(turn, phase);
}
