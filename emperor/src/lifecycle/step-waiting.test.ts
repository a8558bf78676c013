import { describe, expect, test } from "vitest";
import { Life } from "./life.fixture.ts";

describe("a new vassal", () => {
  test("is queued and asks the gate at once", () => {
    const life = new Life().wanted();
    expect(life.phase("queued")).toMatchObject({ reason: "new", asked: true });
    expect(life.notices).toEqual([{ kind: "queued", reason: "new", delayMs: 0 }]);
    expect(life.orders).toEqual([{ type: "request-permit", nuisance: 0 }]);
  });

  test("that waits for a command does nothing until it comes", () => {
    const life = new Life({ waitForCommand: true }).wanted();
    expect(life.phase("suspended").reason).toBe("wait-for-command");
    life.wanted({ version: "v2" });
    expect(life.phase("suspended").reason).toBe("wait-for-command");
    expect(life.noticeKinds).toEqual(["config-changed-while-waiting"]);
    life.on({ type: "start-requested" });
    expect(life.phase("queued")).toMatchObject({ reason: "command", asked: true });
  });

  test("with a socket watches it", () => {
    const life = new Life().wanted({ onDemand: true });
    life.phase("dormant");
    expect(life.orders).toEqual([{ type: "watch-socket" }]);
  });

  test("cannot be started or stopped before its source spoke", () => {
    const life = new Life().on({ type: "start-requested" }).on({ type: "stop-requested" });
    expect(life.phase("suspended").reason).toBe("unannounced");
    expect(life.effects).toEqual([]);
  });

  test("that is not wanted after all leaves nothing", () => {
    const life = new Life().on({ type: "unwanted" });
    life.phase("gone");
    expect(life.orders).toEqual([{ type: "forget" }]);
  });
});

describe("queued", () => {
  test("spawns with a new generation when it is permitted", () => {
    const life = new Life().wanted().on({ type: "permitted" });
    expect(life.phase("starting")).toMatchObject({ generation: 1, pid: undefined, permit: true });
    expect(life.effects).toEqual([
      { type: "publish", notice: { kind: "spawning", generation: 1 } },
      { type: "spawn", generation: 1 },
    ]);
  });

  test("gives back a permit that it did not ask for", () => {
    const life = new Life().running().exits();
    expect(life.phase("queued").asked).toBe(false);
    life.on({ type: "permitted" });
    life.phase("queued");
    expect(life.orders).toEqual([{ type: "release-permit" }]);
  });

  test("cancels its request when it is removed", () => {
    const life = new Life().wanted().on({ type: "unwanted" });
    life.phase("gone");
    expect(life.orders).toEqual([{ type: "cancel-permit" }, { type: "forget" }]);
  });

  test("has nothing to cancel while its time has not come", () => {
    const life = new Life().running().exits().on({ type: "unwanted" });
    expect(life.orders).toEqual([{ type: "forget" }]);
  });

  test("asks the gate when its delay is over and not before, last in line", () => {
    const life = new Life().started().exits();
    life.timer();
    life.on({ type: "permitted" }).spawned().exits();
    expect(life.phase("queued").notBefore).toBe(life.now + 1000);
    life.after(999).on({ type: "timer" });
    expect(life.effects).toEqual([]);
    life.after(1).on({ type: "timer" });
    expect(life.orders).toEqual([{ type: "request-permit", nuisance: 2 }]);
    expect(life.phase("queued").asked).toBe(true);
    expect(life.deadline).toBeGreaterThan(life.now);
  });

  test("starts at once by command, and keeps its entry", () => {
    const life = new Life().started().exits();
    life.on({ type: "start-requested" });
    expect(life.phase("queued")).toMatchObject({ reason: "command", asked: true });
    expect(life.vassal.history.failures).toBe(1);
  });

  test("starts at once with a changed config, and nothing is held against that", () => {
    const life = new Life().started().exits().wanted({ version: "v2" });
    expect(life.phase("queued")).toMatchObject({ reason: "changed", asked: true });
    expect(life.vassal.history.failures).toBe(0);
    expect(life.noticeKinds).toEqual(["unlisted", "queued"]);
    expect(life.orders).toEqual([{ type: "request-permit", nuisance: 0 }]);
  });

  test("keeps its place in line when its config changes before its turn", () => {
    const life = new Life().wanted().wanted({ version: "v2" });
    expect(life.orders).toEqual([]);
    expect(life.noticeKinds).toEqual(["config-changed-while-waiting"]);
  });

  test("starts at once when it is forgiven", () => {
    const life = new Life().started().exits().on({ type: "forgiven" });
    expect(life.phase("queued")).toMatchObject({ reason: "command", asked: true });
    expect(life.notices).toEqual([
      { kind: "unlisted", reason: "forgiven" },
      { kind: "queued", reason: "command", delayMs: 0 },
    ]);
  });

  test("that the machine refused is not forgiven into a hot loop", () => {
    const life = new Life()
      .wanted()
      .on({ type: "permitted" })
      .spawnFailed("system")
      .on({ type: "forgiven" });
    expect(life.phase("queued").reason).toBe("system");
    expect(life.effects).toEqual([]);
  });

  test("rests when an operator stops it", () => {
    const life = new Life().wanted().on({ type: "stop-requested" });
    expect(life.phase("suspended").reason).toBe("stopped-by-command");
    expect(life.orders).toEqual([{ type: "cancel-permit" }]);
  });

  test("forgets failures of long ago", () => {
    const life = new Life({ maxThrottleMs: 5000 }).started().exits();
    life.timer();
    expect(life.phase("queued").asked).toBe(true);
    // The gate is crowded: twice the maximum goes by.
    expect(life.timer()).toBeGreaterThan(9000);
    expect(life.notices).toEqual([{ kind: "unlisted", reason: "aged" }]);
    expect(life.deadline).toBeUndefined();
  });

  test("ignores the last words of its process", () => {
    const life = new Life().running().exits();
    const { vassal } = life;
    for (const late of [
      () => life.says("loyal"),
      () => life.closesChannel(),
      () => life.exits(0),
      () => life.spawned(),
    ]) {
      late();
      expect(life.effects).toEqual([]);
      expect(life.vassal).toEqual(vassal);
    }
  });
});

