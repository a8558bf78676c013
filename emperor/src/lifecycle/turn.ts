/**
 * One turn of a vassal: the state while an event is handled, and the one gate through which every
 * change of phase goes. What a phase takes or leaves (a slot, a place in the queue, the watch on a
 * socket) follows here from the old and the new phase, so no path can forget it or do it twice.
 */
import { agedAt, unlisted } from "./blacklist.ts";
import type { Effect, Notice } from "./effect.ts";
import type { Policy, VassalEvent } from "./event.ts";
import type { History, Instant, Phase, PhaseName, QueueReason, Vassal } from "./vassal.ts";

export type PhaseOf<Name extends PhaseName> = Extract<Phase, { readonly name: Name }>;

/** Lives only as long as one call of `step`; the only thing here that is written to. */
export interface Turn {
  vassal: Vassal;
  readonly effects: Effect[];
  readonly event: VassalEvent;
  readonly now: Instant;
  readonly policy: Policy;
}

/** The notices that tell of a new phase; all others tell of something within one. */
export const PHASE_NOTICES = {
  suspended: ["resting"],
  dormant: ["waiting-on-demand"],
  queued: ["queued", "blacklisted", "damped"],
  starting: ["spawning"],
  running: ["running"],
  stopping: ["stopping", "channel-lost", "heartbeat-missed"],
  gone: ["removed"],
} as const satisfies Record<PhaseName, readonly Notice["kind"][]>;

export function publish(turn: Turn, notice: Notice): void {
  turn.effects.push({ type: "publish", notice });
}

export function remember(turn: Turn, changes: Partial<History>): void {
  turn.vassal = { ...turn.vassal, history: { ...turn.vassal.history, ...changes } };
}

/** Changes facts within a phase; nothing is published, but a slot that is no longer held is given back. */
export function update<Name extends PhaseName>(
  turn: Turn,
  phase: PhaseOf<Name>,
  changes: Partial<PhaseOf<Name>>,
): PhaseOf<Name> {
  const next = { ...phase, ...changes };
  turn.vassal = { ...turn.vassal, phase: next };
  settle(turn, phase, next);
  return next;
}

/** Goes to another phase (or anew to the same one): one notice, then what the old and the new phase ask for. */
export function enter(turn: Turn, wish: Phase): void {
  const next: Phase = outlives(turn.vassal, wish) ? wish : { name: "gone" };
  const previous = turn.vassal.phase;
  turn.vassal = { ...turn.vassal, phase: next };
  publish(turn, phaseNotice(turn, previous, next));
  settle(turn, previous, next);
  arrive(turn, next);
}

/** A zerg neither rests nor serves a penalty: whoever needs it asks for another. */
function outlives({ wanted }: Vassal, wish: Phase): boolean {
  if (wanted?.zerg !== true) return true;
  if (wish.name === "queued") return !isPenalty(wish.reason) && wish.reason !== "system";
  return wish.name !== "suspended";
}

/** Waits until `notBefore`, then for the gate. */
export function enterQueue(turn: Turn, reason: QueueReason, notBefore: Instant): void {
  const asked = notBefore <= turn.now && !(isPenalty(reason) && turn.vassal.wanted?.onDemand);
  enter(turn, { name: "queued", reason, notBefore, asked });
}

/** After these one that starts on demand waits for demand again, also where the wait is no time at all. */
export function isPenalty(reason: QueueReason): boolean {
  return reason === "blacklist" || reason === "damped" || reason === "socket";
}

/** Nothing speaks against the vassal: it starts, or waits at its socket if it has one. */
export function resume(turn: Turn, reason: QueueReason): void {
  if (turn.vassal.wanted?.onDemand === true) enter(turn, { name: "dormant" });
  else enterQueue(turn, reason, turn.now);
}

/** Nothing is held against the vassal any more; says so if it was on the blacklist. */
export function clearFailures(
  turn: Turn,
  reason: Extract<Notice, { readonly kind: "unlisted" }>["reason"],
): void {
  const { history } = turn.vassal;
  // A pardon and a new config count for the quick deaths as well; health only for the blacklist.
  if (history.quickDeaths > 0 && (reason === "forgiven" || reason === "changed"))
    remember(turn, { quickDeaths: 0 });
  if (history.failures === 0) return;
  turn.vassal = { ...turn.vassal, history: unlisted(turn.vassal.history) };
  publish(turn, { kind: "unlisted", reason });
}

