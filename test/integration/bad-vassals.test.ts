/** Bad input, part two: programs that cannot run and vassals that misbehave. Nothing else suffers. */
import { chmodSync, copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest } from "../harness/emperor.ts";
import { isAlive, processInfo, signalTo } from "../harness/processes.ts";

const loyal = vassalConfig("loyal");

/** A vassal that is dropped now starts and becomes loyal, and goes when it is deleted. */
async function expectGoodGovernment(emperor: EmperorUnderTest): Promise<void> {
  await emperor.fence();
}

describe("the vassals' program", () => {
  test("does not exist: said with name and reason, tried again, and started once it is there", async () => {
    const emperor = await startEmperor({
      wrapper: "{dir}/program",
      vassals: { "a.ini": loyal },
      args: ["--emperor-throttle", "50"],
    });
    const program = join(emperor.run.path, "program");
    await emperor.logged(new RegExp(`a\\.ini.*${program}.*ENOENT|a\\.ini.*ENOENT.*${program}`));
    await emperor.wait("a blacklist entry", () => emperor.blacklisted("a.ini"));
    copyFileSync(inject("fixtureVassal"), program);
    await emperor.vassalWith("a.ini", { loyal: 1 });
  });

  test("is not executable: said with name and reason", async () => {
    const emperor = await startEmperor({
      wrapper: "{dir}/program",
      vassals: { "a.ini": loyal },
      args: ["--emperor-throttle", "50"],
      prepare: (run) => {
        writeFileSync(join(run.path, "program"), "#!/bin/sh\nexit 0\n", { mode: 0o644 });
      },
    });
    await emperor.logged(/a\.ini.*EACCES/);
    copyFileSync(inject("fixtureVassal"), join(emperor.run.path, "program"));
    chmodSync(join(emperor.run.path, "program"), 0o755);
    await emperor.vassalWith("a.ini", { loyal: 1 });
  });

  test("has an interpreter that does not exist: said, and not taken for the vassal's own exit", async () => {
    const emperor = await startEmperor({
      wrapper: "{dir}/program",
      vassals: { "a.ini": loyal },
      prepare: (run) => {
        writeFileSync(join(run.path, "program"), "#!/no/such/interpreter\n", { mode: 0o755 });
      },
    });
    await emperor.logged(/unable to start vassal a\.ini.*program.*ENOENT/);
    expect(emperor.log()).not.toContain("vassal a.ini died");
  });
});

describe("a vassal", () => {
  test("that floods its channel slows down nobody and can be stopped", async () => {
    const emperor = await startEmperor({
      vassals: { "flood.ini": vassalConfig("floods-channel"), "a.ini": loyal },
    });
    const { pid } = await emperor.report("flooding", "flood.ini");
    await emperor.vassalWith("flood.ini", { loyal: 1 });
    await expectGoodGovernment(emperor);
    expect(isAlive(pid)).toBe(true);
    emperor.remove("flood.ini");
    await emperor.gone(pid);
    await emperor.forgotten("flood.ini");
  });

  test("that closes its channel and lives on is ended and started again", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": vassalConfig("closes-channel"), "b.ini": loyal },
      args: ["--emperor-curse-tolerance", "1"],
    });
    const { pid } = await emperor.report("closed-channel", "a.ini");
    await emperor.logged(`curse the uwsgi instance a.ini (pid: ${pid})`);
    await emperor.gone(pid);
    await emperor.started("a.ini", 2);
    expect(emperor.starts("b.ini")).toBe(1);
  });

  test("that stops itself (SIGSTOP) is killed when it shall go", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": vassalConfig("stops-itself") },
      args: ["--emperor-curse-tolerance", "1"],
    });
    const { pid } = await emperor.report("stopping-itself", "a.ini");
    await emperor.wait("it to be stopped", () => processInfo(pid)?.state === "T");
    await expectGoodGovernment(emperor);
    expect(processInfo(pid)?.state).toBe("T");
    emperor.remove("a.ini");
    await emperor.gone(pid);
    await emperor.forgotten("a.ini");
  });

  test("that stopped itself is no obstacle for the end of the Emperor", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": vassalConfig("stops-itself") },
      args: ["--reload-mercy", "1"],
    });
    const { pid } = await emperor.report("stopping-itself", "a.ini");
    emperor.signal("SIGTERM");
    expect(await emperor.ended()).toEqual({ code: 0, signal: null });
    expect(isAlive(pid)).toBe(false);
  });

  test("that leaves children behind: they end with it, by a stop and by a crash", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": vassalConfig("forks-children"), "b.ini": vassalConfig("forks-children") },
    });
    for (const name of ["a.ini", "b.ini"]) await emperor.report("settled", name);
    const childrenOf = (name: string): number[] =>
      emperor.run.reports.of("child", name).map((report) => report.pid);
    // The children tell of themselves, perhaps after their parent did.
    for (const name of ["a.ini", "b.ini"])
      await emperor.wait(`two children of ${name}`, () => childrenOf(name).length === 2);
    const stopped = childrenOf("a.ini");
    emperor.remove("a.ini");
    for (const pid of stopped) await emperor.gone(pid);
    const orphaned = childrenOf("b.ini");
    const { pid } = await emperor.vassalWith("b.ini");
    signalTo(pid, "SIGKILL");
    await emperor.started("b.ini", 2);
    for (const child of orphaned) await emperor.gone(child);
  });

  test("that never reads its channel cannot block the Emperor, however often it is told to reload", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": vassalConfig("never-reads"), "b.ini": loyal },
    });
    const { pid } = await emperor.report("not-reading", "a.ini");
    for (let n = 1; n <= 30; n++) {
      emperor.signal("SIGHUP");
      await emperor.received("b.ini", 1, n);
    }
    await expectGoodGovernment(emperor);
    expect(isAlive(pid)).toBe(true);
  });

  test("fifty that crash, are deleted, changed and killed at once leave no descriptor and no process behind", async () => {
    const emperor = await startEmperor();
    await expectGoodGovernment(emperor);
    const before = await emperor.watchingDescriptorCount();
    for (let n = 0; n < 50; n++) {
      const behaviour =
        (["loyal", "crashes-at-once", "crashes-loyal", "closes-channel", "never-loyal"] as const)[
          n % 5
        ] ?? "loyal";
      emperor.put(`v${n}.ini`, vassalConfig(behaviour));
    }
    await emperor.wait("all to have started", () => {
      return new Set(emperor.run.reports.of("started").map((report) => report.name)).size >= 50;
    });
    for (const { pid } of emperor.run.reports.of("started").slice(0, 20)) {
      if (isAlive(pid) && processInfo(pid)?.parent === emperor.pid) signalTo(pid, "SIGKILL");
    }
    for (let n = 0; n < 50; n += 2) emperor.touch(`v${n}.ini`);
    for (let n = 0; n < 50; n++) emperor.remove(`v${n}.ini`);
    await emperor.wait(
      "all to be forgotten",
      async () => (await emperor.stats()).vassals.length === 0,
      45_000,
    );
    await emperor.wait("only the Emperor to be left", () => emperor.run.processes().length === 1);
    await emperor.wait(
      "its descriptors to be as before",
      () => emperor.descriptorCount() <= before,
    );
  });
});
