/** What has to hold for any sequence of events, possible or not. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  deadlineOf,
  Gate,
  PHASE_NOTICES,
  step,
  type Effect,
  type Phase,
  type Vassal,
  type VassalEvent,
} from "./index.ts";
import { Life } from "./life.fixture.ts";
import { holdsPermit } from "./turn.ts";

/** How far from the present generation an event is: only 0 may change anything. */
type Unborn = VassalEvent extends infer Event
  ? Event extends { readonly generation: number }
    ? Omit<Event, "generation"> & { readonly age: number }
    : Event
  : never;

type Move =
  | { readonly event: Unborn }
  | { readonly wait: number }
  | { readonly reach: "deadline" }
  | { readonly gate: "grant" | "deliver" };

const age = fc.constantFrom(0, 0, 0, 0, 1, -1, 5);
const wanted = fc.record({
  version: fc.constantFrom("v1", "v2", "v3"),
  identity: fc.constantFrom("root", "root", "root", "bob"),
  pushed: fc.constantFrom(false, false, true),
  onDemand: fc.constantFrom(false, false, false, true),
});
const exit = fc.oneof(
  fc.record({ kind: fc.constant("code" as const), code: fc.constantFrom(0, 1, 3, 26, 255) }),
  fc.record({ kind: fc.constant("signal" as const), signal: fc.constantFrom(9, 11, 15, 26) }),
);
const message = fc.constantFrom(
  "spawned",
  "config-wanted",
  "accepting",
  "loyal",
  "done",
  "heartbeat",
  "reinforcements",
);

