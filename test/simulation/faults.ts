/**
 * Which faults a run has and how often. Each run draws a few of them and leaves the others out:
 * a run with all faults at once drowns what two of them do together.
 */
import type { Chance } from "./chance.ts";

const NAMES = [
  // What the machine does.
  "refused-by-system",
  "slow-spawn",
  "slow-reaping",
  "wall-clock-jumps",
  // What vassals do.
  "spawn-fails",
  "spawn-exile",
  "late-spawn-failure",
  "crashes",
  "loyal-crashes",
  "exile",
  "silence",
  "closed-channel",
  "flood",
  "done",
  "hanging",
  "deaf",
  "slow-stop",
  "never-reads",
  "bad-reload",
  "late-bytes",
  // What happens to sockets of on-demand vassals.
  "on-demand",
  "connections",
  "bad-socket",
  "socket-taken",
  "deserted",
  // What happens around them.
  "churn",
  "owner-change",
  "refused-owner",
  "lost-events",
  "failing-monitor",
  "sighup",
  "sigurg",
  "two-monitors",
] as const;

export type FaultName = (typeof NAMES)[number];

export class Faults {
  /** Probability of a fault where it could happen; 0: this run does not know it. */
  readonly #rates = new Map<FaultName, number>();
  readonly #chance: Chance;
  #over = false;

  constructor(chance: Chance) {
    this.#chance = chance;
    const density = chance.pick([0.15, 0.3, 0.5, 0.8]);
    for (const name of NAMES) {
      if (chance.happens(density)) this.#rates.set(name, chance.pick([0.02, 0.1, 0.3, 0.7]));
    }
  }

  /** Does it happen here and now? */
  strikes(name: FaultName): boolean {
    const rate = this.#over ? undefined : this.#rates.get(name);
    return rate !== undefined && this.#chance.happens(rate);
  }

  /** Does this run know the fault at all? */
  exists(name: FaultName): boolean {
    return this.#rates.has(name);
  }

  /** From now on everything goes well. */
  stop(): void {
    this.#over = true;
  }

  get stopped(): boolean {
    return this.#over;
  }

  toString(): string {
    return [...this.#rates].map(([name, rate]) => `${name} ${rate}`).join(", ");
  }
}
