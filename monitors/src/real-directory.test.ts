/** Monitors on a real directory, with the native scan and chokidar's hints. */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RealCourt } from "./testing/real-court.ts";

let court: RealCourt;

beforeEach(() => {
  court = new RealCourt();
  mkdirSync(court.path("v"));
  mkdirSync(court.path("stage"));
});

afterEach(() => court.end());

/** Old enough to be taken at once. */
function put(name: string, text = "[uwsgi]\n"): void {
  writeFileSync(court.path(name), text);
  utimesSync(court.path(name), 1_600_000_000, 1_600_000_000);
}

function renameInto(name: string, text: string): void {
  writeFileSync(court.path("stage", "file"), text);
  renameSync(court.path("stage", "file"), court.path(name));
}

/** Events since the watch began; a first one proves that it began. */
async function watchedFrom(...names: string[]): Promise<void> {
  for (const name of names) renameInto(`v/${name}`, "[uwsgi]\n");
  await court.start("v");
  for (const name of names)
    if (!court.sink.wanted.has(name)) await court.sink.hears(`upsert ${name}`);
  renameInto("v/probe.ini", "[uwsgi]\n");
  await court.sink.hears("upsert probe.ini");
  court.sink.take();
}

test("what is there, what is renamed in, written, copied, linked, touched, replaced and removed", async () => {
  await watchedFrom("a.ini");
  expect(court.sink.wanted.get("a.ini")).toMatchObject({
    monitor: `dir:${court.path("v")}`,
    cwd: court.path("v"),
    path: court.path("v", "a.ini"),
    uid: process.getuid?.(),
  });

  renameInto("v/renamed.ini", "x");
  await court.sink.hears("upsert renamed.ini");
  writeFileSync(court.path("v/written.ini"), "x");
  await court.sink.hears("upsert written.ini");
  copyFileSync(court.path("v/written.ini"), court.path("v/copied.ini"));
  await court.sink.hears("upsert copied.ini");
  put("stage/target", "x");
  linkSync(court.path("stage/target"), court.path("v/hard.ini"));
  await court.sink.hears("upsert hard.ini");
  symlinkSync(court.path("stage/target"), court.path("v/soft.ini"));
  await court.sink.hears("upsert soft.ini");
  expect(court.sink.wanted.get("hard.ini")?.fileId).toMatch(/^\d+:\d+$/);
  expect(court.sink.wanted.get("soft.ini")?.fileId).toBeUndefined();

  court.sink.take();
  utimesSync(court.path("v/a.ini"), 1, 1);
  await court.sink.hears("upsert a.ini");
  expect(court.sink.wanted.get("a.ini")?.modifiedAt).toBe(1);
  court.sink.take();
  renameInto("v/a.ini", "another");
  await court.sink.hears("upsert a.ini");
  unlinkSync(court.path("v/a.ini"));
  await court.sink.hears("remove a.ini");
  expect(court.sink.heard).toEqual(["upsert a.ini", "remove a.ini"]);
});

test("a file written in many pieces is taken whole", async () => {
  await watchedFrom();
  const fd = openSync(court.path("v/slow.ini"), "w");
  for (let piece = 0; piece < 20; piece += 1) {
    writeSync(fd, "key = value\n");
    // Lets the monitor look at each piece.
    await new Promise((resolve) => setImmediate(resolve));
  }
  closeSync(fd);
  await expect.poll(() => court.sink.wanted.get("slow.ini")?.version).toContain(":240:");
});

test("an editor that renames the old file away makes a change, no stop", async () => {
  await watchedFrom("a.ini");
  renameSync(court.path("v/a.ini"), court.path("v/a.ini~"));
  writeFileSync(court.path("v/a.ini"), "new text");
  unlinkSync(court.path("v/a.ini~"));
  await court.sink.hears("upsert a.ini");
  expect(court.sink.heard).toEqual(["upsert a.ini"]);
});

test("chmod is no change", async () => {
  await watchedFrom("a.ini");
  chmodSync(court.path("v/a.ini"), 0o600);
  // Hints come in order: when the later one was followed, the earlier one was as well.
  renameInto("v/b.ini", "x");
  await court.sink.hears("upsert b.ini");
  expect(court.sink.heard).toEqual(["upsert b.ini"]);
});

test("a directory that is not there yet is read as soon as it is, through all its missing parts", async () => {
  await court.start("late/er/v");
  expect(court.sink.take()).toEqual([
    `unavailable cannot read the directory ${JSON.stringify(court.path("late/er/v"))}: it does not exist`,
  ]);
  mkdirSync(court.path("late/er/v"), { recursive: true });
  put("late/er/v/a.ini");
  await court.sink.hears("available");
  await expect.poll(() => [...court.sink.wanted.keys()]).toEqual(["a.ini"]);
  renameInto("late/er/v/b.ini", "x");
  await court.sink.hears("upsert b.ini");
});

test("a directory that vanishes stops nothing; when it is back, what differs is told", async () => {
  await watchedFrom("a.ini", "b.ini");
  renameSync(court.path("v"), court.path("away"));
  await court.sink.hears("unavailable");
  unlinkSync(court.path("away/b.ini"));
  renameSync(court.path("away"), court.path("v"));
  await court.sink.hears("remove b.ini");
  expect(court.sink.heard).toEqual([
    expect.stringContaining("does not exist"),
    "available",
    "remove b.ini",
  ]);
  renameInto("v/c.ini", "x");
  await court.sink.hears("upsert c.ini");
});

