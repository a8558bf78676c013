import { describe, expect, test } from "vitest";
import { Life } from "./life.fixture.ts";

/** Ordered to spawn, no answer yet. */
function spawning(policy = {}): Life {
  return new Life(policy).wanted().on({ type: "permitted" });
}

describe("starting", () => {
  test("tells the pid and waits for the first byte", () => {
    const life = spawning().spawned(4711);
    expect(life.phase("starting").pid).toBe(4711);
    expect(life.effects).toEqual([
      { type: "publish", notice: { kind: "started", generation: 1, pid: 4711 } },
    ]);
  });

  test("gives its slot back with the first byte, whatever it is", () => {
    const life = spawning().spawned().says("accepting");
    expect(life.phase("running")).toMatchObject({ ready: false, accepting: true, loyal: false });
    expect(life.noticeKinds).toEqual(["running", "accepting"]);
    expect(life.orders).toEqual([{ type: "release-permit" }]);
  });

  test("gives its slot back after the grace when the program never speaks", () => {
    const life = spawning().spawned();
    expect(life.timer()).toBe(1000);
    life.phase("running");
    expect(life.notices).toEqual([{ kind: "running", generation: 1, spoke: false }]);
    expect(life.orders).toEqual([{ type: "release-permit" }]);
  });

  test("does not hold up others when the spawn itself takes long", () => {
    const life = spawning();
    expect(life.timer()).toBe(1000);
    expect(life.orders).toEqual([{ type: "release-permit" }]);
    expect(life.phase("starting").permit).toBe(false);
    expect(life.deadline).toBeUndefined();
    life.after(60_000).spawned();
    life.says("spawned");
    expect(life.orders).toEqual([]);
    life.phase("running");
  });

  test("a death is a failure of the blacklist", () => {
    const life = spawning().spawned().exits(3);
    expect(life.notices).toEqual([
      {
        kind: "exited",
        generation: 1,
        pid: 101,
        exit: { kind: "code", code: 3 },
        uptimeMs: 0,
        expected: false,
        loyal: false,
      },
      { kind: "blacklisted", failures: 1, delayMs: 1, atMaximum: false },
    ]);
    expect(life.orders).toEqual([{ type: "release-permit" }]);
    expect(life.vassal.history).toMatchObject({ failures: 1, crashes: 1, starts: 1 });
  });

  test("exit code 26 is exile", () => {
    const life = spawning().spawned().exits(26);
    expect(life.notices.at(-1)).toEqual({ kind: "resting", reason: "exiled" });
    expect(life.orders).toEqual([{ type: "release-permit" }]);
  });

  test("signal 26 is not", () => {
    const life = spawning().spawned().exitsWith({ kind: "signal", signal: 26 });
    expect(life.phase("queued").reason).toBe("blacklist");
  });

  test("a program that cannot be started counts as a death", () => {
    const life = spawning().spawnFailed("vassal");
    expect(life.phase("queued").reason).toBe("blacklist");
    expect(life.noticeKinds).toEqual(["spawn-failed", "blacklisted"]);
    expect(life.orders).toEqual([{ type: "release-permit" }]);
  });

  test("a wrong directory of its own is exile", () => {
    expect(spawning().spawnFailed("exile").phase("suspended").reason).toBe("exiled");
  });

  test("a refusal by the machine is not held against it, and waits longer each time", () => {
    const life = spawning();
    const delays: number[] = [];
    for (let n = 0; n < 4; n++) {
      life.spawnFailed("system");
      expect(life.orders).toEqual([{ type: "release-permit" }]);
      delays.push(life.timer());
      expect(life.orders).toEqual([{ type: "request-permit", nuisance: 0 }]);
      life.on({ type: "permitted" });
    }
    expect(delays).toEqual([100, 200, 400, 800]);
    expect(life.vassal.history).toMatchObject({ failures: 0, crashes: 0, refusals: 4 });
    life.spawned();
    expect(life.vassal.history.refusals).toBe(0);
  });

  test("a change before the spawn succeeded is a reload as soon as there is a channel", () => {
    const life = spawning().wanted({ version: "v2" });
    expect(life.effects).toEqual([]);
    life.spawned();
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "reload" }]);
    expect(life.noticeKinds).toEqual(["started", "reloading"]);
    life.says("accepting");
    // 5 after a reload means ready as well.
    expect(life.phase("running")).toMatchObject({ ready: true, accepting: true, reloading: false });
  });

  test("each further change is a reload of its own", () => {
    const life = spawning().spawned().wanted({ version: "v2" });
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "reload" }]);
    life.wanted({ version: "v3" });
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "reload" }]);
    expect(life.vassal.history.reloads).toBe(2);
  });

  test("SIGHUP before the spawn succeeded asks for nothing", () => {
    const life = spawning().on({ type: "reload-requested" });
    expect(life.effects).toEqual([]);
    life.spawned().on({ type: "reload-requested" });
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "reload" }]);
  });

  test("a removal before the spawn succeeded is carried out when it did; the slot is held until then", () => {
    const life = spawning().on({ type: "unwanted" });
    expect(life.phase("stopping")).toMatchObject({ pid: undefined, permit: true, next: "remove" });
    expect(life.orders).toEqual([]);
    life.spawned();
    expect(life.orders).toEqual([
      { type: "release-permit" },
      { type: "send", generation: 1, message: "stop" },
    ]);
    expect(life.phase("stopping").killAt).toBe(life.now + 30_000);
    life.exits(0);
    expect(life.noticeKinds).toEqual(["exited", "removed"]);
    expect(life.orders).toEqual([{ type: "forget" }]);
  });

  test("a removal before a spawn that then fails leaves nothing", () => {
    for (const cause of ["system", "vassal", "exile"] as const) {
      const life = spawning().on({ type: "unwanted" }).spawnFailed(cause);
      life.phase("gone");
      expect(life.orders).toEqual([{ type: "release-permit" }, { type: "forget" }]);
    }
  });

  test("a removed vassal whose spawn takes long gives its slot back", () => {
    const life = spawning().on({ type: "unwanted" });
    expect(life.timer()).toBe(1000);
    expect(life.orders).toEqual([{ type: "release-permit" }]);
    expect(life.deadline).toBeUndefined();
    life.spawned();
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "stop" }]);
  });

  test("the mercy that ends before the spawn succeeded kills as soon as there is somebody", () => {
    const life = spawning().on({ type: "mercy-over" });
    expect(life.orders).toEqual([]);
    life.spawned();
    expect(life.orders).toEqual([
      { type: "release-permit" },
      { type: "kill", generation: 1, signal: "SIGKILL", scope: "tree" },
    ]);
  });

  test("a byte that nobody can have written changes nothing", () => {
    const life = spawning().says("loyal");
    life.phase("starting");
    expect(life.effects).toEqual([]);
  });

  test("a second grant goes back only when it has no slot", () => {
    const life = spawning().on({ type: "permitted" });
    expect(life.effects).toEqual([]);
    life.timer();
    life.on({ type: "permitted" });
    expect(life.effects).toEqual([{ type: "release-permit" }]);
  });
});