const processEvent: fc.Arbitrary<Unborn> = fc.oneof(
  fc.record({
    type: fc.constant("spawned" as const),
    age,
    pid: fc.integer({ min: 2, max: 99_999 }),
  }),
  fc.record({
    type: fc.constant("spawn-failed" as const),
    age,
    cause: fc.constantFrom("system" as const, "vassal" as const, "exile" as const),
    detail: fc.constant("because"),
  }),
  fc.record({ type: fc.constant("message" as const), age, message }),
  fc.record({ type: fc.constant("channel-closed" as const), age }),
  fc.record({ type: fc.constant("unheard" as const), age }),
  fc.record({ type: fc.constant("deserted" as const), age }),
  fc.record({ type: fc.constant("exited" as const), age, exit }),
);
const otherEvent: fc.Arbitrary<Unborn> = fc.oneof(
  fc.record({ type: fc.constant("wanted" as const), wanted }),
  fc.record({
    type: fc.constantFrom(
      "unwanted" as const,
      "timer" as const,
      "reload-requested" as const,
      "stop-requested" as const,
      "start-requested" as const,
      "forgiven" as const,
      "connection-waiting" as const,
      "socket-watched" as const,
    ),
  }),
);
const socketFailure: fc.Arbitrary<Unborn> = fc.record({
  type: fc.constant("socket-failed" as const),
  lasting: fc.boolean(),
  detail: fc.constant("because"),
});
const ending: fc.Arbitrary<Unborn> = fc.record({
  type: fc.constantFrom("shutdown" as const, "mercy-over" as const),
});

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ event: processEvent }) },
  { weight: 6, arbitrary: fc.record({ event: otherEvent }) },
  { weight: 1, arbitrary: fc.record({ event: ending }) },
  { weight: 1, arbitrary: fc.record({ event: socketFailure }) },
  { weight: 2, arbitrary: fc.record({ wait: fc.integer({ min: 0, max: 60_000 }) }) },
  { weight: 4, arbitrary: fc.record({ reach: fc.constant("deadline" as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({ gate: fc.constantFrom("grant" as const, "deliver" as const) }),
  },
);

const policy = fc.record({
  throttleMs: fc.constantFrom(0, 100, 1000),
  maxThrottleMs: fc.constantFrom(0, 1200, 180_000),
  blacklist: fc.boolean(),
  heartbeatMs: fc.constantFrom(0, 1000, 30_000),
  curseToleranceMs: fc.constantFrom(0, 3000, 30_000),
  startGraceMs: fc.constantFrom(0, 1000),
  startTimeoutMs: fc.constantFrom(0, 5000),
  gracefulStop: fc.boolean(),
  waitForCommand: fc.constantFrom(false, false, true),
});

/** The vassal together with a real gate; a grant and its delivery are two moves, so that they can cross others. */
class World {
  readonly life: Life;
  readonly gate = new Gate<string>({ maxStarting: 2 });
  grantsUnderWay = 0;
  /** Generations whose process may exist: ordered to spawn, neither failed nor reaped. */
  readonly alive = new Set<number>();
  /** Its end is decided: gone at once without a process, else in Ragnarok. */
  ended = false;

  constructor(changes: Partial<Life["policy"]>) {
    this.life = new Life(changes);
  }

  make(step: Move): void {
    if ("wait" in step) this.life.after(step.wait);
    else if ("reach" in step) {
      if (this.life.deadline === undefined) return;
      this.life.until();
      this.tell({ type: "timer" });
    } else if ("gate" in step) {
      if (step.gate === "grant") this.grantsUnderWay += this.gate.grant(this.life.now).length;
      else if (this.grantsUnderWay > 0) {
        this.grantsUnderWay -= 1;
        this.tell({ type: "permitted" });
      }
    } else this.tell(this.#born(step.event));
  }

  tell(event: VassalEvent): void {
    const before = this.life.vassal;
    this.life.on(event);
    if (
      event.type === "shutdown" ||
      event.type === "mercy-over" ||
      this.life.vassal.phase.name === "gone"
    )
      this.ended = true;
    if (
      (event.type === "exited" || event.type === "spawn-failed") &&
      event.generation === before.generation
    ) {
      this.alive.delete(event.generation);
    }
    for (const effect of this.life.effects) this.#perform(effect);
    checkNotices(before.phase, this.life.vassal.phase, this.life);
    expect(before.phase.name === "gone" ? this.life.vassal : undefined).toBe(
      before.phase.name === "gone" ? before : undefined,
    );
    if (event.type === "timer") this.#checkDeadline();
    expect(Number.isNaN(this.life.deadline ?? 0)).toBe(false);
    this.#checkGate();
    expect(hasProcess(this.life.vassal.phase)).toBe(this.alive.size > 0);
  }

  /** A deadline may lead to another at the same instant, but not for ever. */
  #checkDeadline(): void {
    let { vassal } = this.life;
    for (let timers = 0; timers < 3 && isDue(vassal, this.life); timers++) {
      vassal = step(vassal, { type: "timer" }, this.life.now, this.life.policy).vassal;
    }
    expect(isDue(vassal, this.life), "the deadline is moved by its timer").toBe(false);
  }

  #born(event: Unborn): VassalEvent {
    if (!("age" in event)) return event;
    const { age: distance, ...rest } = event;
    return { ...rest, generation: this.life.vassal.generation - distance };
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "request-permit":
        return this.gate.request("v", effect.nuisance);
      case "cancel-permit":
        return this.gate.cancel("v");
      case "release-permit":
        expect(this.gate.starting, "a slot that is given back was taken").toBe(1);
        return this.gate.release("v");
      case "spawn":
        expect([...this.alive], "no second process").toEqual([]);
        this.alive.add(effect.generation);
        return;
      case "send":
      case "send-config":
      case "kill":
        expect([...this.alive], "orders go to the living").toEqual([effect.generation]);
        return;
      default:
    }
  }

  #checkGate(): void {
    const { phase } = this.life.vassal;
    if (this.grantsUnderWay > 0) return;
    expect([this.gate.starting, this.gate.waiting]).toEqual([
      holdsPermit(phase) ? 1 : 0,
      phase.name === "queued" && phase.asked ? 1 : 0,
    ]);
  }
}

function isDue(vassal: Vassal, life: Life): boolean {
  return (deadlineOf(vassal, life.policy) ?? Infinity) <= life.now;
}

