/** The phase between the order to spawn and the first sign of life. See `step.ts`. */
import { assertNever } from "./assert-never.ts";
import { graceOverAt } from "./deadlines.ts";
import { exited, killNow, spawnFailed, stop } from "./ending.ts";
import type { VassalEvent } from "./event.ts";
import { reloadRunning, replaceZerg, stepRunning } from "./step-running.ts";
import {
  clearFailures,
  enter,
  publish,
  remember,
  update,
  type PhaseOf,
  type Turn,
} from "./turn.ts";
import { noteWanted, withoutWanted } from "./wanted.ts";

export function stepStarting(turn: Turn, phase: PhaseOf<"starting">, event: VassalEvent): void {
  switch (event.type) {
    case "wanted": {
      const change = noteWanted(turn, event.wanted);
      if (change === "identity") stop(turn, phase, "changed-identity", "respawn");
      else if (change === "changed") reloadStarting(turn, phase, "changed");
      return;
    }
    case "unwanted":
      withoutWanted(turn);
      stop(turn, phase, "removed", "remove");
      return;
    case "spawned":
      return spawned(turn, phase, event.pid);
    case "spawn-failed":
      return spawnFailed(turn, phase, event);
    case "message": {
      // No byte can come before `spawned`: there is nobody yet who could write it.
      if (phase.pid === undefined) return;
      return stepRunning(turn, enterRunning(turn, phase, phase.pid), event);
    }
    case "channel-closed":
    case "unheard":
      stop(turn, phase, "channel-lost", "respawn");
      return;
    case "exited":
      return exited(turn, phase, event.exit);
    case "timer":
      if (turn.now < graceOverAt(phase, turn.policy)) return;
      if (phase.pid !== undefined) enterRunning(turn, phase, phase.pid);
      // The spawn itself takes long (a hook of the administrator): others need not wait for it.
      else if (phase.permit) update(turn, phase, { permit: false });
      return;
    case "reload-requested":
      // Before `spawned` nothing was read that could be read again.
      if (phase.pid !== undefined) reloadStarting(turn, phase, "requested");
      return;
    case "stop-requested":
      stop(turn, phase, "command", "stopped");
      return;
    case "forgiven":
      return clearFailures(turn, "forgiven");
    case "shutdown":
      stop(turn, phase, "shutdown", "remove");
      return;
    case "mercy-over": {
      const stopping = stop(turn, phase, "shutdown", "remove");
      if (stopping.pid === undefined) update(turn, stopping, { killed: true });
      else killNow(turn, stopping, "mercy");
      return;
    }
    case "permitted":
      // The slot that it has is the one it was given; a second grant while it has none goes back.
      if (!phase.permit) turn.effects.push({ type: "release-permit" });
      return;
    case "start-requested":
      // It is starting.
      return;
    case "deserted":
      // It had no time yet to serve anybody.
      return;
    case "connection-waiting":
    case "socket-watched":
    case "socket-failed":
      // It will accept connections itself.
      return;
    default:
      return assertNever(event);
  }
}

function spawned(turn: Turn, phase: PhaseOf<"starting">, pid: number): void {
  // Said twice it is still the same process.
  if (phase.pid !== undefined) return;
  remember(turn, { refusals: 0 });
  const alive = update(turn, phase, { pid, startedAt: turn.now });
  publish(turn, { kind: "started", generation: phase.generation, pid });
  if (phase.reload === "owed") reloadStarting(turn, alive, "changed");
}

/** The byte may wait in the socket until the program reads it; without a channel it is owed. */
function reloadStarting(
  turn: Turn,
  phase: PhaseOf<"starting">,
  why: "changed" | "requested",
): void {
  if (phase.pid === undefined) {
    update(turn, phase, { reload: "owed" });
    return;
  }
  if (turn.vassal.wanted?.zerg === true) return replaceZerg(turn, phase);
  update(turn, phase, { reload: "sent" });
  reloadRunning(turn, phase.generation, why);
}

function enterRunning(turn: Turn, phase: PhaseOf<"starting">, pid: number): PhaseOf<"running"> {
  const running: PhaseOf<"running"> = {
    name: "running",
    generation: phase.generation,
    pid,
    startedAt: phase.startedAt,
    ready: false,
    accepting: false,
    loyal: false,
    healthy: false,
    healthyAt: phase.startedAt + turn.policy.healthyAfterMs,
    heartbeatAt: undefined,
    reloading: phase.reload === "sent",
  };
  enter(turn, running);
  return running;
}
