import { describe, expect, test } from "vitest";
import { Life } from "./life.fixture.ts";

describe("stopping", () => {
  test("a removed vassal that does not obey is killed at the tolerance, again and again", () => {
    const life = new Life().loyal().on({ type: "unwanted" });
    expect(life.timer()).toBe(30_000);
    expect(life.orders).toEqual([
      { type: "kill", generation: 1, signal: "SIGKILL", scope: "tree" },
    ]);
    expect(life.timer()).toBe(30_000);
    expect(life.orders).toEqual([
      { type: "kill", generation: 1, signal: "SIGKILL", scope: "tree" },
    ]);
    life.exitsWith({ kind: "signal", signal: 9 });
    expect(life.notices.at(0)).toMatchObject({ expected: true });
    life.phase("gone");
  });

  test("a tolerance of 0 kills at once and then not in a hot loop", () => {
    const life = new Life({ curseToleranceMs: 0 }).loyal().on({ type: "unwanted" });
    expect(life.timer()).toBe(0);
    expect(life.timer()).toBe(1000);
  });

  test("a vassal that comes back starts again after the exit, unpunished", () => {
    const life = new Life().running().on({ type: "unwanted" });
    life.on({
      type: "wanted",
      wanted: { version: "v9", identity: "root", pushed: false, onDemand: false },
    });
    expect(life.phase("stopping").next).toBe("respawn");
    life.exits(1);
    expect(life.phase("queued")).toMatchObject({ reason: "respawn", asked: true });
    expect(life.vassal.history).toMatchObject({ failures: 0, crashes: 0 });
  });

  test("whatever its exit code says, a deliberate stop is no exile", () => {
    const life = new Life().running().wanted({ identity: "bob" }).exits(26);
    life.phase("queued");
  });

  test("a config that changes while it falls asleep wakes it", () => {
    const life = new Life().running().says("done").wanted();
    expect(life.phase("stopping").next).toBe("asleep");
    life.wanted({ version: "v2" }).exits(0);
    expect(life.phase("queued").reason).toBe("respawn");
  });

  test("the last word of the operator counts", () => {
    const life = new Life()
      .running()
      .on({ type: "stop-requested" })
      .on({ type: "start-requested" });
    expect(life.phase("stopping").next).toBe("respawn");
    life.on({ type: "stop-requested" }).wanted({ version: "v2" }).exits(0);
    expect(life.phase("suspended").reason).toBe("stopped-by-command");
  });

  test("what is not wanted cannot be started or kept by command", () => {
    const life = new Life()
      .running()
      .on({ type: "unwanted" })
      .on({ type: "start-requested" })
      .on({ type: "stop-requested" });
    expect(life.phase("stopping").next).toBe("remove");
  });

  test("one without a channel gets its signal as soon as it is to go", () => {
    for (const type of ["unwanted", "stop-requested", "shutdown"] as const) {
      const life = new Life().running().closesChannel().on({ type });
      expect(life.orders).toEqual([
        { type: "kill", generation: 1, signal: "SIGTERM", scope: "process" },
      ]);
      life.on({ type });
      expect(life.orders).toEqual([]);
    }
  });

  test("the shutdown overtakes every plan", () => {
    const plans = [
      new Life().running().closesChannel(),
      new Life().running().wanted({ identity: "bob" }),
      new Life().running().says("done"),
      new Life().running().on({ type: "stop-requested" }),
      new Life().running().on({ type: "unwanted" }),
    ];
    for (const life of plans) {
      life.on({ type: "shutdown" });
      life.on({
        type: "wanted",
        wanted: { version: "v9", identity: "root", pushed: false, onDemand: false },
      });
      life.on({ type: "start-requested" }).exits(1);
      life.phase("gone");
    }
  });

  test("the end of the mercy kills, and repeats it", () => {
    const life = new Life()
      .running()
      .on({ type: "shutdown" })
      .after(500)
      .on({ type: "mercy-over" });
    expect(life.orders).toEqual([
      { type: "kill", generation: 1, signal: "SIGKILL", scope: "tree" },
    ]);
    expect(life.notices).toEqual([{ kind: "killed", generation: 1, why: "mercy" }]);
    expect(life.timer()).toBe(30_000);
    expect(life.orders).toEqual([
      { type: "kill", generation: 1, signal: "SIGKILL", scope: "tree" },
    ]);
  });

  test("a last request that was finished still counts", () => {
    const life = new Life().running().exits();
    life.running().closesChannel().says("loyal");
    expect(life.noticeKinds).toEqual(["loyal", "unlisted"]);
    life.exits(1);
    expect(life.phase("queued").reason).toBe("respawn");
  });

  test("nothing that a process says or asks while it goes leads anywhere", () => {
    const life = new Life().running({ pushed: true }).on({ type: "unwanted" });
    const { vassal } = life;
    for (const message of [
      "spawned",
      "accepting",
      "config-wanted",
      "done",
      "heartbeat",
      "reinforcements",
    ] as const) {
      life.says(message);
      expect(life.effects).toEqual([]);
    }
    life.closesChannel().on({ type: "reload-requested" }).on({ type: "connection-waiting" });
    expect(life.vassal).toEqual(vassal);
  });

  test("a start that the machine refuses while the vassal is replaced is simply tried again", () => {
    const life = new Life()
      .wanted()
      .on({ type: "permitted" })
      .wanted({ identity: "bob" })
      .spawnFailed("system");
    expect(life.phase("queued")).toMatchObject({ reason: "respawn", asked: true });
  });

  test("a vassal that could not hear the stop gets SIGTERM at once", () => {
    const life = new Life().running().on({ type: "unwanted" }).unheard();
    expect(life.orders).toContainEqual({
      type: "kill",
      generation: 1,
      signal: "SIGTERM",
      scope: "process",
    });
    expect(life.phase("stopping").killed).toBe(false);
  });
});
