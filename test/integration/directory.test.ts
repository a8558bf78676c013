/** Files come, change, move and go: what an imperial monitor makes of them, with real processes. */
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import type { ConfigFormat } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";

const loyal = vassalConfig("loyal");

describe("a directory", () => {
  test("what is there at the start runs, each once, in its directory", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal, "b.ini": loyal, "notes.txt": "no vassal" },
    });
    const a = await emperor.started("a.ini");
    await emperor.vassalWith("b.ini", { loyal: 1 });
    expect(a.argv?.slice(1)).toEqual(["--ini", "a.ini"]);
    expect(a.cwd).toBe(emperor.run.vassals);
    await emperor.fence();
    expect(emperor.starts("a.ini")).toBe(1);
    expect((await emperor.stats()).vassals.map((vassal) => vassal.id).toSorted()).toEqual([
      "a.ini",
      "b.ini",
    ]);
  });

  test.for<[ConfigFormat, string]>([
    ["ini", "v.ini"],
    ["xml", "v.xml"],
    ["yaml", "v.yml"],
    ["yaml", "w.yaml"],
    ["json", "v.json"],
    ["json", "w.js"],
  ])("a config in %s called %s is started with its option", async ([format, name]) => {
    const emperor = await startEmperor();
    emperor.put(name, vassalConfig("loyal", { note: format }, [], format));
    const started = await emperor.started(name);
    expect(started.argv?.slice(1)).toEqual([`--${format}`, name]);
    expect((await emperor.report("configured", name)).note).toBe(format);
  });

  test("a dropped config starts, whether renamed into place or written slowly", async () => {
    const emperor = await startEmperor();
    emperor.put("renamed.ini", loyal);
    emperor.write("written.ini", loyal);
    await emperor.vassalWith("renamed.ini", { loyal: 1 });
    await emperor.vassalWith("written.ini", { loyal: 1 });
  });

  test("a config that is still being written is not started before it is complete", async () => {
    const emperor = await startEmperor();
    emperor.write("slow.ini", "[uwsgi]\n");
    emperor.write("slow.ini", "[uwsgi]\nbehaviour = loyal\n");
    emperor.write("slow.ini", vassalConfig("loyal", { note: "complete" }));
    expect((await emperor.report("configured", "slow.ini")).note).toBe("complete");
    await emperor.fence();
    expect(emperor.starts("slow.ini")).toBe(1);
  });

  test("touch reloads the same process, and no other", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": loyal, "b.ini": loyal } });
    const before = await emperor.vassalWith("a.ini", { loyal: 1 });
    emperor.touch("a.ini");
    await emperor.received("a.ini", 1);
    const after = await emperor.vassalWith("a.ini", { respawns: 1, ready: 1, accepting: 1 });
    expect(after.pid).toBe(before.pid);
    expect(emperor.run.reports.of("received", "b.ini")).toEqual([]);
  });

  test("every edit is a reload of its own, also two within a second and one with an older time", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": loyal } });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    emperor.put("a.ini", vassalConfig("loyal", { note: "two" }));
    await emperor.received("a.ini", 1, 1);
    emperor.put("a.ini", vassalConfig("loyal", { note: "three" }));
    await emperor.received("a.ini", 1, 2);
    const old = new Date(Date.now() - 86_400_000);
    utimesSync(emperor.run.at("a.ini"), old, old);
    await emperor.received("a.ini", 1, 3);
    expect(emperor.starts("a.ini")).toBe(1);
  });

  test("a deleted config stops its vassal and is forgotten; the others live on", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": loyal, "b.ini": loyal } });
    const a = await emperor.vassalWith("a.ini", { loyal: 1 });
    const b = await emperor.vassalWith("b.ini", { loyal: 1 });
    emperor.remove("a.ini");
    await emperor.received("a.ini", 0);
    await emperor.gone(a.pid);
    await emperor.forgotten("a.ini");
    await emperor.logged("[emperor] removed uwsgi instance a.ini");
    expect((await emperor.vassal("b.ini"))?.pid).toBe(b.pid);
  });

  test("a renamed config is one vassal stopped and another started", async () => {
    const emperor = await startEmperor({ vassals: { "old.ini": loyal } });
    const old = await emperor.vassalWith("old.ini", { loyal: 1 });
    emperor.rename("old.ini", "new.ini");
    await emperor.gone(old.pid);
    await emperor.vassalWith("new.ini", { loyal: 1 });
    await emperor.forgotten("old.ini");
  });

  test("renamed to a name that is no vassal's, it stops", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": loyal } });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    emperor.rename("a.ini", "a.ini.disabled");
    await emperor.gone(pid);
    await emperor.forgotten("a.ini");
  });

  test("deleted and written again, it ends up with the new config", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": vassalConfig("loyal", { note: "first" }) },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    emperor.remove("a.ini");
    emperor.put("a.ini", vassalConfig("loyal", { note: "second" }));
    // A reload of the running process and a new process are both right.
    await emperor.wait("the new config to be in force", () => {
      const all = emperor.run.reports.all();
      return all.some(
        (r) =>
          (r.event === "received" && r.byte === 1) ||
          (r.event === "configured" && r.note === "second"),
      );
    });
    await emperor.vassalWith("a.ini", { accepting: 1 });
  });

  test("it is created after the Emperor started", async () => {
    const emperor = await startEmperor({ monitors: ["{dir}/later"] });
    const later = join(emperor.run.path, "later");
    mkdirSync(later);
    emperor.put(join(later, "a.ini"), loyal);
    await emperor.vassalWith("a.ini", { loyal: 1, monitor: later });
  });

  test("it vanishes and comes back: nothing stops, and both are said once", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": loyal } });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    const away = join(emperor.run.path, "away");
    renameSync(emperor.run.vassals, away);
    const said = await emperor.logged(/vassals.*(cannot|unavailable|vanished|missing|no such)/i);
    emperor.signal("SIGWINCH");
    await emperor.vassalWith("a.ini", { pid });
    expect(
      emperor.log().split(said.replace(/^.*? - /, "")).length - 1,
      "the line stands once",
    ).toBe(1);
    renameSync(away, emperor.run.vassals);
    await emperor.fence();
    expect((await emperor.vassal("a.ini"))?.pid).toBe(pid);
    expect(
      emperor.run.reports.of("received", "a.ini").filter((report) => report.byte === 0),
    ).toEqual([]);
  });

  test("links are followed; a link's own time counts with --emperor-nofollow", async () => {
    const emperor = await startEmperor({
      args: ["--emperor-nofollow"],
      prepare: (run) => {
        run.put(join(run.path, "skeleton"), loyal);
        symlinkSync(join(run.path, "skeleton"), join(run.vassals, "one.ini"));
        symlinkSync(join(run.path, "skeleton"), join(run.vassals, "two.ini"));
      },
    });
    await emperor.vassalWith("one.ini", { loyal: 1 });
    await emperor.vassalWith("two.ini", { loyal: 1 });
    rmSync(emperor.run.at("one.ini"));
    await emperor.forgotten("one.ini");
    await emperor.vassalWith("two.ini", { loyal: 1 });
  });

  test("odd names reach the vassal unchanged", async () => {
    const names = [
      'quote".ini',
      "two words.ini",
      "$(id).ini",
      "umlaut-ä.ini",
      ".hidden.ini",
      "a:b.ini",
    ];
    const emperor = await startEmperor({
      vassals: Object.fromEntries(names.map((name) => [name, loyal])),
    });
    for (const name of names) {
      await emperor.vassalWith(name, { loyal: 1 });
      expect((await emperor.started(name)).argv?.at(-1)).toBe(name);
    }
  });
});

