import { describe, expect, it } from "vitest";
import { REMOTE_DEFAULTS, type RemoteRules } from "./remote.ts";
import { Roll, objectionToKey } from "./roll.ts";
import { backOffMs } from "./back-off.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { RecordingSink } from "./testing/fake-court.ts";

function roll(rules: Partial<RemoteRules> = {}, suffixes: readonly string[] | "any" = [".ini"]) {
  const clock = new FakeClock();
  const sink = new RecordingSink();
  const tools = {
    monitor: "m",
    cwd: "/start",
    suffixes: suffixes === "any" ? undefined : suffixes,
    rules: { ...REMOTE_DEFAULTS, ...rules },
    clock,
  };
  return { clock, sink, roll: new Roll(tools, sink) };
}

const config = Buffer.from("[uwsgi]\n");

describe("what becomes of an entry", () => {
  it("is a spec, and a change only when its version differs", () => {
    const { roll: it, sink } = roll();
    const entry = {
      name: "a.ini",
      version: "1",
      modifiedAt: 5,
      config,
      uid: 1,
      gid: 2,
      socket: "",
    };
    it.want(entry);
    it.want(entry);
    it.want({ ...entry, version: "2" });
    expect(sink.take()).toEqual(["upsert a.ini", "upsert a.ini"]);
    expect(sink.wanted.get("a.ini")).toEqual({
      name: "a.ini",
      monitor: "m",
      version: "2",
      modifiedAt: 5,
      cwd: "/start",
      attributes: {},
      config,
      uid: 1,
      gid: 2,
    });
  });

  it.each([
    ["", "empty"],
    ["/etc/a.ini", "absolute path"],
    ["../a.ini", "another directory"],
    ["a/../../b.ini", "another directory"],
    ["a//b.ini", "another directory"],
    ["a\0.ini", "control characters"],
    ["a\n.ini", "control characters"],
    ["a\ufffd.ini", "not valid UTF-8"],
    [`${"x".repeat(300)}.ini`, "304 bytes"],
  ])("refuses the name %j", (name, why) => {
    expect(objectionToKey(name)).toContain(why);
    const { roll: it, sink } = roll();
    expect(it.want({ name, version: "1", config })).toMatchObject({ accepted: false });
    expect(sink.wanted.size).toBe(0);
  });

  it("takes a name with a slash: a key, not a path", () => {
    expect(objectionToKey("shop/app.ini")).toBeUndefined();
  });

  it("refuses a name without suffix, only where the source needs one", () => {
    expect(roll().roll.want({ name: "a.txt", config }).accepted).toBe(false);
    expect(roll({}, []).roll.want({ name: "a.txt", config }).accepted).toBe(false);
    const { roll: free } = roll({}, "any");
    expect(free.want({ name: "a.txt", config }).accepted).toBe(true);
  });

  it("refuses a config that is too large or empty, says so once per version, keeps the old one", () => {
    const { roll: it, sink } = roll({ maxConfigBytes: 10 });
    it.want({ name: "a.ini", version: "1", config });
    const large = { name: "a.ini", version: "2", config: Buffer.alloc(11, 32) };
    expect(it.want(large)).toEqual({
      accepted: false,
      why: "its config has 11 bytes, 10 are allowed",
    });
    it.want(large);
    expect(it.want({ name: "b.ini", version: "1", config: Buffer.alloc(0) }).accepted).toBe(false);
    expect(sink.take()).toEqual([
      "upsert a.ini",
      'warning "a.ini" is refused, its vassal keeps the config it has: its config has 11 bytes, 10 are allowed',
      'warning "b.ini" is refused, no vassal: its config is empty',
    ]);
    it.want({ ...large, version: "3" });
    expect(sink.take()).toHaveLength(1);
    // No option makes the pipe wider.
    const wide = roll({ maxConfigBytes: 1_000_000 });
    expect(wide.roll.want({ name: "a.ini", config: Buffer.alloc(65_536, 32) }).accepted).toBe(
      false,
    );
  });

  it("takes as many as are allowed, says once that there are more, and fills up again", () => {
    const { roll: it, sink } = roll({ maxVassals: 2 });
    for (const name of ["a.ini", "b.ini", "c.ini", "d.ini"])
      it.want({ name, version: "1", config });
    expect(sink.take()).toEqual([
      "upsert a.ini",
      "upsert b.ini",
      'warning "c.ini" is refused, no vassal: its source wants more than 2 vassals (emperor-max-vassals)',
    ]);
    expect(it.want({ name: "a.ini", version: "2", config }).accepted).toBe(true);
    it.drop("b.ini");
    expect(it.want({ name: "d.ini", version: "1", config }).accepted).toBe(true);
  });
});

describe("the rate of changes", () => {
  it("delays what is too much, and of each name only the last wish counts", () => {
    const { roll: it, sink, clock } = roll({ maxChangesPerSecond: 10 });
    it.want({ name: "a.ini", version: "0", config });
    it.want({ name: "b.ini", version: "0", config });
    sink.take();
    for (let version = 1; version <= 1000; version += 1)
      it.want({ name: "a.ini", version: String(version), config });
    it.drop("b.ini");
    expect(sink.take().filter((line) => line.startsWith("upsert"))).toHaveLength(10);
    expect(sink.wanted.has("b.ini")).toBe(true);
    clock.advance(1000);
    expect(sink.take()).toEqual(["upsert a.ini", "remove b.ini"]);
    expect(sink.wanted.get("a.ini")?.version).toBe("1000");
    expect(clock.pendingMs).toEqual([]);
  });

  it("does not count new vassals", () => {
    const { roll: it, sink } = roll({ maxChangesPerSecond: 10 });
    for (let number = 0; number < 1000; number += 1)
      it.want({ name: `${number}.ini`, version: "1", config });
    expect(sink.wanted.size).toBe(1000);
  });

  it("a vassal that was removed while its change waited stays removed, and can come back", () => {
    const { roll: it, sink, clock } = roll({ maxChangesPerSecond: 1 });
    it.want({ name: "a.ini", version: "0", config });
    it.want({ name: "a.ini", version: "1", config });
    it.want({ name: "a.ini", version: "2", config });
    it.drop("a.ini");
    clock.advance(5000);
    expect(sink.wanted.size).toBe(0);
    it.want({ name: "a.ini", version: "3", config });
    expect(sink.wanted.get("a.ini")?.version).toBe("3");
  });
});

describe("pauses between attempts", () => {
  it("are spread by chance and bounded", () => {
    expect(backOffMs(1, () => 0)).toBe(125);
    expect(backOffMs(1, () => 0.999)).toBe(375);
    expect(backOffMs(1_000_000, () => 0.999)).toBeLessThan(45_000);
  });
});
