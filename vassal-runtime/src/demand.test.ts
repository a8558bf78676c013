import { describe, expect, it } from "vitest";
import { DemandWatch, QueueWatch } from "./demand.ts";
import type { DemandSettings } from "./demand.ts";

const quiet = { requests: 0, running: 0, allBusy: false };
const settings = (changes: Partial<DemandSettings>): DemandSettings => ({
  idleMs: undefined,
  sosMs: undefined,
  sosBacklog: undefined,
  ...changes,
});

describe("idle", () => {
  const idleAt = (watch: DemandWatch, seconds: number, sample: Partial<typeof quiet> = {}) =>
    watch.look({ ...quiet, ...sample, now: seconds * 1000 }).idle;

  it("is told once, after more than the time", () => {
    const watch = new DemandWatch(settings({ idleMs: 3000 }), 0);
    expect([1, 2, 3, 4, 5, 9].map((second) => idleAt(watch, second))).toEqual([
      false,
      false,
      false,
      true,
      false,
      false,
    ]);
  });

  it("begins anew with a finished request and does not begin while one runs", () => {
    const watch = new DemandWatch(settings({ idleMs: 3000 }), 0);
    expect(idleAt(watch, 2, { requests: 1 })).toBe(false);
    expect(idleAt(watch, 5, { requests: 1 })).toBe(false);
    expect(idleAt(watch, 60, { requests: 1, running: 1 })).toBe(false);
    expect(idleAt(watch, 63, { requests: 1 })).toBe(false);
    expect(idleAt(watch, 64, { requests: 1 })).toBe(true);
    watch.wake(100_000);
    expect(idleAt(watch, 103, { requests: 1 })).toBe(false);
    expect(idleAt(watch, 104, { requests: 1 })).toBe(true);
  });
});

describe("overload", () => {
  const overloadAt = (watch: DemandWatch, seconds: number, allBusy: boolean) =>
    watch.look({ ...quiet, allBusy, now: seconds * 1000 }).overload;

  it("is told when all workers were busy for longer than vassal-sos, again after as long", () => {
    const watch = new DemandWatch(settings({ sosMs: 2000 }), 0);
    expect(overloadAt(watch, 1, true)).toBeUndefined();
    expect(overloadAt(watch, 3, true)).toBeUndefined();
    expect(overloadAt(watch, 4, true)).toBe("all workers were busy for 3 s");
    expect(overloadAt(watch, 6, true)).toBeUndefined();
    expect(overloadAt(watch, 7, false)).toBeUndefined();
    expect(overloadAt(watch, 8, true)).toBeUndefined();
    expect(overloadAt(watch, 11, true)).toMatch(/3 s/);
  });

  it("is told at once when a queue is full, and again each second while it stays so", () => {
    const watch = new QueueWatch(10);
    expect(watch.look(0, 9)).toBeUndefined();
    expect(watch.look(200, 10)).toBe("backlog: 10");
    expect([400, 600, 800, 1000, 1199].map((now) => watch.look(now, 12))).toEqual(
      Array.from({ length: 5 }, () => undefined),
    );
    expect(watch.look(1200, 12)).toBe("backlog: 12");
    expect(watch.look(2400, 9)).toBeUndefined();
    expect(watch.look(2600, 11)).toBe("backlog: 11");
  });
});
