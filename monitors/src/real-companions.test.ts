/** Files beside configs that hold the address of an on-demand socket, on a real directory. */
import { mkdirSync, renameSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
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
function put(name: string, text: string): void {
  writeFileSync(court.path(name), text);
  utimesSync(court.path(name), 1_600_000_000, 1_600_000_000);
}

function renameInto(name: string, text: string): void {
  writeFileSync(court.path("stage", "file"), text);
  renameSync(court.path("stage", "file"), court.path(name));
}

const socketOf = (name: string): string | undefined => court.sink.wanted.get(name)?.socket;

test.each(["v", "v/*.ini"])(
  "%s: one that comes, changes, is empty and goes is told",
  async (address) => {
    const name = address === "v" ? "a.ini" : "v/a.ini";
    put("v/a.ini", "[uwsgi]\n");
    put("v/a.ini.socket", " /run/a.sock \n:80\n");
    const monitor = await court.start(address, { companionSuffix: ".socket" });
    if (!court.sink.wanted.has(name)) await court.sink.hears(name);
    expect(court.sink.wanted.get(name)).toMatchObject({
      socket: "/run/a.sock \n:80",
      socketOwner: process.getuid?.(),
    });
    const next = async (change: () => void): Promise<string | undefined> => {
      court.sink.take();
      change();
      monitor.rescan();
      await court.sink.hears(`upsert ${name}`);
      return socketOf(name);
    };
    expect(await next(() => renameInto("v/a.ini.socket", "/run/b.sock"))).toBe("/run/b.sock");
    expect(await next(() => put("v/a.ini.socket", ""))).toBe("");
    expect(await next(() => renameInto("v/a.ini.socket", "/run/c.sock"))).toBe("/run/c.sock");
    expect(await next(() => unlinkSync(court.path("v/a.ini.socket")))).toBeUndefined();
  },
);

test("hints alone are enough", async () => {
  put("v/a.ini", "[uwsgi]\n");
  await court.start("v", { companionSuffix: ".socket" });
  renameInto("v/probe.ini", "[uwsgi]\n");
  await court.sink.hears("upsert probe.ini");
  court.sink.take();
  writeFileSync(court.path("v/a.ini.socket"), "/run/a.sock");
  await court.sink.hears("upsert a.ini");
  expect(socketOf("a.ini")).toBe("/run/a.sock");
});

test.each([
  ["a fifo", (path: string) => void execFileSync("mkfifo", [path]), /it is no regular file/],
  ["a directory", (path: string) => void mkdirSync(path), /no regular file|EISDIR/],
  [
    "a megabyte",
    (path: string) => writeFileSync(path, "x".repeat(1 << 20)),
    /more than 8192 bytes/,
  ],
  ["a loop of links", (path: string) => symlinkSync(path, path), /./],
])("%s beside a config is no address, and holds up nobody", async (_what, make, why) => {
  put("v/a.ini", "[uwsgi]\n");
  make(court.path("v/a.ini.socket"));
  await court.start("v", { companionSuffix: ".socket" });
  if (!court.sink.wanted.has("a.ini")) await court.sink.hears("a.ini");
  expect(socketOf("a.ini")).toBeUndefined();
  const said = court.sink.heard.filter((line) => line.startsWith("warning")).join("\n");
  if (said !== "") expect(said).toMatch(why);
});

test("without the option the file means nothing", async () => {
  put("v/a.ini", "[uwsgi]\n");
  put("v/a.ini.socket", "/run/a.sock");
  await court.start("v");
  if (!court.sink.wanted.has("a.ini")) await court.sink.hears("a.ini");
  expect(court.sink.wanted.get("a.ini")).not.toHaveProperty("socket");
});
