/**
 * The broodlord: hears which vassals ask for reinforcements, lets `lifecycle/brood.ts` decide, and adds or
 * dismisses zergs. It starts no process itself and knows no options; a vassal that never asks costs nothing.
 */
import {
  answerBrood,
  broodAsked,
  broodLost,
  NEW_BROOD,
  type Brood,
  type BroodPolicy,
  type Instant,
  type VassalEvent,
} from "../lifecycle/index.ts";
import { quoteName } from "../log/quoting.ts";
import { RepeatLimiter } from "../log/repeats.ts";
import type { CourtRecord, Publication } from "./record.ts";

export interface BroodCourt {
  readonly zergs: ReadonlySet<CourtRecord>;
  addZerg(base: CourtRecord): CourtRecord;
  renewZerg(record: CourtRecord): void;
  post(record: CourtRecord, event: VassalEvent): void;
  schedule(at: Instant, run: () => void): () => void;
}

export interface BroodlordParts {
  readonly policy: BroodPolicy;
  readonly court: BroodCourt;
  /** The most zergs that this vassal may have. */
  readonly mostOf: (base: CourtRecord) => number;
  /** Vassals wait for permission to start. */
  readonly gateIsShort: () => boolean;
  readonly now: () => Instant;
  readonly log: (level: "info" | "warning", message: string) => void;
}

interface Family {
  brood: Brood;
  count: number;
  /** Calls off the look at a request that has to wait. */
  cancel: (() => void) | undefined;
  /** How its latest process ended, until the record is gone. */
  readonly ends: Map<CourtRecord, { readonly how: "left" | "failed"; readonly livedMs: number }>;
}

/** Where the machine refuses starts, at most one zerg in this time is given up, ms. */
const YIELD_EVERY_MS = 1000;

export class Broodlord {
  readonly #parts: BroodlordParts;
  readonly #families = new Map<CourtRecord, Family>();
  readonly #refusals = new RepeatLimiter({ burst: 2, intervalMs: 60_000, capacity: 64 });
  #yieldedAt = -Infinity;
  #closed = false;

  constructor(parts: BroodlordParts) {
    this.#parts = parts;
  }

