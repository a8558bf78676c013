import { describe, expect, test } from "vitest";
import { Life } from "./life.fixture.ts";

describe("running", () => {
  test("bytes 1, 5 and 17 in any order, each told once", () => {
    const life = new Life().started().says("loyal").says("accepting").says("spawned");
    expect(life.phase("running")).toMatchObject({
      ready: true,
      accepting: true,
      loyal: true,
      healthy: true,
    });
    expect(life.noticeKinds).toEqual(["ready"]);
    for (const message of ["loyal", "accepting", "spawned"] as const) {
      life.says(message);
      expect(life.effects).toEqual([]);
    }
  });

  test("5 before 1 is not readiness at the first start", () => {
    const life = new Life().started().says("accepting");
    expect(life.phase("running").ready).toBe(false);
  });

  test("a config is sent only through a pipe that exists", () => {
    expect(new Life().running().says("config-wanted").orders).toEqual([]);
    expect(new Life().running({ pushed: true }).says("config-wanted").orders).toEqual([
      { type: "send-config", generation: 1 },
    ]);
  });

  test("byte 30 is passed on", () => {
    expect(new Life().running().says("reinforcements").orders).toEqual([{ type: "reinforce" }]);
  });

  test("events of an older generation change nothing", () => {
    const life = new Life().running().exits();
    life.started();
    const { vassal } = life;
    life.says("loyal", 1).exitsWith({ kind: "code", code: 0 }, 1);
    expect(life.vassal).toBe(vassal);
    expect(life.effects).toEqual([]);
  });
});

describe("health", () => {
  test("comes with time when no request does", () => {
    const life = new Life().running().exits();
    life.started().says("spawned");
    expect(life.vassal.history.failures).toBe(1);
    life.timer();
    expect(life.notices).toEqual([
      { kind: "healthy", generation: 2, upMs: 30_000 },
      { kind: "unlisted", reason: "healthy" },
    ]);
    expect(life.vassal.history.failures).toBe(0);
    expect(life.deadline).toBeUndefined();
  });

  test("comes with loyalty and leaves the blacklist", () => {
    const life = new Life().running().exits();
    life.started().says("loyal");
    expect(life.noticeKinds).toEqual(["running", "loyal", "unlisted"]);
    expect(life.deadline).toBeUndefined();
  });

  test("a loyal one that dies comes back at once, first in line, and is never listed", () => {
    const life = new Life().loyal();
    for (let n = 0; n < 8; n++) {
      life.exitsWith({ kind: "signal", signal: 9 });
      expect(life.orders).toEqual([{ type: "request-permit", nuisance: -1 }]);
      expect(life.vassal.history.failures).toBe(0);
      life.loyal();
    }
    life.exits();
    expect(life.notices.at(-1)).toEqual({ kind: "damped", quickDeaths: 9, delayMs: 1000 });
    life.loyal().after(5000).exits();
    expect(life.phase("queued").reason).toBe("respawn");
    expect(life.vassal.history.quickDeaths).toBe(0);
  });

  test("one that was healthy by time comes back at once", () => {
    const life = new Life().running();
    life.timer();
    life.exits();
    expect(life.phase("queued")).toMatchObject({ reason: "respawn", asked: true });
  });

  test("loyalty outlives a reload: the death of the reloaded process is not listed", () => {
    const life = new Life().loyal().wanted({ version: "v2" });
    expect(life.phase("running")).toMatchObject({ loyal: true, healthy: false });
    life.exitsWith({ kind: "signal", signal: 9 });
    expect(life.phase("queued").reason).toBe("respawn");
    expect(life.vassal.history.failures).toBe(0);
    life.started().says("accepting").exits();
    expect(life.vassal.history.failures).toBe(1);
  });

  test("health by time does not outlive a reload", () => {
    const life = new Life().running();
    life.timer();
    life.wanted({ version: "v2" }).exits();
    expect(life.vassal.history.failures).toBe(1);
  });

  test("without the blacklist a crash loop is damped and nothing is listed", () => {
    const life = new Life({ blacklist: false });
    const delays: number[] = [];
    for (let n = 0; n < 8; n++) {
      life.started().exits(3);
      delays.push(life.phase("queued").notBefore - life.now);
    }
    expect(delays).toEqual([0, 0, 0, 0, 0, 100, 100, 100]);
    expect(life.vassal.history).toMatchObject({ failures: 0, crashes: 8 });
  });
});

