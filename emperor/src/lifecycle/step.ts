/**
 * The life of a vassal as a pure function: one event in, the new state and the orders it leads to
 * out. Nothing is done, read or waited for here. The outer switch is on the phase, the inner ones
 * (one file per group of phases) on the event; a pair that changes nothing is a case with its reason.
 */
import { assertNever } from "./assert-never.ts";
import type { Effect } from "./effect.ts";
import type { Policy, VassalEvent } from "./event.ts";
import { stepRunning } from "./step-running.ts";
import { stepStarting } from "./step-starting.ts";
import { stepStopping } from "./step-stopping.ts";
import { stepDormant, stepGone, stepQueued, stepSuspended } from "./step-waiting.ts";
import { forgetAgedFailures, type Turn } from "./turn.ts";
import type { Instant, Vassal } from "./vassal.ts";

export interface Step {
  readonly vassal: Vassal;
  /** To be performed in this order. Empty when nothing follows. */
  readonly effects: readonly Effect[];
}

/**
 * What `event` at `now` (monotonic ms) makes of a vassal under `policy`.
 *
 * Total: every event is possible in every phase, late and double ones included; none throws. The
 * caller owes two things: an event of a process carries the generation of that process, and after
 * each step it asks `deadlineOf` when the next `timer` is due.
 */
export function step(vassal: Vassal, event: VassalEvent, now: Instant, policy: Policy): Step {
  // Exit and end of channel arrive in either order, a byte may be late: an older process changes nothing.
  if ("generation" in event && event.generation !== vassal.generation)
    return { vassal, effects: [] };
  const turn: Turn = { vassal, effects: [], event, now, policy };
  const { phase } = vassal;
  switch (phase.name) {
    case "suspended":
      forgetAgedFailures(turn);
      stepSuspended(turn, phase, event);
      break;
    case "dormant":
      forgetAgedFailures(turn);
      stepDormant(turn, event);
      break;
    case "queued":
      forgetAgedFailures(turn);
      stepQueued(turn, phase, event);
      break;
    case "starting":
      stepStarting(turn, phase, event);
      break;
    case "running":
      stepRunning(turn, phase, event);
      break;
    case "stopping":
      stepStopping(turn, phase, event);
      break;
    case "gone":
      stepGone(turn, event);
      break;
    default:
      assertNever(phase);
  }
  return { vassal: turn.vassal, effects: turn.effects };
}
