import { describe, expect, it } from "vitest";
import type { MonitorOptions } from "./monitor.ts";
import { RemoteMonitor } from "./remote-monitor.ts";
import { REMOTE_DEFAULTS, type RemoteRules } from "./remote.ts";
import { World } from "./testing/fake-court.ts";
import { FakeSource, turns } from "./testing/fake-source.ts";

class RemoteWorld extends World {
  readonly source: FakeSource;
  readonly remote: RemoteMonitor;
  started: Promise<void> | undefined;
  isStarted = false;

  constructor(kind: "looks" | "messages" = "looks", rules: Partial<RemoteRules> = {}) {
    super();
    this.source = new FakeSource(kind);
    const options: MonitorOptions = {
      ...this.options(),
      remote: { ...REMOTE_DEFAULTS, random: () => 0.5, ...rules },
    };
    this.remote = new RemoteMonitor(this.source, options);
  }

  async begin(): Promise<void> {
    this.started = this.remote.start(this.sink).then(() => {
      this.isStarted = true;
    });
    await turns();
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await turns();
  }
}

const INI = Buffer.from("[uwsgi]\n");
const entry = (name: string, version = "1") => ({ name, version, modifiedAt: 7, config: INI });

describe("a source that is looked at", () => {
  it("has started when it was looked at once", async () => {
    const world = new RemoteWorld();
    await world.begin();
    expect(world.isStarted).toBe(false);
    await world.source.link.accept();
    expect(world.isStarted).toBe(false);
    await world.source.link.answer((listener) => listener.wanted(entry("a.ini")));
    expect(world.isStarted).toBe(true);
    expect(world.sink.take()).toEqual(["upsert a.ini", "available"]);
    await world.remote.close();
  });

  it("is looked at again after the frequency, never twice at a time", async () => {
    const world = new RemoteWorld();
    await world.begin();
    await world.source.link.accept();
    await world.source.link.answer();
    await world.pass(2999);
    expect(world.source.link.looked).toBe(1);
    await world.pass(1);
    expect(world.source.link.looked).toBe(2);
    await world.pass(20_000);
    expect(world.source.link.looked).toBe(2);
    await world.source.link.answer();
    await world.pass(3000);
    expect(world.source.link.looked).toBe(3);
    await world.remote.close();
  });

  it("is looked at soon after a hint, also after one that came during a look", async () => {
    const world = new RemoteWorld();
    await world.begin();
    const { link } = world.source;
    await link.accept();
    link.listener.lookSoon();
    await world.pass(10);
    expect(link.looked).toBe(1);
    await link.answer();
    await world.pass(10);
    expect(link.looked).toBe(2);
    await link.answer();
    for (let hint = 0; hint < 100; hint += 1) link.listener.lookSoon();
    await world.pass(10);
    expect(link.looked).toBe(3);
    world.remote.rescan();
    await link.answer();
    await world.pass(10);
    expect(link.looked).toBe(4);
    await world.remote.close();
  });

  it("stops nothing when it cannot be read, and is tried again with growing pauses", async () => {
    const world = new RemoteWorld();
    await world.begin();
    await world.source.link.accept();
    await world.source.link.answer((listener) => listener.wanted(entry("a.ini")));
    world.sink.take();
    await world.pass(3000);
    const first = world.source.link;
    await first.fail("table is missing, password hunter2");
    expect(first.isClosed).toBe(true);
    expect(world.sink.take()).toEqual(["unavailable table is missing, password ***"]);
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 10; attempt += 1) {
      const pause = world.clock.pendingMs[0] ?? -1;
      pauses.push(pause);
      await world.pass(pause);
      await world.source.link.refuse("connection refused");
    }
    expect(pauses).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect([...world.sink.wanted.keys()]).toEqual(["a.ini"]);
    expect(world.sink.take().every((line) => line.startsWith("unavailable"))).toBe(true);
    world.remote.rescan();
    await world.source.link.accept();
    await world.source.link.answer((listener) => listener.keepOnly(new Set()));
    expect(world.sink.take()).toEqual(["remove a.ini", "available"]);
    await world.remote.close();
  });

  it("forgets its failures when a connection lived long", async () => {
    const world = new RemoteWorld();
    await world.begin();
    await world.source.link.refuse("no");
    await world.pass(250);
    await world.source.link.refuse("no");
    await world.pass(500);
    await world.source.link.accept();
    await world.source.link.answer();
    await world.pass(10_000);
    await world.source.link.fail("gone");
    expect(world.clock.pendingMs).toEqual([250]);
    await world.remote.close();
  });

  it("counts as lost when it answers nothing, and what it says later reaches nobody", async () => {
    const world = new RemoteWorld("looks", { answerTimeoutMs: 5000 });
    await world.begin();
    const first = world.source.link;
    await first.accept();
    await world.pass(4000);
    first.listener.alive();
    await world.pass(4000);
    expect(first.isClosed).toBe(false);
    await world.pass(1000);
    expect(first.isClosed).toBe(true);
    expect(first.signal.aborted).toBe(true);
    expect(world.sink.take()).toEqual([
      "unavailable no answer for 2 s; still waiting for it",
      "unavailable no answer for 5 s",
    ]);
    expect(first.listener.wanted(entry("late.ini"))).toEqual({
      accepted: false,
      why: "its connection is closed",
    });
    await first.answer((listener) => listener.keepOnly(new Set()));
    expect(world.sink.take()).toEqual([]);
    await world.remote.close();
  });

  it("does not keep the start waiting when the server hangs", async () => {
    const world = new RemoteWorld();
    await world.begin();
    await world.pass(2000);
    expect(world.isStarted).toBe(true);
    await world.source.link.accept();
    await world.source.link.answer();
    expect(world.sink.take()).toEqual([
      "unavailable no answer for 2 s; still waiting for it",
      "available",
    ]);
    await world.remote.close();
  });

  it("leaves no timer and no connection when it is closed, in any state", async () => {
    for (const stage of ["connecting", "looking", "idle", "pausing"]) {
      const world = new RemoteWorld();
      await world.begin();
      const { link } = world.source;
      if (stage === "pausing") await link.refuse("no");
      if (stage === "looking" || stage === "idle") await link.accept();
      if (stage === "idle") await link.answer();
      await world.remote.close();
      if (stage === "connecting") await link.accept();
      expect([stage, world.clock.pendingMs]).toEqual([stage, []]);
      expect(link.isClosed || stage === "pausing").toBe(true);
      world.sink.take();
      link.listener.wanted(entry("late.ini"));
      world.remote.rescan();
      await world.pass(60_000);
      expect(world.sink.take()).toEqual([]);
    }
  });
});

describe("a source of messages", () => {
  it("is available as soon as it is connected, and each message counts", async () => {
    const world = new RemoteWorld("messages");
    await world.begin();
    await world.source.link.accept();
    const { listener } = world.source.link;
    const message = { name: "any name", config: INI };
    expect(listener.wanted(message)).toEqual({ accepted: true });
    expect(listener.wanted(message)).toEqual({ accepted: true });
    expect(listener.unwanted("any name")).toBe(true);
    expect(listener.unwanted("any name")).toBe(false);
    expect(world.sink.take()).toEqual([
      "available",
      "upsert any name",
      "upsert any name",
      "remove any name",
    ]);
    // A silent broker is no hanging one: heartbeats are the driver's.
    await world.pass(600_000);
    expect(world.source.links).toHaveLength(1);
    listener.lost("the broker closed the channel");
    listener.lost("twice");
    expect(world.sink.take()).toEqual(["unavailable the broker closed the channel"]);
    await world.pass(250);
    expect(world.source.links).toHaveLength(2);
    await world.remote.close();
  });
});
