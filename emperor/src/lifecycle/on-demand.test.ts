import { describe, expect, test } from "vitest";
import { Life } from "./life.fixture.ts";

const ON_DEMAND = { onDemand: true } as const;

describe("the sockets of a vassal that waits on demand", () => {
  test("are told of once they are bound", () => {
    const life = new Life().wanted(ON_DEMAND);
    expect(life.orders).toEqual([{ type: "watch-socket" }]);
    life.on({ type: "socket-watched" });
    expect(life.noticeKinds).toEqual(["listening"]);
    life.phase("dormant");
  });

  test("that somebody else has are tried again, later each time, and nothing is held against it", () => {
    const life = new Life().wanted(ON_DEMAND).socketFailed(false);
    expect(life.phase("queued")).toMatchObject({ reason: "socket", asked: false });
    expect(life.timer()).toBe(100);
    life.phase("dormant");
    expect(life.orders).toEqual([{ type: "watch-socket" }]);
    life.socketFailed(false);
    expect(life.timer()).toBe(200);
    for (let attempt = 0; attempt < 20; attempt++) life.socketFailed(false).timer();
    life.socketFailed(false);
    expect(life.timer()).toBe(10_000);
    expect(life.vassal.history).toMatchObject({ failures: 0, crashes: 0, starts: 0 });
  });

  test("with an address that cannot be wait for another config", () => {
    const life = new Life().wanted(ON_DEMAND).socketFailed(true);
    expect(life.phase("suspended").reason).toBe("exiled");
    life.wanted();
    life.phase("suspended");
    life.wanted({ identity: "another address" });
    life.phase("dormant");
    expect(life.orders).toEqual([{ type: "watch-socket" }]);
  });

  test.each([
    ["stopped by command", (life: Life) => life.on({ type: "stop-requested" })],
    ["exiled", (life: Life) => life.started().exits(26)],
  ])("are closed while it is %s: nobody would ever answer", (_state, happen) => {
    const life = happen(new Life().wanted(ON_DEMAND));
    life.phase("suspended");
    expect(life.orders).toContainEqual({ type: "close-socket" });
  });

  test("are closed as soon as the vassal listens for itself", () => {
    const life = new Life().loyal(ON_DEMAND).wanted({ onDemand: false });
    expect(life.orders).toEqual([
      { type: "close-socket" },
      { type: "send", generation: 1, message: "stop" },
    ]);
    life.exits(0);
    expect(life.phase("queued").reason).toBe("respawn");
  });

  test("a plain vassal that gets one is stopped, and then waits", () => {
    const life = new Life().loyal().wanted(ON_DEMAND);
    expect(life.phase("stopping")).toMatchObject({ reason: "changed-identity" });
    life.exits(0).phase("dormant");
  });

  test("another address while it waits for the gate: whoever asked for it waits there no more", () => {
    const life = new Life().wanted(ON_DEMAND).on({ type: "connection-waiting" });
    life.wanted({ identity: "another address" });
    life.phase("dormant");
    expect(life.orders).toEqual([{ type: "cancel-permit" }, { type: "watch-socket" }]);
  });
});

describe("back to sleep", () => {
  test("a deserted one is asked gracefully, and its socket is watched again when it is gone", () => {
    const life = new Life().loyal(ON_DEMAND).deserted();
    expect(life.phase("stopping").reason).toBe("deserted");
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "graceful-stop" }]);
    life.exits(0);
    life.phase("dormant");
    expect(life.orders).toEqual([{ type: "watch-socket" }]);
    expect(life.vassal.history.crashes).toBe(0);
  });

  test("one that does not hear gets SIGTERM, then SIGKILL", () => {
    const life = new Life().loyal(ON_DEMAND).deserted();
    expect(life.timer()).toBe(20_000);
    expect(life.orders).toEqual([
      { type: "kill", generation: 1, signal: "SIGTERM", scope: "process" },
    ]);
    expect(life.timer()).toBe(10_000);
    expect(life.orders).toEqual([
      { type: "kill", generation: 1, signal: "SIGKILL", scope: "tree" },
    ]);
    life.exitsWith({ kind: "signal", signal: 9 }).phase("dormant");
    expect(life.vassal.history).toMatchObject({ failures: 0, crashes: 0 });
  });

  test("a plain vassal is never deserted, nor is one of an older generation", () => {
    expect(new Life().loyal().deserted().effects).toEqual([]);
    const life = new Life().loyal(ON_DEMAND).on({ type: "deserted", generation: 0 });
    expect(life.effects).toEqual([]);
  });
});

test("a penalty of no time leads back to the socket all the same", () => {
  const life = new Life({ maxThrottleMs: 0 }).started(ON_DEMAND).exits();
  expect(life.phase("queued")).toMatchObject({ reason: "blacklist", asked: false });
  expect(life.timer()).toBe(0);
  life.phase("dormant");
});
