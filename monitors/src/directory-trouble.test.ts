/** The directory monitor when things go wrong, and at rest: fake files, fake hints, fake time. */
import { beforeEach, describe, expect, test } from "vitest";
import { World } from "./testing/fake-court.ts";

const D = "/v";
let world: World;

beforeEach(() => {
  world = new World();
  world.files.mkdir(D);
});

async function started(...names: string[]): Promise<void> {
  for (const name of names) world.files.put(`${D}/${name}`);
  await world.start("dir", D);
  // Beyond the least gap between two looks, so that the next hint is followed at once.
  world.clock.advance(5);
  world.sink.take();
}

function say(kind: "rename" | "change", name: string): void {
  world.hints.say(D, kind, name);
}

describe("a directory that cannot be seen", () => {
  test("missing at start: told once, watched for, read as soon as it is there", async () => {
    world.files.rmdir(D);
    await world.start("dir", D);
    world.clock.advance(10_000);
    expect(world.sink.take()).toEqual([
      'unavailable cannot read the directory "/v": it does not exist',
    ]);
    expect(world.hints.targets.map(({ directory }) => directory)).toEqual(["/"]);
    world.files.mkdir(D);
    world.files.put(`${D}/a.ini`);
    world.hints.say("/", "rename", "v");
    world.clock.drain();
    expect(world.sink.take()).toEqual(["available", "snapshot a.ini"]);
    expect(world.hints.targets.map(({ directory }) => directory)).toEqual([D]);
  });

  test("entries beside the path that is waited for cause no look", async () => {
    world.files.rmdir(D);
    await world.start("dir", D);
    const before = world.files.scans;
    world.hints.say("/", "rename", "other");
    world.clock.drain();
    expect(world.files.scans).toBe(before);
  });

  test("vanishes: told once, nothing is removed; back: told once, differences follow", async () => {
    await started("a.ini", "b.ini");
    world.files.mvdir(D, "/away");
    say("rename", "v");
    world.clock.advance(10_000);
    expect(world.sink.take()).toEqual([
      'unavailable cannot read the directory "/v": it does not exist',
    ]);
    world.files.mvdir("/away", D);
    world.files.rm(`${D}/b.ini`);
    world.clock.advance(3010);
    expect(world.sink.take()).toEqual(["available", "remove b.ini"]);
    expect([...world.sink.wanted.keys()]).toEqual(["a.ini"]);
  });

  test("files go first and the directory follows: nothing is removed", async () => {
    await started("a.ini", "b.ini");
    for (const name of ["a.ini", "b.ini"]) {
      world.files.rm(`${D}/${name}`);
      say("rename", name);
    }
    world.clock.advance(2);
    world.files.rmdir(D);
    world.clock.advance(100);
    expect(world.sink.take()).toEqual([
      'unavailable cannot read the directory "/v": it does not exist',
    ]);
  });

  test("unmounted, so that another, empty one is in its place: nothing is removed", async () => {
    world.files.mkdir(D, 2);
    await started("a.ini");
    world.files.mkdir(D, 1);
    say("rename", "v");
    world.clock.advance(10_000);
    expect(world.sink.take()).toEqual([
      expect.stringContaining("another, empty directory is in its place (unmounted?)"),
    ]);
    world.files.put(`${D}/b.ini`);
    say("rename", "b.ini");
    world.clock.advance(10);
    expect(world.sink.take()).toEqual(["available", "upsert b.ini", "remove a.ini"]);
  });

  test("permission denied and given again", async () => {
    await started("a.ini");
    world.files.fail(D, "EACCES");
    world.monitor.rescan();
    world.clock.advance(4000);
    expect(world.sink.take()).toEqual([
      'unavailable cannot read the directory "/v": permission denied (EACCES)',
    ]);
    world.files.fail(D, undefined);
    world.clock.advance(3000);
    expect(world.sink.take()).toEqual(["available"]);
  });

  test("a file in its place", async () => {
    await started("a.ini");
    world.files.rmdir(D);
    world.files.put(D);
    world.clock.advance(3001);
    expect(world.sink.take()).toEqual([
      'unavailable cannot read the directory "/v": it is not a directory',
    ]);
  });
});

