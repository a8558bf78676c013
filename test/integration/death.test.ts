/** Vassals die, misbehave and say that they are done: respawn, blacklist, exile, heartbeat. */
import { describe, expect, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import { isAlive, processInfo, signalTo } from "../harness/processes.ts";

const loyal = vassalConfig("loyal");

describe("respawn", () => {
  test("a loyal vassal that is killed comes back at once with a new process", async () => {
    // No scan helps within this test.
    const emperor = await startEmperor({ vassals: { "a.ini": loyal }, frequencySeconds: 60 });
    const first = await emperor.vassalWith("a.ini", { loyal: 1 });
    signalTo(first.pid, "SIGKILL");
    const second = await emperor.started("a.ini", 2);
    expect(second.pid).not.toBe(first.pid);
    await emperor.vassalWith("a.ini", { loyal: 1, pid: second.pid });
    await emperor.logged(/a\.ini.*signal 9/);
    expect(await emperor.blacklisted("a.ini")).toBeUndefined();
  });

  test("any exit status but 26 is respawned, 0 too, with the same arguments", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": vassalConfig("crashes-loyal", { code: 0 }) },
    });
    const first = await emperor.started("a.ini", 1);
    const second = await emperor.started("a.ini", 2);
    expect(second.argv).toEqual(first.argv);
    expect(second.cwd).toBe(first.cwd);
  });

  test("no zombie is left", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": loyal } });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    signalTo(pid, "SIGKILL");
    await emperor.started("a.ini", 2);
    await emperor.wait("the dead one to be reaped", () => processInfo(pid) === undefined);
  });

  test("a loyal one that dies again and again is damped, not blacklisted", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": vassalConfig("crashes-loyal") } });
    await emperor.logged(/a\.ini was loyal and died quickly/);
    expect(await emperor.blacklisted("a.ini")).toBeUndefined();
    emperor.put("healthy.ini", loyal);
    await emperor.vassalWith("healthy.ini", { loyal: 1 });
  });
});

describe("blacklist", () => {
  test("it grows with every death before loyalty and is forgotten by SIGURG", async () => {
    const emperor = await startEmperor({
      vassals: { "bad.ini": vassalConfig("crashes-at-once") },
      args: ["--emperor-throttle", "200"],
    });
    const entry = await emperor.wait("the third death", async () => {
      const found = await emperor.blacklisted("bad.ini");
      return found !== undefined && found.attempt >= 2 && found;
    });
    expect(entry.throttle_level).toBeGreaterThanOrEqual(400);
    await emperor.logged("unloyal bad behaving vassal found: bad.ini throttling it...");
    const later = await emperor.wait("a higher level", async () => {
      const found = await emperor.blacklisted("bad.ini");
      return found !== undefined && found.throttle_level > entry.throttle_level && found;
    });
    emperor.signal("SIGURG");
    await emperor.logged("cleaning up blacklist ...");
    await emperor.wait("a lower level, or none", async () => {
      const found = await emperor.blacklisted("bad.ini");
      return found === undefined || found.throttle_level < later.throttle_level;
    });
  });

  test("the delay holds at --emperor-max-throttle", async () => {
    const emperor = await startEmperor({
      vassals: { "bad.ini": vassalConfig("crashes-at-once") },
      args: ["--emperor-throttle", "100", "--emperor-max-throttle", "250"],
    });
    await emperor.logged("maximum throttle level for vassal bad.ini reached !!!");
    await emperor.started("bad.ini", 7);
    const entry = await emperor.blacklisted("bad.ini");
    expect(entry?.throttle_level).toBeLessThanOrEqual(250);
    expect(entry?.throttle_level).toBeGreaterThanOrEqual(200);
  });

  test("one that becomes loyal leaves it; a deliberate stop does not enter it", async () => {
    const emperor = await startEmperor({
      vassals: {
        "bad.ini": vassalConfig("crashes-at-once"),
        "shy.ini": vassalConfig("never-loyal"),
      },
    });
    await emperor.wait("the entry", () => emperor.blacklisted("bad.ini"));
    emperor.put("bad.ini", loyal);
    await emperor.vassalWith("bad.ini", { loyal: 1 });
    expect(await emperor.blacklisted("bad.ini")).toBeUndefined();
    const shy = await emperor.vassalWith("shy.ini", { accepting: 1 });
    emperor.remove("shy.ini");
    await emperor.gone(shy.pid);
    await emperor.forgotten("shy.ini");
    expect(await emperor.blacklisted("shy.ini")).toBeUndefined();
  });

  test("--emperor-no-blacklist: nobody is listed, and still nobody spins", async () => {
    const emperor = await startEmperor({
      vassals: { "bad.ini": vassalConfig("crashes-at-once") },
      args: ["--emperor-no-blacklist"],
    });
    await emperor.started("bad.ini", 12);
    expect((await emperor.stats()).blacklist).toEqual([]);
    const starts = emperor.run.reports.of("started", "bad.ini");
    const [tenth, eleventh] = [starts[9], starts[10]];
    expect(Number(eleventh?.atNs) - Number(tenth?.atNs), "ns between two starts").toBeGreaterThan(
      50_000_000,
    );
  });

  test("bad ones do not delay a good one", async () => {
    const bad = Object.fromEntries(
      Array.from({ length: 10 }, (_, n) => [`bad${n}.ini`, vassalConfig("crashes-at-once")]),
    );
    const emperor = await startEmperor({ vassals: bad });
    await emperor.started("bad9.ini", 2);
    emperor.put("good.ini", loyal);
    await emperor.vassalWith("good.ini", { loyal: 1 });
  });
});

