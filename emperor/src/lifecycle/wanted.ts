/** What the source wants, and how it differs from before. Knows nothing of phases. */
import { clearFailures, type Turn } from "./turn.ts";
import type { Wanted } from "./vassal.ts";

/** `identity`: a running process cannot follow, it has to be replaced. `changed`: it can reload. */
export type WantedChange = "same" | "changed" | "identity";

/** Stores what is wanted now. Whatever was held against the old config is not held against a new one. */
export function noteWanted(turn: Turn, wanted: Wanted): WantedChange {
  const before = turn.vassal.wanted;
  const change = compare(before, wanted);
  if (change === "same") return change;
  // It listens for itself from now on: the address must be free before its next start.
  if (before?.onDemand === true && !wanted.onDemand) turn.effects.push({ type: "close-socket" });
  turn.vassal = { ...turn.vassal, wanted };
  clearFailures(turn, "changed");
  return change;
}

/** The source no longer has it. */
export function withoutWanted(turn: Turn): void {
  turn.vassal = { ...turn.vassal, wanted: undefined };
}

function compare(before: Wanted | undefined, wanted: Wanted): WantedChange {
  if (before === undefined) return "changed";
  // The config pipe and the on-demand socket are handed over at the start, so they belong to the identity.
  if (
    before.identity !== wanted.identity ||
    before.pushed !== wanted.pushed ||
    before.onDemand !== wanted.onDemand
  ) {
    return "identity";
  }
  return before.version === wanted.version ? "same" : "changed";
}
