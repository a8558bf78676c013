/** The directory monitor as a whole: fake files, fake hints, fake time. */
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

describe("first scan", () => {
  test("files that were there are one snapshot, with everything the Emperor needs", async () => {
    world.files.put(`${D}/a.ini`, { uid: 7, gid: 8, content: "abc" });
    world.files.put(`${D}/note.txt`);
    await world.start("dir", D);
    expect(world.sink.take()).toEqual(["available", "snapshot a.ini"]);
    const spec = world.sink.wanted.get("a.ini");
    expect(spec).toMatchObject({
      name: "a.ini",
      monitor: "dir:/v",
      cwd: "/v",
      path: "/v/a.ini",
      uid: 7,
      gid: 8,
      attributes: {},
    });
    expect(spec?.fileId).toBe(`1:${world.files.get(`${D}/a.ini`).ino}`);
    expect(spec?.modifiedAt).toBe(Math.floor(world.files.get(`${D}/a.ini`).mtimeMs / 1000));
  });

  test("a file that is just being written is left out and follows when it is quiet", async () => {
    world.files.put(`${D}/old.ini`);
    world.files.write(`${D}/new.ini`, "half");
    await world.start("dir", D);
    expect(world.sink.take()).toEqual(["available", "snapshot old.ini"]);
    world.clock.advance(39);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(2);
    expect(world.sink.take()).toEqual(["upsert new.ini"]);
  });

  test("a time in the future proves nothing, but such a file is taken when quiet", async () => {
    world.files.put(`${D}/a.ini`, { mtimeMs: world.clock.wallNow() + 9e6 });
    await world.start("dir", D);
    expect(world.sink.take()).toEqual(["available", "snapshot "]);
    world.clock.advance(41);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });
});