function hasProcess(phase: Phase): boolean {
  return phase.name === "starting" || phase.name === "running" || phase.name === "stopping";
}

/** Each change of phase is told by exactly one notice of the new phase, and none is told without one. */
function checkNotices(before: Phase, after: Phase, life: Life): void {
  const told = life.noticeKinds.flatMap((kind) =>
    Object.entries(PHASE_NOTICES).flatMap(([name, kinds]) =>
      (kinds as readonly string[]).includes(kind) ? [name] : [],
    ),
  );
  if (before.name !== after.name) expect(told.length).toBeGreaterThan(0);
  if (told.length > 0) expect(told.at(-1)).toBe(after.name);
  // A first byte 22 is the only event that leads through a phase.
  expect(told.length).toBeLessThanOrEqual(
    before.name === "starting" && after.name === "stopping" ? 2 : 1,
  );
}

test("no sequence of events breaks a promise of the life-cycle", () => {
  fc.assert(
    fc.property(policy, fc.array(move, { maxLength: 120 }), (changes, moves) => {
      const world = new World(changes);
      world.tell({
        type: "wanted",
        wanted: { version: "v1", identity: "root", pushed: false, onDemand: false },
      });
      for (const step of moves) world.make(step);
    }),
    { numRuns: 1500 },
  );
});

test("after the shutdown nothing is started, and everything ends with the exit", () => {
  fc.assert(
    fc.property(
      policy,
      fc.array(move, { maxLength: 60 }),
      fc.array(move, { maxLength: 60 }),
      (changes, before, after) => {
        const world = new World(changes);
        world.tell({
          type: "wanted",
          wanted: { version: "v1", identity: "root", pushed: false, onDemand: false },
        });
        for (const step of before) world.make(step);
        world.tell({ type: "shutdown" });
        const { starts } = world.life.vassal.history;
        for (const step of after) world.make(step);
        expect(world.life.vassal.history.starts).toBe(starts);
        world.life.exits(0);
        expect(world.life.vassal.phase.name).toBe("gone");
      },
    ),
    { numRuns: 500 },
  );
});

test("left alone, a wanted vassal whose program works is running and healthy in the end", () => {
  fc.assert(
    fc.property(policy, fc.array(move, { maxLength: 80 }), (changes, moves) => {
      const world = new World({ ...changes, heartbeatMs: 0, startTimeoutMs: 0 });
      world.tell({
        type: "wanted",
        wanted: { version: "v1", identity: "root", pushed: false, onDemand: false },
      });
      for (const step of moves) world.make(step);
      world.tell({
        type: "wanted",
        wanted: { version: "final", identity: "root", pushed: false, onDemand: false },
      });
      world.tell({ type: "start-requested" });
      for (let round = 0; round < 200 && !isUp(world); round++) settle(world);
      // Gone are those whose end the moves had decided: removed, or stopped by the shutdown.
      expect(world.life.vassal.phase).toMatchObject(
        isGone(world) ? {} : { name: "running", healthy: true },
      );
      expect(isGone(world)).toBe(world.ended);
    }),
    { numRuns: 500 },
  );
});

function isGone(world: World): boolean {
  return world.life.vassal.phase.name === "gone";
}

function isUp(world: World): boolean {
  const { phase } = world.life.vassal;
  return phase.name === "gone" || (phase.name === "running" && phase.healthy);
}

/** The machine does its part: grants arrive, spawns succeed, stops are obeyed, time passes. */
function settle(world: World): void {
  world.make({ gate: "grant" });
  world.make({ gate: "deliver" });
  const { phase, generation } = world.life.vassal;
  if (hasProcess(phase) && "pid" in phase && phase.pid === undefined)
    world.tell({ type: "spawned", generation, pid: 77 });
  else if (phase.name === "stopping")
    world.tell({ type: "exited", generation, exit: { kind: "code", code: 0 } });
  else world.make({ reach: "deadline" });
}
