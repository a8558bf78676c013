/** The stats server as its clients see it, the rude ones too. */
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import type { StatsDocument } from "@emperor/protocol";
import { describe, expect, onTestFinished, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import { connectTo, exchange, freePort } from "../harness/sockets.ts";

const loyal = vassalConfig("loyal");

/** A client that connects and neither reads nor closes. */
async function silentClient(address: string): Promise<void> {
  const socket = connectTo(address);
  socket.on("error", () => undefined);
  socket.pause();
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, "connect");
}

describe("the statistics", () => {
  test("have uWSGI's fields", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal, "bad.ini": vassalConfig("crashes-at-once") },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.wait("a blacklist entry", () => emperor.blacklisted("bad.ini"));
    const stats = await emperor.stats();
    expect(stats).toMatchObject({
      pid: emperor.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
      emperor: [emperor.run.vassals],
      emperor_tyrant: 0,
    });
    expect(typeof stats.version).toBe("string");
    const a = stats.vassals.find((vassal) => vassal.id === "a.ini");
    expect(a).toMatchObject({
      ready: 1,
      accepting: 1,
      loyal: 1,
      cursed: 0,
      zerg: 0,
      on_demand: "",
      monitor: emperor.run.vassals,
      respawns: 0,
      last_heartbeat: 0,
    });
    expect(a?.born).toBe(Math.floor(statSync(emperor.run.at("a.ini")).mtimeMs / 1000));
    expect(Object.keys(stats.blacklist[0] ?? {})).toEqual([
      "id",
      "throttle_level",
      "attempt",
      "first_attempt",
      "last_attempt",
    ]);
  });

  test("over TCP, again and again", async () => {
    const stats = `127.0.0.1:${await freePort()}`;
    const emperor = await startEmperor({ vassals: { "a.ini": loyal }, stats });
    for (let n = 0; n < 20; n++) expect((await emperor.stats()).pid).toBe(emperor.pid);
  });

  test("--stats-http puts a header before the JSON", async () => {
    const emperor = await startEmperor({ args: ["--stats-http"], impatient: true });
    const answer = await emperor.wait("an answer", () =>
      emperor.rawStats("GET / HTTP/1.0\r\n\r\n"),
    );
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    expect(head).toMatch(/^HTTP\/1\.[01] 200 OK\r\n/);
    expect(head).toMatch(/content-type: application\/json/i);
    expect(head).not.toMatch(/access-control/i);
    expect((JSON.parse(body) as StatsDocument).pid).toBe(emperor.pid);
  });

  test("--stats-minified has no line ends", async () => {
    const emperor = await startEmperor({ args: ["--stats-minified"], vassals: { "a.ini": loyal } });
    expect((await emperor.rawStats()).trim()).not.toContain("\n");
  });

  test("stay valid JSON whatever a vassal is called", async () => {
    const name = 'quote" back\\slash.ini';
    const emperor = await startEmperor({ vassals: { [name]: loyal } });
    await emperor.vassalWith(name, { loyal: 1 });
  });

  test("the unix socket is gone when the Emperor is, and a stale one is no obstacle", async () => {
    const first = await startEmperor();
    first.signal("SIGKILL");
    await first.ended();
    expect(existsSync(first.statsAddress ?? "")).toBe(true);
    const second = await startEmperor({}, first.run);
    expect((await second.stats()).pid).toBe(second.pid);
    second.signal("SIGTERM");
    await second.ended();
    expect(existsSync(first.statsAddress ?? "")).toBe(false);
  });

  test("an address that cannot be bound ends the start with a message that names it", async () => {
    const emperor = await startEmperor({ stats: "/no/such/folder/stats.sock", impatient: true });
    const exit = await emperor.ended();
    expect(exit.code).not.toBe(0);
    expect(emperor.log()).toContain("/no/such/folder/stats.sock");
  });
});

describe("rude clients", () => {
  test("who never read hold up nobody and are dropped", async () => {
    const many = Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => [`vassal-with-a-rather-long-name-${n}.ini`, loyal]),
    );
    const emperor = await startEmperor({ vassals: many });
    // Each costs descriptors: counted before all are up, the number would be too low for ever.
    await emperor.wait("all to be loyal", async () => {
      return (
        (await emperor.stats()).vassals.filter(({ loyal: isLoyal }) => isLoyal === 1).length === 40
      );
    });
    const before = await emperor.watchingDescriptorCount();
    for (let n = 0; n < 30; n++) await silentClient(emperor.statsAddress ?? "");
    emperor.put("new.ini", loyal);
    await emperor.vassalWith("new.ini", { loyal: 1 });
    emperor.remove("new.ini");
    await emperor.forgotten("new.ini");
    await emperor.wait("their descriptors to be closed", () => emperor.descriptorCount() <= before);
  });

  test("who send rubbish get their answer or nothing, and the next one is served", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": loyal } });
    const rubbish = "\0\u0001\u0002".repeat(100_000);
    await exchange(emperor.statsAddress ?? "", rubbish).catch(() => undefined);
    expect((await emperor.stats()).pid).toBe(emperor.pid);
  });

  test("of HTTP who never send a request are dropped", async () => {
    const emperor = await startEmperor({ args: ["--stats-http"], impatient: true });
    await emperor.wait("an answer", () => emperor.rawStats("GET / HTTP/1.0\r\n\r\n"));
    const before = await emperor.watchingDescriptorCount();
    for (let n = 0; n < 5; n++) await silentClient(emperor.statsAddress ?? "");
    const answer = await emperor.rawStats("GET / HTTP/1.0\r\n\r\n");
    expect(answer).toContain('"vassals"');
    await emperor.wait("their descriptors to be closed", () => emperor.descriptorCount() <= before);
  });

  test("who hang up in the middle do no harm", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": loyal } });
    for (let n = 0; n < 50; n++) {
      const socket = connectTo(emperor.statsAddress ?? "");
      socket.on("error", () => undefined);
      await once(socket, "connect");
      socket.destroy();
    }
    expect((await emperor.stats()).pid).toBe(emperor.pid);
  });
});
