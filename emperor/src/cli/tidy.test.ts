import { describe, expect, test } from "vitest";
import { BurstTidier } from "./tidy.ts";

function tidier() {
  const world = { now: 0, collections: 0, timers: [] as { at: number; run: () => void }[] };
  const it = new BurstTidier({
    now: () => world.now,
    after: (ms, run) => void world.timers.push({ at: world.now + ms, run }),
    collect: () => void (world.collections += 1),
  });
  const advance = (ms: number): void => {
    world.now += ms;
    const due = world.timers.filter((timer) => timer.at <= world.now);
    world.timers = world.timers.filter((timer) => timer.at > world.now);
    for (const timer of due) timer.run();
  };
  return { it, world, advance };
}

describe("BurstTidier", () => {
  test("a burst is collected once, when it is over", () => {
    const { it, world, advance } = tidier();
    for (let i = 0; i < 1000; i++) it.note();
    expect(world.timers.length).toBe(1);
    advance(1000);
    it.note();
    advance(500);
    expect(world.collections).toBe(0);
    advance(1500);
    expect(world.collections).toBe(1);
    advance(100_000);
    expect([world.collections, world.timers.length]).toEqual([1, 0]);
  });

  test("a few events are left to Node", () => {
    const { it, world, advance } = tidier();
    for (let i = 0; i < 99; i++) it.note();
    advance(100_000);
    expect([world.collections, world.timers.length]).toEqual([0, 0]);
  });
});