describe("reload", () => {
  test("follows a changed config: byte 1, readiness starts again, loyalty stays", () => {
    const life = new Life().loyal().wanted({ version: "v2" });
    expect(life.phase("running")).toMatchObject({
      ready: false,
      accepting: false,
      loyal: true,
      reloading: true,
    });
    expect(life.effects).toEqual([
      { type: "publish", notice: { kind: "reloading", generation: 1, why: "changed" } },
      { type: "send", generation: 1, message: "reload" },
    ]);
    life.says("accepting");
    expect(life.phase("running")).toMatchObject({ ready: true, accepting: true, reloading: false });
    expect(life.noticeKinds).toEqual(["ready", "accepting"]);
  });

  test("does not follow a scan that found nothing new", () => {
    const life = new Life().running().wanted();
    expect(life.effects).toEqual([]);
  });

  test("follows each change and each request", () => {
    const life = new Life().running();
    for (const version of ["v2", "v3", "v1"]) {
      expect(life.wanted({ version }).orders).toEqual([
        { type: "send", generation: 1, message: "reload" },
      ]);
    }
    expect(life.on({ type: "reload-requested" }).notices).toEqual([
      { kind: "reloading", generation: 1, why: "requested" },
    ]);
    expect(life.vassal.history.reloads).toBe(4);
  });

  test("a changed identity replaces the process, with nothing held against it", () => {
    const life = new Life().running().wanted({ version: "v2", identity: "bob" });
    expect(life.phase("stopping")).toMatchObject({ reason: "changed-identity", next: "respawn" });
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "stop" }]);
    life.exits(1);
    expect(life.phase("queued")).toMatchObject({ reason: "respawn", asked: true });
    expect(life.vassal.history).toMatchObject({ failures: 0, crashes: 0, quickDeaths: 0 });
  });

  test("whether the config is pushed and whether there is a socket belong to the identity", () => {
    expect(new Life().running().wanted({ pushed: true }).phase("stopping").reason).toBe(
      "changed-identity",
    );
    expect(new Life().running().wanted({ onDemand: true }).phase("stopping").reason).toBe(
      "changed-identity",
    );
  });
});

describe("heartbeat", () => {
  test("is required from the first one on", () => {
    const life = new Life().loyal();
    expect(life.deadline).toBeUndefined();
    life.says("heartbeat");
    expect(life.noticeKinds).toEqual(["heartbeat"]);
    expect(life.deadline).toBe(life.now + 10_000);
    life.after(4000).says("heartbeat");
    expect(life.effects).toEqual([]);
    expect(life.deadline).toBe(life.now + 10_000);
  });

  test("missed: stop, then kill after a short grace, then a new process", () => {
    const life = new Life().loyal().says("heartbeat");
    expect(life.timer()).toBe(10_000);
    expect(life.notices).toEqual([{ kind: "heartbeat-missed", generation: 1, silentMs: 10_000 }]);
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "stop" }]);
    expect(life.timer()).toBe(2000);
    expect(life.orders).toEqual([
      { type: "kill", generation: 1, signal: "SIGKILL", scope: "tree" },
    ]);
    expect(life.notices).toEqual([{ kind: "killed", generation: 1, why: "heartbeat" }]);
    life.exitsWith({ kind: "signal", signal: 9 });
    expect(life.phase("queued").reason).toBe("respawn");
    expect(life.vassal.history).toMatchObject({ failures: 0, crashes: 1 });
  });

  test("missed by one that never proved itself is a failure", () => {
    const life = new Life().started().says("heartbeat");
    life.timer();
    life.exits(0);
    expect(life.phase("queued").reason).toBe("blacklist");
  });

  test("a hanging process is not asked gracefully", () => {
    const life = new Life({ gracefulStop: true }).loyal().says("heartbeat");
    life.timer();
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "stop" }]);
  });

  test("is excused by a reload until it is done, at most for the tolerance", () => {
    const life = new Life().loyal().says("heartbeat").wanted({ version: "v2" });
    const reloadAt = life.now;
    life.after(30_000).on({ type: "timer" });
    life.phase("running");
    life.after(9999).on({ type: "timer" });
    life.phase("running");
    expect(life.deadline).toBe(reloadAt + 40_000);
    life.says("accepting");
    expect(life.deadline).toBe(Math.min(life.now + 10_000));
    const stuck = new Life().loyal().says("heartbeat").wanted({ version: "v2" });
    let waited = 0;
    while (stuck.vassal.phase.name === "running") waited += stuck.timer();
    expect(waited).toBe(40_000);
    expect(stuck.noticeKinds).toEqual(["heartbeat-missed"]);
  });

  test("beats during the reload do not shorten the excuse", () => {
    const life = new Life().loyal().says("heartbeat").wanted({ version: "v2" });
    const reloadAt = life.now;
    life.after(100).says("heartbeat");
    expect(life.phase("running").heartbeatAt).toBe(reloadAt + 30_000);
  });

  test("is never required with 0", () => {
    const life = new Life({ heartbeatMs: 0 }).loyal().says("heartbeat");
    expect(life.deadline).toBeUndefined();
  });
});