describe("entries that are no vassals", () => {
  test("each is told once, with its reason, and skipped", async () => {
    world.files.put(`${D}/d.ini`, { kind: "directory" });
    world.files.put(`${D}/f.ini`, { kind: "fifo" });
    world.files.put(`${D}/s.ini`, { kind: "socket" });
    world.files.put(`${D}/l.ini`, { kind: "dangling" });
    world.files.put(`${D}/bad\ufffd.ini`, { kind: "invalid-utf8" });
    world.files.put(`${D}/${"n".repeat(251)}.ini`);
    world.files.put(`${D}/${"n".repeat(250)}.ini`);
    world.files.put(`${D}/a\nb.ini`);
    await world.start("dir", D);
    world.clock.advance(10_000);
    world.monitor.rescan();
    world.clock.advance(10);
    expect(world.sink.take()).toEqual([
      "available",
      'warning "d.ini" is a directory, not a config; ignoring it',
      'warning "f.ini" is a fifo, not a config; ignoring it',
      'warning "s.ini" is a socket, not a config; ignoring it',
      'warning "l.ini" is a symbolic link to nothing; ignoring it',
      'warning "bad\ufffd.ini" has a name that is not valid UTF-8; ignoring it',
      `warning "${"n".repeat(251)}.ini" is ignored: its name has 255 bytes, 254 are allowed`,
      'warning "a\\nb.ini" is ignored: its name has control characters, which could forge log lines',
      `snapshot ${"n".repeat(250)}.ini`,
    ]);
  });

  test("an entry that cannot be examined keeps its vassal", async () => {
    await started("a.ini");
    world.files.put(`${D}/a.ini`, { kind: "unreadable" });
    say("change", "a.ini");
    world.clock.advance(10_000);
    expect(world.sink.take()).toEqual(['warning "a.ini" cannot be examined; it stays as it was']);
    expect(world.sink.wanted.has("a.ini")).toBe(true);
  });

  test("hidden files count, also a bare suffix, and a colon is a character", async () => {
    for (const name of [".ini", ".hidden.ini", "a:b.ini"]) world.files.put(`${D}/${name}`);
    await world.start("dir", D);
    expect(world.sink.take()).toEqual(["available", "snapshot .ini,.hidden.ini,a:b.ini"]);
  });

  test("hidden files do not count if so wished, silently", async () => {
    for (const name of [".ini", ".hidden.ini", "a.ini"]) world.files.put(`${D}/${name}`);
    await world.start("dir", D, { ignoreHidden: true });
    expect(world.sink.take()).toEqual(["available", "snapshot a.ini"]);
  });

  test("extra extensions count", async () => {
    for (const name of ["a.lua", "b.foo", "c.bar"]) world.files.put(`${D}/${name}`);
    await world.start("dir", D, { extraExtensions: [".lua", "foo", ""] });
    expect(world.sink.take()).toEqual(["available", "snapshot a.lua,b.foo"]);
  });
});

describe("a config that must be read", () => {
  test("and is another one at each reading is given up with a reason, until it changes", async () => {
    // The fake directory is not on the real file system, where the bytes are read.
    world.files.put(`${D}/a.ini`);
    await world.start("dir", D, { readConfig: true });
    world.clock.advance(100);
    const refusal =
      'warning "a.ini" cannot be used, no vassal: it is another file each time it is read';
    expect(world.sink.take()).toEqual(["available", "snapshot ", refusal]);
    world.clock.advance(30_000);
    expect(world.sink.take()).toEqual([]);
    expect(world.clock.pendingMs).toHaveLength(1);
    world.files.chmod(`${D}/a.ini`);
    say("change", "a.ini");
    world.clock.advance(1000);
    expect(world.sink.take()).toEqual([refusal]);
  });
});

describe("owner of a link", () => {
  test("is the link's own where that is wanted", async () => {
    world.files.put(`${D}/a.ini`, { isLink: true, uid: 0, linkUid: 1000 });
    await world.start("dir", D, { ownerOfLink: true });
    expect(world.sink.wanted.get("a.ini")?.uid).toBe(1000);
  });

  test("is the target's by default", async () => {
    world.files.put(`${D}/a.ini`, { isLink: true, uid: 0, linkUid: 1000 });
    await world.start("dir", D);
    expect(world.sink.wanted.get("a.ini")?.uid).toBe(0);
  });
});