/** Failures of long ago are forgotten at the next look; uWSGI keeps them until the vassal is loyal. */
export function forgetAgedFailures(turn: Turn): void {
  const at = agedAt(turn.vassal.history, turn.policy);
  if (at !== undefined && turn.now >= at) clearFailures(turn, "aged");
}

/** Does the phase hold a slot of the gate? */
export function holdsPermit(phase: Phase): boolean {
  return (phase.name === "starting" || phase.name === "stopping") && phase.permit;
}

/** Does the phase wait in the queue of the gate? */
function awaitsPermit(phase: Phase): boolean {
  return phase.name === "queued" && phase.asked;
}

/** What the old phase held and the new one does not, and the place in the queue that it wants. */
function settle(turn: Turn, previous: Phase, next: Phase): void {
  if (awaitsPermit(previous) && !awaitsPermit(next) && !holdsPermit(next))
    turn.effects.push({ type: "cancel-permit" });
  if (holdsPermit(previous) && !holdsPermit(next)) turn.effects.push({ type: "release-permit" });
  if (previous.name === "dormant" && next.name !== "dormant")
    turn.effects.push({ type: "unwatch-socket" });
  if (awaitsPermit(next))
    turn.effects.push({ type: "request-permit", nuisance: nuisanceOf(turn.vassal) });
}

function arrive(turn: Turn, next: Phase): void {
  // Nothing will start it: clients are refused now rather than kept waiting for ever.
  if (next.name === "suspended" && turn.vassal.wanted?.onDemand === true)
    turn.effects.push({ type: "close-socket" });
  if (next.name === "dormant") turn.effects.push({ type: "watch-socket" });
  if (next.name === "starting") turn.effects.push({ type: "spawn", generation: next.generation });
  if (next.name === "gone") turn.effects.push({ type: "forget" });
}

/** Reinforcements start after everybody else. */
const ZERG_NUISANCE = 1_000_000_000;

/** Place in the queue: who was healthy and died comes back first, who failed comes last. */
function nuisanceOf(vassal: Vassal): number {
  const { history, phase } = vassal;
  if (vassal.wanted?.zerg === true) return ZERG_NUISANCE;
  if (history.failures > 0) return history.failures;
  if (phase.name !== "queued") return 0;
  return phase.reason === "respawn" ? -1 : phase.reason === "damped" ? history.quickDeaths : 0;
}

function phaseNotice(turn: Turn, previous: Phase, next: Phase): Notice {
  const { history } = turn.vassal;
  switch (next.name) {
    case "suspended":
      return { kind: "resting", reason: next.reason };
    case "dormant":
      return { kind: "waiting-on-demand" };
    case "queued": {
      const delayMs = Math.max(0, next.notBefore - turn.now);
      if (next.reason === "blacklist") {
        const atMaximum = history.delayMs >= turn.policy.maxThrottleMs;
        return { kind: "blacklisted", failures: history.failures, delayMs, atMaximum };
      }
      if (next.reason === "damped")
        return { kind: "damped", quickDeaths: history.quickDeaths, delayMs };
      return { kind: "queued", reason: next.reason, delayMs };
    }
    case "starting":
      return { kind: "spawning", generation: next.generation };
    case "running":
      return { kind: "running", generation: next.generation, spoke: turn.event.type === "message" };
    case "stopping":
      if (next.reason === "channel-lost")
        return { kind: "channel-lost", generation: next.generation };
      if (next.reason === "heartbeat") {
        const heartbeatAt = previous.name === "running" ? previous.heartbeatAt : undefined;
        return {
          kind: "heartbeat-missed",
          generation: next.generation,
          silentMs: turn.now - (heartbeatAt ?? turn.now),
        };
      }
      return { kind: "stopping", generation: next.generation, reason: next.reason };
    case "gone":
      return { kind: "removed" };
  }
}