describe("the end of a running process", () => {
  test("byte 22: stopped, asleep until its config changes", () => {
    const life = new Life().running().says("done");
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "stop" }]);
    life.exits(0);
    expect(life.phase("suspended").reason).toBe("asleep");
    expect(life.vassal.history).toMatchObject({ failures: 0, crashes: 0 });
    life.wanted();
    life.phase("suspended");
    life.wanted({ version: "v2" });
    expect(life.phase("queued").reason).toBe("changed");
  });

  test("byte 22 of one on demand: back to its socket", () => {
    const life = new Life().running({ onDemand: true }).says("done").exits(0);
    life.phase("dormant");
    expect(life.orders).toEqual([{ type: "watch-socket" }]);
  });

  test("byte 22 as the first word ends a start as well", () => {
    const life = new Life().started().says("done");
    expect(life.noticeKinds).toEqual(["running", "stopping"]);
    expect(life.orders).toEqual([
      { type: "release-permit" },
      { type: "send", generation: 1, message: "stop" },
    ]);
  });

  test("byte 2 instead of 0 with graceful shutdown", () => {
    const life = new Life({ gracefulStop: true }).running().on({ type: "unwanted" });
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "graceful-stop" }]);
  });

  test("a closed channel is no death yet: SIGTERM late in the tolerance, SIGKILL at its end", () => {
    const life = new Life().running().closesChannel();
    expect(life.notices).toEqual([{ kind: "channel-lost", generation: 1 }]);
    expect(life.orders).toEqual([]);
    expect(life.timer()).toBe(20_000);
    expect(life.orders).toEqual([
      { type: "kill", generation: 1, signal: "SIGTERM", scope: "process" },
    ]);
    expect(life.timer()).toBe(10_000);
    expect(life.orders).toEqual([
      { type: "kill", generation: 1, signal: "SIGKILL", scope: "tree" },
    ]);
    life.exitsWith({ kind: "signal", signal: 9 });
    expect(life.phase("queued").reason).toBe("blacklist");
  });

  test("the usual death: end of the channel, then the exit, counted once", () => {
    const life = new Life().loyal().closesChannel().after(2).exits(1);
    expect(life.phase("queued")).toMatchObject({ reason: "respawn", asked: true });
    expect(life.vassal.history).toMatchObject({ failures: 0, crashes: 1, quickDeaths: 1 });
    const unloyal = new Life().running().closesChannel().after(2).exits(1);
    expect(unloyal.vassal.history).toMatchObject({ failures: 1, crashes: 1 });
  });

  test("exile after a closed channel is still exile", () => {
    expect(new Life().running().closesChannel().exits(26).phase("suspended").reason).toBe("exiled");
  });

  test("a program that says nothing is left alone unless a start has a limit", () => {
    const silent = new Life().started();
    silent.timer();
    silent.timer();
    silent.phase("running");
    expect(silent.deadline).toBeUndefined();
    const limited = new Life({ startTimeoutMs: 5000 }).started();
    limited.timer();
    expect(limited.timer()).toBe(4000);
    expect(limited.phase("stopping").reason).toBe("slow-start");
    expect(limited.exits(0).phase("queued").reason).toBe("blacklist");
    const spoke = new Life({ startTimeoutMs: 5000 }).started().says("spawned");
    spoke.timer();
    spoke.phase("running");
  });

  test("shutdown stops without a deadline of its own, and nothing is started again", () => {
    const life = new Life().loyal().on({ type: "shutdown" });
    expect(life.orders).toEqual([{ type: "send", generation: 1, message: "stop" }]);
    expect(life.deadline).toBeUndefined();
    life.wanted().on({ type: "start-requested" }).exits(0);
    life.phase("gone");
  });

  test("the end of the mercy kills", () => {
    const life = new Life().loyal().on({ type: "mercy-over" });
    expect(life.orders).toEqual([
      { type: "send", generation: 1, message: "stop" },
      { type: "kill", generation: 1, signal: "SIGKILL", scope: "tree" },
    ]);
    expect(life.noticeKinds).toEqual(["stopping", "killed"]);
  });

  test("a hook that fails after the grace of a silent start is a failed start", () => {
    const life = new Life().running().spawnFailed("vassal");
    expect(life.phase("queued").reason).toBe("blacklist");
    expect(life.noticeKinds.slice(-2)).toEqual(["spawn-failed", "blacklisted"]);
  });
});
