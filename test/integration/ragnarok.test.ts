/** The end of an Emperor, wanted or not: nobody is left behind. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import { isAlive } from "../harness/processes.ts";

const loyal = vassalConfig("loyal");

describe("Ragnarok", () => {
  test.for(["SIGTERM", "SIGINT", "SIGQUIT"] as const)(
    "%s asks every vassal to stop, then the Emperor ends",
    async (signal) => {
      const emperor = await startEmperor({
        vassals: { "a.ini": loyal, "b.ini": loyal, "mute.ini": vassalConfig("mute") },
      });
      await emperor.vassalWith("a.ini", { loyal: 1 });
      await emperor.vassalWith("b.ini", { loyal: 1 });
      await emperor.report("settled", "mute.ini");
      emperor.signal(signal);
      expect(await emperor.ended()).toEqual({ code: 0, signal: null });
      for (const name of ["a.ini", "b.ini", "mute.ini"]) {
        expect(
          emperor.run.reports.of("received", name).map((report) => report.byte),
          name,
        ).toEqual([0]);
        expect(emperor.run.reports.of("exiting", name), name).toHaveLength(1);
      }
      expect(emperor.log()).toContain("*** RAGNAROK EVOKED ***");
      expect(emperor.log()).toContain("The Emperor is buried.");
      expect(emperor.log()).not.toContain("NO MERCY");
    },
  );

  test("it waits for a slow one, and starts nobody meanwhile", async () => {
    const emperor = await startEmperor({
      vassals: {
        "slow.ini": vassalConfig("slow-to-stop", { ms: 1500 }),
        "crashing.ini": vassalConfig("crashes-loyal", { ms: 100 }),
      },
    });
    await emperor.vassalWith("slow.ini", { loyal: 1 });
    emperor.signal("SIGTERM");
    await emperor.received("slow.ini", 0);
    emperor.put("new.ini", loyal);
    expect(await emperor.ended()).toEqual({ code: 0, signal: null });
    expect(emperor.run.reports.of("exiting", "slow.ini")).toHaveLength(1);
    expect(emperor.starts("new.ini")).toBe(0);
    const asked = emperor.run.reports.of("received", "slow.ini")[0]?.atNs ?? 0;
    const late = emperor.run.reports.of("started").filter((report) => report.atNs > asked);
    // The crashing one may have been on its way when the signal came; without the rule there are a dozen.
    expect(late.length).toBeLessThanOrEqual(1);
  });

  test("a deaf vassal is killed when the mercy is over", async () => {
    const emperor = await startEmperor({
      vassals: { "deaf.ini": vassalConfig("ignores-stop"), "a.ini": loyal },
      args: ["--reload-mercy", "1"],
    });
    const { pid } = await emperor.vassalWith("deaf.ini", { loyal: 1 });
    emperor.signal("SIGTERM");
    expect(await emperor.ended()).toEqual({ code: 0, signal: null });
    expect(emperor.log()).toContain("NO MERCY for vassal deaf.ini !!!");
    expect(isAlive(pid)).toBe(false);
  });

  test("a second SIGTERM hurries: the deaf one is killed long before the mercy is over", async () => {
    const emperor = await startEmperor({
      vassals: { "deaf.ini": vassalConfig("ignores-stop") },
      args: ["--reload-mercy", "600"],
    });
    await emperor.vassalWith("deaf.ini", { loyal: 1 });
    emperor.signal("SIGTERM");
    const first = await emperor.received("deaf.ini", 0);
    // Within a quarter of a second the second one counts as the same wish.
    await emperor.wait("the time in which two signals are one to be over", () => {
      return process.hrtime.bigint() - BigInt(first.atNs) > 400_000_000n;
    });
    emperor.signal("SIGTERM");
    expect(await emperor.ended()).toEqual({ code: 0, signal: null });
  });

  test("a second SIGTERM ends a hook that hangs, too", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal },
      args: ["--exec-as-emperor", "exec cat {dir}/fifo"],
      prepare: (run) => {
        execFileSync("mkfifo", [join(run.path, "fifo")]);
      },
    });
    const a = await emperor.vassalWith("a.ini", { loyal: 1 });
    emperor.signal("SIGTERM");
    await emperor.gone(a.pid);
    // The end of this test hurries the Emperor, which must then be gone with its hook.
  });

  test("--emperor-graceful-shutdown says 2 instead of 0, at every stop", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal, "b.ini": loyal },
      args: ["--emperor-graceful-shutdown"],
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.vassalWith("b.ini", { loyal: 1 });
    emperor.remove("a.ini");
    await emperor.received("a.ini", 2);
    emperor.signal("SIGTERM");
    await emperor.received("b.ini", 2);
    expect(await emperor.ended()).toEqual({ code: 0, signal: null });
  });

  test("children that a vassal left behind go with it", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": vassalConfig("forks-children") } });
    await emperor.report("settled", "a.ini");
    emperor.signal("SIGTERM");
    await emperor.ended();
    await emperor.wait("everybody to be gone", () => emperor.run.processes().length === 0);
  });

  test("fifty vassals end together", async () => {
    const vassals = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`v${n}.ini`, loyal]));
    const emperor = await startEmperor({ vassals });
    await emperor.wait("all to be loyal", async () => {
      return (await emperor.stats()).vassals.filter((vassal) => vassal.loyal === 1).length === 50;
    });
    emperor.signal("SIGTERM");
    expect(await emperor.ended()).toEqual({ code: 0, signal: null });
    expect(emperor.run.reports.of("exiting")).toHaveLength(50);
  });
});

describe("kill -9 of the Emperor", () => {
  test("ends all vassals, also those that ignore the end of the channel", async () => {
    const emperor = await startEmperor({
      vassals: {
        "a.ini": loyal,
        "deaf.ini": vassalConfig("ignores-stop"),
        "unread.ini": vassalConfig("never-reads"),
      },
    });
    const pids = [];
    for (const name of ["a.ini", "deaf.ini", "unread.ini"])
      pids.push((await emperor.vassalWith(name, { loyal: 1 })).pid);
    emperor.signal("SIGKILL");
    expect(await emperor.ended()).toEqual({ code: null, signal: "SIGKILL" });
    for (const pid of pids) await emperor.gone(pid);
  });
});

describe("a vassal that does not obey", () => {
  test("is killed after --emperor-curse-tolerance when its config is gone", async () => {
    const emperor = await startEmperor({
      vassals: { "deaf.ini": vassalConfig("ignores-stop"), "a.ini": loyal },
      args: ["--emperor-curse-tolerance", "1"],
    });
    const deaf = await emperor.vassalWith("deaf.ini", { loyal: 1 });
    const other = await emperor.vassalWith("a.ini", { loyal: 1 });
    emperor.remove("deaf.ini");
    await emperor.received("deaf.ini", 0);
    expect((await emperor.vassalWith("deaf.ini")).cursed).toBeGreaterThan(0);
    await emperor.gone(deaf.pid);
    await emperor.forgotten("deaf.ini");
    expect(isAlive(other.pid)).toBe(true);
  });
});