test("another, empty directory in its place stops nothing", async () => {
  await watchedFrom("a.ini");
  renameSync(court.path("v"), court.path("away"));
  mkdirSync(court.path("v"));
  await court.sink.hears("unmounted?");
  expect([...court.sink.wanted.keys()].sort()).toEqual(["a.ini", "probe.ini"]);
  rmSync(court.path("v"), { recursive: true });
  renameSync(court.path("away"), court.path("v"));
  await court.sink.hears("available");
  expect([...court.sink.wanted.keys()].sort()).toEqual(["a.ini", "probe.ini"]);
});

test("what is no config is told once", async () => {
  mkdirSync(court.path("v/d.ini"));
  execFileSync("mkfifo", [court.path("v/f.ini")]);
  symlinkSync("nowhere", court.path("v/l.ini"));
  put("v/colon:zerg.ini");
  put(`v/${"n".repeat(251)}.ini`);
  writeFileSync(
    Buffer.concat([
      Buffer.from(`${court.path("v")}/bad`),
      Buffer.from([0xff]),
      Buffer.from(".ini"),
    ]),
    "x",
  );
  await court.start("v");
  court.sink.heard = court.sink.heard.filter((line) => line.startsWith("warning")).sort();
  expect(court.sink.take()).toEqual([
    expect.stringContaining("has a name that is not valid UTF-8"),
    'warning "d.ini" is a directory, not a config; ignoring it',
    'warning "f.ini" is a fifo, not a config; ignoring it',
    'warning "l.ini" is a symbolic link to nothing; ignoring it',
    expect.stringContaining("its name has 255 bytes"),
  ]);
  await expect.poll(() => [...court.sink.wanted.keys()]).toEqual(["colon:zerg.ini"]);
});

test("a name that is no UTF-8 is told when it comes", async () => {
  await watchedFrom();
  writeFileSync(
    Buffer.concat([
      Buffer.from(`${court.path("v")}/bad`),
      Buffer.from([0xff]),
      Buffer.from(".ini"),
    ]),
    "x",
  );
  await court.sink.hears("not valid UTF-8");
});

test("attributes and bytes are those of the file", async () => {
  put("v/a.ini", "[emperor]\nplan = gold\nplan = blue\nother = x\n[uwsgi]\nmaster = 1\n");
  put("v/a.json", '{"uwsgi": {}}');
  put("v/big.ini", "x".repeat(65_536));
  const bytes = "x".repeat(65_535);
  put("v/most.ini", bytes);
  await court.start("v", { collectAttributes: ["plan"], readConfig: true });
  await expect.poll(() => court.sink.wanted.size).toBe(3);
  expect(court.sink.wanted.get("a.ini")?.attributes).toEqual({ plan: ["gold", "blue"] });
  expect(court.sink.wanted.get("a.json")?.attributes).toEqual({});
  expect(Buffer.from(court.sink.wanted.get("a.json")?.config ?? []).toString()).toBe(
    '{"uwsgi": {}}',
  );
  expect(court.sink.wanted.get("most.ini")?.config?.length).toBe(65_535);
  await court.sink.hears(
    '"big.ini" cannot be used, no vassal: it has 65536 bytes, 65535 are allowed',
  );
  court.sink.take();

  // The running one keeps its config when the new one cannot be used, and hears of the one after.
  renameInto("v/a.json", bytes + bytes);
  await court.sink.hears('"a.json" cannot be used, its vassal keeps the config it has');
  expect(court.sink.wanted.has("a.json")).toBe(true);
  renameInto("v/a.json", "{}");
  await court.sink.hears("upsert a.json");
});

test("a glob: matches come and go, with their directories", async () => {
  mkdirSync(court.path("apps/one"), { recursive: true });
  put("apps/one/x.ini");
  put("apps/one/y.ini");
  await court.start("apps/*/x.ini");
  await expect.poll(() => [...court.sink.wanted.keys()]).toEqual(["apps/one/x.ini"]);
  expect(court.sink.wanted.get("apps/one/x.ini")).toMatchObject({
    monitor: "glob:apps/*/x.ini",
    cwd: court.root,
    path: court.path("apps/one/x.ini"),
  });
  mkdirSync(court.path("apps/two"));
  renameInto("apps/two/x.ini", "x");
  // The watch on the new directory may begin after the file came: its beginning asks for a scan.
  await court.sink.hears("upsert apps/two/x.ini");
  rmSync(court.path("apps/two"), { recursive: true });
  await court.sink.hears("remove apps/two/x.ini");
  expect([...court.sink.wanted.keys()]).toEqual(["apps/one/x.ini"]);
});

test("after close nothing holds the directory", async () => {
  const monitor = await court.start("v");
  await monitor.close();
  renameInto("v/a.ini", "x");
  monitor.rescan();
  // A round of the event loop and a timer longer than any look: nothing may come of them.
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(court.sink.heard.filter((line) => line.startsWith("upsert"))).toEqual([]);
});