describe("exile", () => {
  test("exit status 26 is remembered until the config changes", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": vassalConfig("exiles-itself") } });
    await emperor.logged(/a\.ini.*exit status 26/);
    await emperor.fence();
    emperor.signal("SIGHUP");
    await emperor.fence();
    expect(emperor.starts("a.ini")).toBe(1);
    emperor.put("a.ini", loyal);
    await emperor.vassalWith("a.ini", { loyal: 1 });
  });
});

describe("heartbeat", () => {
  test("silence after the first beat ends the vassal, and it is started again", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": vassalConfig("heartbeat-then-silent", { count: 2, ms: 50 }) },
      args: ["--emperor-required-heartbeat", "1"],
    });
    const first = await emperor.started("a.ini", 1);
    await emperor.logged(
      "vassal a.ini sent no heartbeat in last 1 seconds, brutally respawning it...",
    );
    await emperor.gone(first.pid);
    await emperor.started("a.ini", 2);
  });

  test("a deaf one is killed", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": vassalConfig("heartbeat-then-silent", { count: 2, ms: 50 }) },
      args: ["--emperor-required-heartbeat", "1"],
    });
    const { pid } = await emperor.report("silent", "a.ini");
    signalTo(pid, "SIGSTOP");
    await emperor.gone(pid);
    await emperor.started("a.ini", 2);
  });

  test("who beats is left alone, who never began is not watched", async () => {
    const emperor = await startEmperor({
      vassals: {
        "beats.ini": vassalConfig("heartbeat", { ms: 100 }),
        "mute.ini": vassalConfig("mute"),
        "silent.ini": vassalConfig("heartbeat-then-silent", { count: 2, ms: 50 }),
      },
      args: ["--emperor-required-heartbeat", "1"],
    });
    // The third one is killed twice: so long the others had to live.
    await emperor.started("silent.ini", 3);
    expect(emperor.starts("beats.ini")).toBe(1);
    expect(emperor.starts("mute.ini")).toBe(1);
    expect((await emperor.vassal("beats.ini"))?.last_heartbeat).toBeGreaterThan(0);
  });
});

describe("byte 22", () => {
  test("stops a vassal, which sleeps until its config changes", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": vassalConfig("done") } });
    const { pid } = await emperor.started("a.ini");
    await emperor.received("a.ini", 0);
    await emperor.gone(pid);
    await emperor.fence();
    expect(emperor.starts("a.ini")).toBe(1);
    emperor.put("a.ini", loyal);
    await emperor.vassalWith("a.ini", { loyal: 1 });
  });
});

describe("bytes", () => {
  test("unknown ones change nothing", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": vassalConfig("odd-bytes") } });
    const { pid } = await emperor.vassalWith("a.ini", { ready: 1, accepting: 1, loyal: 1 });
    await emperor.fence();
    expect(isAlive(pid)).toBe(true);
    expect(emperor.starts("a.ini")).toBe(1);
  });

  test("ready, accepting and loyal come with their times, and not before", async () => {
    const emperor = await startEmperor({
      vassals: { "mute.ini": vassalConfig("mute"), "shy.ini": vassalConfig("never-loyal") },
    });
    const shy = await emperor.vassalWith("shy.ini", { ready: 1, accepting: 1 });
    expect(shy.loyal).toBe(0);
    expect(shy.last_ready).toBeGreaterThan(0);
    expect(shy.last_accepting).toBeGreaterThan(0);
    await emperor.report("settled", "mute.ini");
    const mute = await emperor.vassal("mute.ini");
    expect([mute?.ready, mute?.accepting, mute?.loyal, mute?.last_ready]).toEqual([0, 0, 0, 0]);
  });
});
