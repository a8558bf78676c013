/**
 * When a vassal needs to be looked at although nothing happens to it. Each instant is computed in
 * exactly one place, so that the handler of `timer` and the alarm can never disagree by a rounding.
 */
import { agedAt } from "./blacklist.ts";
import type { Policy } from "./event.ts";
import type { Instant, Phase, Vassal } from "./vassal.ts";

type PhaseOf<Name extends Phase["name"]> = Extract<Phase, { readonly name: Name }>;

/** The grace of a start is over: the slot is needed for others. */
export function graceOverAt(
  phase: PhaseOf<"starting"> | PhaseOf<"stopping">,
  policy: Policy,
): Instant {
  return phase.startedAt + policy.startGraceMs;
}

/** The next heartbeat is overdue; undefined: none is required. */
export function heartbeatDueAt(phase: PhaseOf<"running">, policy: Policy): Instant | undefined {
  // 0 would kill everybody who ever sent one; it can only mean "not required".
  if (phase.heartbeatAt === undefined || policy.heartbeatMs <= 0) return undefined;
  return phase.heartbeatAt + policy.heartbeatMs;
}

/** It should have said something by then; undefined: it has, or it need not. */
export function slowStartAt(phase: PhaseOf<"running">, policy: Policy): Instant | undefined {
  const silent =
    !phase.ready &&
    !phase.accepting &&
    !phase.loyal &&
    !phase.reloading &&
    phase.heartbeatAt === undefined;
  return silent && policy.startTimeoutMs > 0 ? phase.startedAt + policy.startTimeoutMs : undefined;
}

/**
 * The one deadline of a vassal: at that instant it wants a `timer` event. undefined: only something
 * that happens can move it. A `timer` at the deadline may lead to another one at the same instant (a
 * stop without tolerance is a kill at once), but never to more than a few: no deadline stays behind.
 */
export function deadlineOf(vassal: Vassal, policy: Policy): Instant | undefined {
  const phase = vassal.phase;
  switch (phase.name) {
    case "suspended":
    case "dormant":
      return agedAt(vassal.history, policy);
    case "queued":
      return earliest(agedAt(vassal.history, policy), phase.asked ? undefined : phase.notBefore);
    case "starting":
      return phase.pid !== undefined || phase.permit ? graceOverAt(phase, policy) : undefined;
    case "running":
      return earliest(
        earliest(heartbeatDueAt(phase, policy), slowStartAt(phase, policy)),
        phase.healthy ? undefined : phase.healthyAt,
      );
    case "stopping":
      return earliest(
        phase.permit ? graceOverAt(phase, policy) : undefined,
        earliest(phase.termAt, phase.killAt),
      );
    case "gone":
      return undefined;
  }
}

function earliest(a: Instant | undefined, b: Instant | undefined): Instant | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}