describe("watching", () => {
  test("fails: told once, scans carry on, tried again later", async () => {
    world.hints.failure = "ENOSPC";
    await world.start("dir", D);
    world.sink.take();
    world.files.put(`${D}/a.ini`);
    world.clock.advance(3001);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
    world.clock.advance(30_000);
    world.hints.failure = undefined;
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(60_005);
    world.files.renameInto(`${D}/b.ini`, "x", 3);
    say("rename", "b.ini");
    world.clock.drain();
    expect(world.sink.take()).toEqual(["upsert b.ini"]);
  });

  test("is renewed when another directory takes the place", async () => {
    await started("a.ini");
    const [before] = world.hints.targets;
    world.files.rmdir(D);
    world.files.mkdir(D);
    world.files.put(`${D}/a.ini`);
    say("rename", "v");
    world.clock.drain();
    expect(world.hints.targets[0]?.identity).not.toBe(before?.identity);
  });

  test("a hint without a name looks at everything", async () => {
    await started();
    world.files.put(`${D}/a.ini`);
    world.hints.say(D, "rename", null);
    world.clock.drain();
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });
});

describe("idle and closed", () => {
  test("one timer; three of four scans are spared, the fourth builds nothing", async () => {
    await started("a.ini", "b.ini");
    world.clock.advance(3100);
    expect(world.clock.pendingMs).toHaveLength(1);
    const { scans, builtScans, looks, digests } = world.files;
    world.clock.advance(36_000);
    expect(world.files.scans).toBe(scans + 3);
    expect(world.files.builtScans).toBe(builtScans);
    expect([world.files.looks, world.files.digests]).toEqual([looks, digests]);
    expect(world.sink.take()).toEqual([]);
  });

  test.each([
    ["a link, whose target changes elsewhere", { isLink: true }, 1],
    ["a file with another name elsewhere", { nlink: 2 }, 1],
    ["a link to nothing, which may become something", { kind: "dangling" as const }, 1],
    ["a network file system", {}, 99],
  ])("no scan is spared with %s", async (_what, file, dev) => {
    world.files.mkdir(D, dev);
    world.files.put(`${D}/a.ini`, file);
    await started();
    world.clock.advance(100);
    const { scans } = world.files;
    world.clock.advance(30_000);
    expect(world.files.scans).toBe(scans + 10);
  });

  test("no scan is spared without a watch", async () => {
    world.hints.failure = "ENOSPC";
    await started("a.ini");
    const { scans } = world.files;
    world.clock.advance(30_000);
    expect(world.files.scans).toBe(scans + 10);
  });

  test("what a lost hint and a spared scan missed is found by the next full one", async () => {
    await started("a.ini");
    world.clock.advance(3100);
    world.files.touch(`${D}/a.ini`);
    world.clock.advance(12_100);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("so many hints that the kernel may have dropped some: everything is looked at", async () => {
    await started();
    const { scans } = world.files;
    for (let i = 0; i < 5000; i += 1) say("change", "app.log");
    world.clock.advance(5);
    expect(world.files.scans).toBe(scans + 1);
  });

  test("rescan looks now", async () => {
    await started();
    world.files.put(`${D}/a.ini`);
    world.monitor.rescan();
    world.clock.drain();
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("after close nothing is told and no timer is left", async () => {
    await started("a.ini");
    world.files.rm(`${D}/a.ini`);
    say("rename", "a.ini");
    world.clock.round();
    await world.monitor.close();
    world.monitor.rescan();
    world.clock.advance(10_000);
    expect(world.sink.take()).toEqual([]);
    expect(world.clock.pendingMs).toEqual([]);
    expect(world.hints.isClosed).toBe(true);
  });

  test("a jump of the wall clock reports nothing", async () => {
    await started("a.ini");
    world.clock.stepWall(-86_400_000);
    world.clock.advance(10_000);
    world.clock.stepWall(2 * 86_400_000);
    world.clock.advance(10_000);
    expect(world.sink.take()).toEqual([]);
  });
});
