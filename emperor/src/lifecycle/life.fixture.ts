/** For the tests of this folder: one vassal with a clock, its events, and what came of each. */
import type { VassalMessageName } from "@emperor/protocol";
import {
  deadlineOf,
  newVassal,
  step,
  type Effect,
  type ExitReason,
  type Notice,
  type Phase,
  type PhaseName,
  type Policy,
  type Vassal,
  type VassalEvent,
  type Wanted,
} from "./index.ts";

export const POLICY: Policy = {
  throttleMs: 1000,
  maxThrottleMs: 180_000,
  blacklist: true,
  healthyAfterMs: 30_000,
  quickDeathMs: 3000,
  quickDeathsFree: 8,
  heartbeatMs: 10_000,
  curseToleranceMs: 30_000,
  heartbeatGraceMs: 2000,
  startGraceMs: 1000,
  startTimeoutMs: 0,
  gracefulStop: false,
  waitForCommand: false,
  systemRetryMs: 100,
  systemRetryMaxMs: 10_000,
};

export const WANTED: Wanted = { version: "v1", identity: "root", pushed: false, onDemand: false };

/** A vassal in the hands of a test. Process events get the present generation unless one is given. */
export class Life {
  vassal: Vassal = newVassal();
  now = 1000;
  /** Effects of the latest event. */
  effects: readonly Effect[] = [];
  readonly policy: Policy;

  constructor(policy: Partial<Policy> = {}) {
    this.policy = { ...POLICY, ...policy };
  }

  on(event: VassalEvent): this {
    const result = step(this.vassal, event, this.now, this.policy);
    this.vassal = result.vassal;
    this.effects = result.effects;
    return this;
  }

  wanted(changes: Partial<Wanted> = {}): this {
    return this.on({ type: "wanted", wanted: { ...(this.vassal.wanted ?? WANTED), ...changes } });
  }

  /** Wanted, permitted, spawned: `starting` with a pid. */
  started(changes: Partial<Wanted> = {}): this {
    if (this.vassal.phase.name !== "queued") this.wanted(changes);
    if (this.vassal.phase.name === "dormant") this.on({ type: "connection-waiting" });
    if (this.phase("queued").asked === false) this.until().on({ type: "timer" });
    return this.on({ type: "permitted" }).spawned();
  }

  /** Started, and its bytes 1 and 5 came. */
  running(changes: Partial<Wanted> = {}): this {
    return this.started(changes).says("spawned").says("accepting");
  }

  loyal(changes: Partial<Wanted> = {}): this {
    return this.running(changes).says("loyal");
  }

  spawned(pid = 100 + this.vassal.generation, generation = this.vassal.generation): this {
    return this.on({ type: "spawned", generation, pid });
  }

  spawnFailed(cause: "system" | "vassal" | "exile"): this {
    return this.on({
      type: "spawn-failed",
      generation: this.vassal.generation,
      cause,
      detail: "because",
    });
  }

  deserted(): this {
    return this.on({ type: "deserted", generation: this.vassal.generation });
  }

  socketFailed(lasting: boolean): this {
    return this.on({ type: "socket-failed", lasting, detail: "because" });
  }

  says(message: VassalMessageName, generation = this.vassal.generation): this {
    return this.on({ type: "message", generation, message });
  }

  closesChannel(): this {
    return this.on({ type: "channel-closed", generation: this.vassal.generation });
  }

  unheard(): this {
    return this.on({ type: "unheard", generation: this.vassal.generation });
  }

  exits(code = 1): this {
    return this.exitsWith({ kind: "code", code });
  }

  exitsWith(exit: ExitReason, generation = this.vassal.generation): this {
    return this.on({ type: "exited", generation, exit });
  }

  after(ms: number): this {
    this.now += ms;
    return this;
  }

  get deadline(): number | undefined {
    return deadlineOf(this.vassal, this.policy);
  }

  /** Lets time pass up to the deadline. */
  until(): this {
    this.now = this.deadline ?? this.now;
    return this;
  }

  /** Lets time pass up to the deadline and tells. Returns how long it took. */
  timer(): number {
    const before = this.now;
    this.until().on({ type: "timer" });
    return this.now - before;
  }

  /** The phase, which has to be the named one. */
  phase<Name extends PhaseName>(name: Name): Extract<Phase, { readonly name: Name }> {
    const { phase } = this.vassal;
    if (!isPhase(phase, name))
      throw new Error(`the vassal is ${JSON.stringify(phase)}, not ${name}`);
    return phase;
  }

  /** Effects of the latest event other than notices. */
  get orders(): readonly Effect[] {
    return this.effects.filter((effect) => effect.type !== "publish");
  }

  get notices(): readonly Notice[] {
    return this.effects.flatMap((effect) => (effect.type === "publish" ? [effect.notice] : []));
  }

  get noticeKinds(): readonly Notice["kind"][] {
    return this.notices.map((notice) => notice.kind);
  }
}

function isPhase<Name extends PhaseName>(
  phase: Phase,
  name: Name,
): phase is Extract<Phase, { readonly name: Name }> {
  return phase.name === name;
}