describe("on demand", () => {
  test("starts for a connection and stops watching its socket", () => {
    const life = new Life().wanted({ onDemand: true }).on({ type: "connection-waiting" });
    expect(life.phase("queued")).toMatchObject({ reason: "demand", asked: true });
    expect(life.orders).toEqual([
      { type: "unwatch-socket" },
      { type: "request-permit", nuisance: 0 },
    ]);
  });

  test("starts by command", () => {
    const life = new Life().wanted({ onDemand: true }).on({ type: "start-requested" });
    expect(life.phase("queued").reason).toBe("command");
  });

  test("is not woken by a changed config, and watches a changed address", () => {
    const life = new Life().wanted({ onDemand: true }).wanted({ version: "v2" });
    life.phase("dormant");
    expect(life.effects).toEqual([
      { type: "publish", notice: { kind: "config-changed-while-waiting" } },
    ]);
    life.wanted({ identity: "elsewhere" });
    expect(life.orders).toEqual([{ type: "unwatch-socket" }, { type: "watch-socket" }]);
    life.wanted();
    expect(life.effects).toEqual([]);
  });

  test("starts when the new config has no socket any more", () => {
    const life = new Life().wanted({ onDemand: true }).wanted({ version: "v2", onDemand: false });
    expect(life.phase("queued").reason).toBe("changed");
  });

  test("is not woken by SIGHUP", () => {
    const life = new Life().wanted({ onDemand: true }).on({ type: "reload-requested" });
    expect(life.effects).toEqual([]);
  });

  test("a healthy one that dies waits for the next connection", () => {
    const life = new Life().loyal({ onDemand: true }).exits();
    life.phase("dormant");
    expect(life.orders).toEqual([{ type: "watch-socket" }]);
  });

  test("one that fails serves its time before its socket is watched again", () => {
    const life = new Life().started({ onDemand: true }).exits();
    expect(life.phase("queued").reason).toBe("blacklist");
    life.timer();
    life.phase("dormant");
    expect(life.vassal.history.failures).toBe(1);
    expect(life.timer()).toBeGreaterThan(300_000);
    expect(life.vassal.history.failures).toBe(0);
  });

  test("gives its watch back at the end", () => {
    const life = new Life().wanted({ onDemand: true }).on({ type: "shutdown" });
    expect(life.orders).toEqual([{ type: "unwatch-socket" }, { type: "forget" }]);
  });
});

describe("resting", () => {
  test("exile lasts until the config changes", () => {
    const life = new Life().started().exits(26).wanted();
    expect(life.phase("suspended").reason).toBe("exiled");
    expect(life.effects).toEqual([]);
    life.wanted({ version: "v2" });
    expect(life.phase("queued").reason).toBe("changed");
  });

  test("exile ends by command and by pardon", () => {
    for (const type of ["start-requested", "forgiven"] as const) {
      const life = new Life().started().exits(26).on({ type });
      expect(life.phase("queued")).toMatchObject({ reason: "command", asked: true });
    }
  });

  test("a stop by command outlives scans and changes", () => {
    const life = new Life().loyal().on({ type: "stop-requested" }).exits(0);
    life.wanted().wanted({ version: "v2" }).on({ type: "forgiven" });
    expect(life.phase("suspended").reason).toBe("stopped-by-command");
    life.on({ type: "start-requested" });
    life.phase("queued");
  });

  test("an exile can be stopped by command, so that a change does not start it", () => {
    const life = new Life()
      .started()
      .exits(26)
      .on({ type: "stop-requested" })
      .wanted({ version: "v2" });
    expect(life.phase("suspended").reason).toBe("stopped-by-command");
  });
});

describe("gone", () => {
  test("is for ever, and gives back a permit that crossed its end", () => {
    const life = new Life().wanted().on({ type: "unwanted" });
    life.on({ type: "permitted" });
    expect(life.effects).toEqual([{ type: "release-permit" }]);
    life.wanted().on({ type: "start-requested" }).on({ type: "connection-waiting" });
    life.phase("gone");
    expect(life.effects).toEqual([]);
    expect(life.deadline).toBeUndefined();
  });
});