describe("several monitors", () => {
  test("one name in two directories is two vassals, each in its directory", async () => {
    const emperor = await startEmperor({
      monitors: ["{vassals}", "{dir}/other"],
      vassals: { "app.ini": vassalConfig("loyal", { note: "first" }) },
      prepare: (run) => {
        mkdirSync(join(run.path, "other"));
        run.put(join(run.path, "other/app.ini"), vassalConfig("loyal", { note: "second" }));
      },
    });
    await emperor.started("app.ini", 2);
    const stats = await emperor.wait("both to be loyal", async () => {
      const both = (await emperor.stats()).vassals.filter(
        (vassal) => vassal.id === "app.ini" && vassal.loyal === 1,
      );
      return both.length === 2 && both;
    });
    expect(stats.map((vassal) => vassal.monitor).toSorted()).toEqual(
      [emperor.run.vassals, join(emperor.run.path, "other")].toSorted(),
    );
    expect(
      emperor.run.reports
        .of("started", "app.ini")
        .map((report) => String(report.cwd))
        .toSorted(),
    ).toEqual([emperor.run.vassals, join(emperor.run.path, "other")].toSorted());
    emperor.remove(join(emperor.run.path, "other/app.ini"));
    await emperor.wait(
      "one of both to go",
      async () => (await emperor.stats()).vassals.length === 1,
    );
    expect((await emperor.vassal("app.ini"))?.monitor).toBe(emperor.run.vassals);
  });

  test("one file found by a directory and a glob is one vassal, and that is said", async () => {
    const emperor = await startEmperor({
      monitors: ["{vassals}", "{vassals}/app*.ini"],
      vassals: { "app.ini": loyal },
    });
    await emperor.vassalWith("app.ini", { loyal: 1 });
    await emperor.logged(/app\.ini.*one vassal, not two/);
    await emperor.fence();
    expect(
      emperor.run.reports.of("started").filter((report) => report.name.endsWith("app.ini")),
    ).toHaveLength(1);
    expect((await emperor.stats()).vassals).toHaveLength(1);
  });

  test("a glob: new matches start, changed ones reload, vanished ones stop", async () => {
    const emperor = await startEmperor({
      monitors: ["{dir}/sites/*/conf/*.ini"],
      prepare: (run) => {
        mkdirSync(join(run.path, "sites/one/conf"), { recursive: true });
        mkdirSync(join(run.path, "sites/two/conf"), { recursive: true });
        run.put(join(run.path, "sites/one/conf/app.ini"), loyal);
      },
    });
    const one = join(emperor.run.path, "sites/one/conf/app.ini");
    const two = join(emperor.run.path, "sites/two/conf/app.ini");
    const first = await emperor.vassalWith(one, { loyal: 1 });
    expect((await emperor.started(one)).cwd).toBe(emperor.run.path);
    emperor.put(two, loyal);
    await emperor.vassalWith(two, { loyal: 1 });
    emperor.touch(one);
    await emperor.received(one, 1);
    emperor.remove(one);
    await emperor.gone(first.pid);
    await emperor.forgotten(one);
  });
});