  /** Byte 30, of a vassal or of one of its zergs. */
  ask(record: CourtRecord): void {
    if (this.#closed || this.#parts.policy.most === 0) return;
    const base = record.zerg?.base ?? record;
    if (base.vassal.wanted === undefined) return;
    const family = this.#familyOf(base);
    family.brood = broodAsked(family.brood, this.#parts.now());
    // The look is ahead already: a thousand requests are one.
    if (family.cancel === undefined) this.#look(base, family);
  }

  /** The source wants a vassal, perhaps differently: its zergs follow. */
  renewed(base: CourtRecord): void {
    if (!this.#families.has(base)) return;
    for (const zerg of this.#zergsOf(base))
      if (zerg.vassal.wanted !== undefined) this.#parts.court.renewZerg(zerg);
  }

  observe({ record, notice }: Publication): void {
    if (record.zerg !== undefined) {
      const family = this.#families.get(record.zerg.base);
      if (notice.kind === "exited" && !notice.expected)
        family?.ends.set(record, { how: "failed", livedMs: notice.uptimeMs });
      else if (notice.kind === "spawn-failed")
        family?.ends.set(record, { how: "failed", livedMs: 0 });
      else if (notice.kind === "stopping" && notice.reason === "done")
        family?.ends.set(record, {
          how: "left",
          livedMs: this.#parts.now() - startedAt(record, this.#parts.now()),
        });
      return;
    }
    if (notice.kind === "spawn-failed" && notice.cause === "system") this.#yield();
    const leaves =
      notice.kind === "resting" ||
      notice.kind === "waiting-on-demand" ||
      notice.kind === "removed" ||
      (notice.kind === "stopping" && WITH_THEIR_VASSAL.has(notice.reason));
    if (leaves && this.#families.has(record)) this.#dismiss(record);
  }

  /** A record is gone. */
  forgotten(record: CourtRecord): void {
    if (record.zerg === undefined) {
      const family = this.#families.get(record);
      family?.cancel?.();
      if (family?.count === 0) this.#families.delete(record);
      return;
    }
    const { base } = record.zerg;
    const family = this.#families.get(base);
    if (family === undefined) return;
    family.count -= 1;
    const end = family.ends.get(record);
    family.ends.delete(record);
    const { now, policy } = this.#parts;
    family.brood = broodLost(family.brood, end?.how ?? "taken", end?.livedMs ?? 0, now(), policy);
    if (base.vassal.phase.name === "gone" && family.count === 0) this.#families.delete(base);
  }

  /** The Emperor ends: nobody is reinforced any more. */
  close(): void {
    this.#closed = true;
    for (const family of this.#families.values()) family.cancel?.();
  }

  #look(base: CourtRecord, family: Family): void {
    family.cancel = undefined;
    if (this.#closed || base.vassal.wanted === undefined) return;
    const { court, gateIsShort, mostOf, now, policy } = this.#parts;
    const census = {
      all: court.zergs.size,
      ofVassal: family.count,
      mostOfVassal: mostOf(base),
      gateIsShort: gateIsShort(),
    };
    const { answer, brood } = answerBrood(family.brood, census, now(), policy);
    family.brood = brood;
    switch (answer.kind) {
      case "start":
        this.#parts.log(
          "info",
          `[emperor] going in broodlord mode: launching zergs for ${quoteName(base.spec.name)}`,
        );
        family.count += 1;
        court.addZerg(base);
        return;
      case "wait":
        family.cancel = court.schedule(answer.until, () => this.#look(base, family));
        return;
      case "refuse":
        return this.#sayRefused(base, answer.why);
      case "nothing":
        return;
    }
  }

  #sayRefused(base: CourtRecord, why: "all" | "vassal" | "gate"): void {
    const name = quoteName(base.spec.name);
    if (
      !this.#refusals.ask(`${base.spec.monitor} ${base.spec.name} ${why}`, this.#parts.now()).pass
    )
      return;
    const reason = {
      all: `there are ${this.#parts.policy.most} zergs already (emperor-broodlord)`,
      vassal: `it has ${this.#parts.mostOf(base)} zergs already, the most it may have`,
      gate: "other vassals wait to be started and go first",
    }[why];
    this.#parts.log(
      "warning",
      `[emperor] vassal ${name} asks for reinforcements and gets none: ${reason}`,
    );
  }

  /** The machine has no room for a vassal: the youngest zerg makes some. */
  #yield(): void {
    const { court, log, now } = this.#parts;
    if (now() - this.#yieldedAt < YIELD_EVERY_MS) return;
    const youngest = [...court.zergs].findLast((zerg) => zerg.vassal.wanted !== undefined);
    if (youngest === undefined) return;
    this.#yieldedAt = now();
    log(
      "warning",
      `[emperor] the system refuses starts: vassal ${quoteName(youngest.spec.name)} (zerg ${youngest.zerg?.number}) is given up to make room`,
    );
    court.post(youngest, { type: "unwanted" });
  }

  #dismiss(base: CourtRecord): void {
    const family = this.#familyOf(base);
    family.cancel?.();
    family.cancel = undefined;
    family.brood = { ...family.brood, askedAt: undefined };
    for (const zerg of this.#zergsOf(base)) this.#parts.court.post(zerg, { type: "unwanted" });
  }

  #zergsOf(base: CourtRecord): readonly CourtRecord[] {
    return [...this.#parts.court.zergs].filter((zerg) => zerg.zerg?.base === base);
  }

  #familyOf(base: CourtRecord): Family {
    let family = this.#families.get(base);
    if (family === undefined) {
      family = { brood: NEW_BROOD, count: 0, cancel: undefined, ends: new Map() };
      this.#families.set(base, family);
    }
    return family;
  }
}

/** Stops of a vassal after which nobody needs its zergs; a crash is none of them. */
const WITH_THEIR_VASSAL: ReadonlySet<string> = new Set(["removed", "done", "deserted", "command"]);

function startedAt(record: CourtRecord, now: Instant): Instant {
  const { phase } = record.vassal;
  return "startedAt" in phase ? phase.startedAt : now;
}
