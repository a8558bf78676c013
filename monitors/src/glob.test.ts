/** The glob monitor as a whole: fake files, fake hints, fake time. */
import { beforeEach, expect, test } from "vitest";
import { World } from "./testing/fake-court.ts";

let world: World;

beforeEach(() => {
  world = new World();
  for (const path of ["/start", "/apps", "/apps/one", "/apps/two"]) world.files.mkdir(path);
});

async function started(pattern: string): Promise<string[]> {
  await world.start("glob", pattern);
  world.clock.advance(30);
  return world.sink.take();
}

test("names are the matched paths, the working directory is the start directory", async () => {
  for (const name of ["one/x.ini", "one/y.ini", "two/x.ini"]) world.files.put(`/apps/${name}`);
  expect(await started("/apps/*/x.ini")).toEqual([
    "available",
    "snapshot /apps/one/x.ini,/apps/two/x.ini",
  ]);
  expect(world.monitor.id).toBe("glob:/apps/*/x.ini");
  expect(world.monitor.address).toBe("/apps/*/x.ini");
  expect(world.sink.wanted.get("/apps/one/x.ini")).toMatchObject({
    cwd: "/start",
    path: "/apps/one/x.ini",
  });
});

test("a relative pattern is meant from the start directory, its names stay relative", async () => {
  world.files.put("/start/a.ini");
  expect(await started("*.ini")).toEqual(["available", "snapshot a.ini"]);
  expect(world.sink.wanted.get("a.ini")).toMatchObject({
    name: "a.ini",
    cwd: "/start",
    path: "/start/a.ini",
  });
});

test("only configs: other files, directories and hidden names do not match", async () => {
  world.files.put("/start/a.ini");
  world.files.put("/start/.b.ini");
  world.files.put("/start/x.txt");
  world.files.put("/start/d.ini", { kind: "directory" });
  expect(await started("*")).toEqual([
    "available",
    'warning "d.ini" is a directory, not a config; ignoring it',
    "snapshot a.ini",
  ]);
});

test("a pattern without wildcard is that one file, also before it is there", async () => {
  expect(await started("/apps/one/x.ini")).toEqual(["available", "snapshot "]);
  world.files.renameInto("/apps/one/x.ini", "x", 5);
  world.hints.say("/apps/one", "rename", "x.ini");
  world.clock.drain();
  expect(world.sink.take()).toEqual(["upsert /apps/one/x.ini"]);
});

test.each(["/apps/*/x.ini", "/apps/*/*.ini"])(
  "added, touched and removed by hints: %s",
  async (pattern) => {
    world.files.put("/apps/one/x.ini");
    await started(pattern);
    expect(world.hints.targets.map(({ directory }) => directory)).toEqual([
      "/apps",
      "/apps/one",
      "/apps/two",
    ]);
    world.files.renameInto("/apps/two/x.ini", "x", 5);
    world.hints.say("/apps/two", "rename", "x.ini");
    world.clock.advance(5);
    expect(world.sink.take()).toEqual(["upsert /apps/two/x.ini"]);
    world.files.touch("/apps/one/x.ini");
    world.hints.say("/apps/one", "change", "x.ini");
    world.clock.advance(5);
    expect(world.sink.take()).toEqual(["upsert /apps/one/x.ini"]);
    world.files.rmdir("/apps/two");
    world.hints.say("/apps/two", "rename", "x.ini");
    world.clock.advance(10);
    expect(world.sink.take()).toEqual(["remove /apps/two/x.ini"]);
  },
);

test("a new directory that matches is searched and watched", async () => {
  await started("/apps/*/x.ini");
  world.files.mkdir("/apps/three");
  world.hints.say("/apps", "rename", "three");
  world.clock.advance(5);
  expect(world.hints.targets.map(({ directory }) => directory)).toContain("/apps/three");
  world.files.renameInto("/apps/three/x.ini", "x", 5);
  world.hints.say("/apps/three", "rename", "x.ini");
  world.clock.advance(5);
  expect(world.sink.take()).toEqual(["upsert /apps/three/x.ini"]);
});

test("the directory before the wildcard vanishes: nothing is removed, told once; back: told once", async () => {
  world.files.put("/apps/one/x.ini");
  await started("/apps/*/x.ini");
  for (const path of ["/apps", "/apps/one", "/apps/two"]) world.files.mvdir(path, `/away${path}`);
  world.hints.say("/apps", "rename", "apps");
  world.clock.advance(10_000);
  expect(world.sink.take()).toEqual([
    'unavailable cannot search "/apps" for "/apps/*/x.ini": it does not exist',
  ]);
  for (const path of ["/apps", "/apps/one", "/apps/two"]) world.files.mvdir(`/away${path}`, path);
  world.hints.say("/", "rename", "apps");
  world.clock.advance(10);
  expect(world.sink.take()).toEqual(["available"]);
});

test.each(["/apps/*/x.ini", "/apps/*/*.ini"])(
  "a subdirectory that cannot be read keeps its vassals: %s",
  async (pattern) => {
    world.files.put("/apps/one/x.ini");
    world.files.put("/apps/two/x.ini");
    await started(pattern);
    world.files.fail("/apps/one", "EACCES");
    world.files.rm("/apps/two/x.ini");
    world.clock.advance(10_000);
    const heard = world.sink.take();
    expect(heard).toContain("remove /apps/two/x.ini");
    expect(heard.filter((line) => line.startsWith("warning"))).toHaveLength(1);
    expect([...world.sink.wanted.keys()]).toEqual(["/apps/one/x.ini"]);
  },
);

test("a directory list in the middle that cannot be read keeps what is below", async () => {
  world.files.mkdir("/apps/one/conf");
  world.files.put("/apps/one/conf/x.ini");
  await started("/apps/*/*/x.ini");
  expect([...world.sink.wanted.keys()]).toEqual(["/apps/one/conf/x.ini"]);
  world.files.fail("/apps/one", "EIO");
  world.files.rmdir("/apps/one/conf");
  world.clock.advance(10_000);
  expect([...world.sink.wanted.keys()]).toEqual(["/apps/one/conf/x.ini"]);
});

test("idle: with a wildcard at the end nothing is built, and only one timer waits", async () => {
  world.files.put("/apps/one/x.ini");
  await started("/apps/*/*.ini");
  world.clock.advance(10_000);
  const { builtScans } = world.files;
  world.clock.advance(30_000);
  expect(world.files.builtScans).toBe(builtScans);
  expect(world.clock.pendingMs).toHaveLength(1);
  expect(world.sink.take()).toEqual([]);
});

test("a pattern for directories matches no config", async () => {
  world.files.put("/start/a.ini");
  expect(await started("*/")).toEqual(["available", "snapshot "]);
});