describe("a new file", () => {
  test("renamed into place, mtime before ctime: taken after one round of hints, without time passing", async () => {
    await started();
    world.files.renameInto(`${D}/a.ini`, "x", 5);
    say("rename", "a.ini");
    world.clock.drain();
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("written and renamed within one tick: taken after 2 ms", async () => {
    await started();
    world.files.renameInto(`${D}/a.ini`, "x");
    say("rename", "a.ini");
    world.clock.drain();
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(2);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("an old file moved into place is taken at once", async () => {
    await started();
    world.files.put(`${D}/a.ini`, { ctimeMs: world.clock.wallNow() });
    say("rename", "a.ini");
    world.clock.drain();
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("created in place: the write's hint arrives between the two looks and it waits for quiet", async () => {
    await started();
    world.files.write(`${D}/a.ini`, "half");
    say("rename", "a.ini");
    world.clock.round();
    say("change", "a.ini");
    world.clock.advance(39);
    expect(world.sink.take()).toEqual([]);
    world.files.write(`${D}/a.ini`, "half and whole");
    say("change", "a.ini");
    world.clock.advance(39);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(4);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("big and perhaps just written: waits even after a lone rename", async () => {
    await started();
    world.files.renameInto(`${D}/a.ini`, "x".repeat(70_000));
    say("rename", "a.ini");
    world.clock.advance(30);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(12);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("a link to a file that may be in the middle of writing waits", async () => {
    await started();
    world.files.renameInto(`${D}/a.ini`, "x", 1);
    world.files.get(`${D}/a.ini`).isLink = true;
    say("rename", "a.ini");
    world.clock.advance(30);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(12);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("grows without any hint between two looks: it is being written", async () => {
    await started();
    world.files.renameInto(`${D}/a.ini`, "x");
    say("rename", "a.ini");
    world.clock.drain();
    world.files.write(`${D}/a.ini`, "xx");
    world.clock.advance(30);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(13);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("empty: waits for its bytes, and is taken empty when none come", async () => {
    await started();
    world.files.renameInto(`${D}/a.ini`, "", 1);
    say("rename", "a.ini");
    world.clock.advance(199);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(2);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("vanishes before it settled: never heard of", async () => {
    await started();
    world.files.write(`${D}/a.ini`, "x");
    say("change", "a.ini");
    world.clock.advance(10);
    world.files.rm(`${D}/a.ini`);
    say("rename", "a.ini");
    world.clock.advance(200);
    expect(world.sink.take()).toEqual([]);
    expect(world.clock.pendingMs).toHaveLength(1);
  });

  test("missed by the hints: the slow scan finds it", async () => {
    await started("a.ini");
    world.files.put(`${D}/b.ini`);
    world.clock.advance(2990);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(10);
    expect(world.sink.take()).toEqual(["upsert b.ini"]);
  });

  test("a burst of renames is one run of looks and arrives whole", async () => {
    await started();
    const before = world.files.looks;
    for (let i = 0; i < 50; i += 1) {
      world.files.renameInto(`${D}/v${i}.ini`, "x", 3);
      say("rename", `v${i}.ini`);
    }
    world.clock.drain();
    expect(world.sink.wanted.size).toBe(50);
    expect(world.files.looks - before).toBeLessThan(12);
  });

  test("names that no vassal can have cause no look", async () => {
    await started();
    const before = [world.files.looks, world.files.scans];
    say("rename", "x.tmp");
    say("change", "app.log");
    world.clock.drain();
    expect([world.files.looks, world.files.scans]).toEqual(before);
  });

  test("always being written to: told once, taken when that ends", async () => {
    await started();
    for (let i = 0; i < 700; i += 1) {
      world.files.write(`${D}/a.ini`, `x${i}`);
      say("change", "a.ini");
      world.clock.advance(20);
    }
    expect(world.sink.take()).toEqual([
      'warning "a.ini" is being written to all the time; it is taken when that ends',
    ]);
    world.clock.advance(41);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });
});

describe("a known file", () => {
  test("touched, same bytes: reported at once", async () => {
    await started("a.ini");
    const before = world.sink.wanted.get("a.ini")?.version;
    world.files.touch(`${D}/a.ini`);
    say("change", "a.ini");
    world.clock.drain();
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
    expect(world.sink.wanted.get("a.ini")?.version).not.toBe(before);
  });

  test("touched into the future and into the past: both are changes", async () => {
    await started("a.ini");
    for (const ms of [world.clock.wallNow() + 2000, 5_000]) {
      world.files.touch(`${D}/a.ini`, ms);
      say("change", "a.ini");
      world.clock.drain();
      expect(world.sink.take()).toEqual(["upsert a.ini"]);
      world.clock.advance(50);
    }
  });

  test("edited in place: reported once, when quiet", async () => {
    await started("a.ini");
    world.files.write(`${D}/a.ini`, "y");
    say("change", "a.ini");
    world.clock.advance(30);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(300);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("two edits within one tick leave the same times: the second restarts the wait", async () => {
    await started("a.ini");
    world.files.write(`${D}/a.ini`, "y");
    const { mtimeMs } = world.files.get(`${D}/a.ini`);
    say("change", "a.ini");
    world.clock.advance(30);
    Object.assign(world.files.get(`${D}/a.ini`), { content: "z", mtimeMs, ctimeMs: mtimeMs });
    say("change", "a.ini");
    world.clock.advance(30);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(13);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("chmod is no change", async () => {
    await started("a.ini");
    world.files.chmod(`${D}/a.ini`);
    say("change", "a.ini");
    world.clock.advance(10_000);
    expect(world.sink.take()).toEqual([]);
  });

  test("chown is one", async () => {
    await started("a.ini");
    Object.assign(world.files.get(`${D}/a.ini`), { uid: 33, ctimeMs: world.clock.wallNow() });
    say("change", "a.ini");
    world.clock.drain();
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
    expect(world.sink.wanted.get("a.ini")?.uid).toBe(33);
  });

  test("emptied by an editor that has not written yet: the empty state waits longer", async () => {
    await started("a.ini");
    world.files.write(`${D}/a.ini`, "");
    say("change", "a.ini");
    world.clock.advance(150);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(52);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("the target of a link changes without a hint: the slow scan finds it", async () => {
    world.files.put(`${D}/a.ini`, { isLink: true });
    await started();
    world.files.touch(`${D}/a.ini`);
    world.clock.advance(3100);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });
});

describe("removal", () => {
  test("is told after the second look, 4 ms later", async () => {
    await started("a.ini", "b.ini");
    world.files.rm(`${D}/a.ini`);
    say("rename", "a.ini");
    world.clock.advance(3);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(2);
    expect(world.sink.take()).toEqual(["remove a.ini"]);
  });

  test("an editor that renames the old file away and writes a new one makes a change, no stop", async () => {
    await started("a.ini");
    world.files.rm(`${D}/a.ini`);
    say("rename", "a.ini");
    world.clock.advance(2);
    world.files.write(`${D}/a.ini`, "new");
    say("rename", "a.ini");
    world.clock.round();
    say("change", "a.ini");
    world.clock.advance(200);
    expect(world.sink.take()).toEqual(["upsert a.ini"]);
  });

  test("gone and back as it was: nothing happened", async () => {
    await started("a.ini");
    const file = world.files.get(`${D}/a.ini`);
    world.files.rm(`${D}/a.ini`);
    say("rename", "a.ini");
    world.clock.advance(2);
    world.files.put(`${D}/a.ini`, file);
    world.clock.advance(5000);
    expect(world.sink.take()).toEqual([]);
  });

  test("missed by the hints: found by the slow scan, confirmed as well", async () => {
    await started("a.ini");
    world.files.rm(`${D}/a.ini`);
    world.clock.advance(2998);
    expect(world.sink.take()).toEqual([]);
    world.clock.advance(3);
    expect(world.sink.take()).toEqual(["remove a.ini"]);
  });

  test("a directory emptied in place: every vassal is unwanted", async () => {
    await started("a.ini", "b.ini");
    for (const name of ["a.ini", "b.ini"]) {
      world.files.rm(`${D}/${name}`);
      say("rename", name);
    }
    world.clock.advance(10);
    expect(world.sink.take()).toEqual(["remove a.ini", "remove b.ini"]);
  });

  test("replaced by a directory of the same name: removed, and told why", async () => {
    await started("a.ini");
    world.files.put(`${D}/a.ini`, { kind: "directory" });
    say("rename", "a.ini");
    world.clock.advance(10);
    expect(world.sink.take()).toEqual([
      'warning "a.ini" is a directory, not a config; ignoring it',
      "remove a.ini",
    ]);
  });
});
