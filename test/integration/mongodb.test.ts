/** Vassals from documents: a real FerretDB, and where it lacks something, a stand-in that is named so. */
import { join } from "node:path";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Collection, Document } from "mongodb";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor, type EmperorUnderTest, type StartOptions } from "../harness/emperor.ts";
import { Ferretdb, ferretdbTest, hasFerretdb } from "../harness/ferretdb.ts";
import { startMongoStandIn } from "../harness/mongo-stand-in.ts";
import { startProxy } from "../harness/proxy.ts";

const NEVER = 3600;

let server: Ferretdb | undefined;
beforeAll(async () => {
  if (!hasFerretdb) return;
  server = new Ferretdb();
  await server.start();
});
afterAll(() => server?.end());

const config = (note = "1"): string => vassalConfig("re-reads-config", { note });

function got(emperor: EmperorUnderTest, name: string, note: string): Promise<unknown> {
  return emperor.report("config", name, { text: config(note) });
}

interface Place {
  readonly server: Ferretdb;
  readonly database: string;
  readonly collection: Collection<Document>;
}

async function place(of = server): Promise<Place> {
  if (of === undefined) throw new Error("the server did not start");
  const database = of.database();
  const collection = (await of.client()).db(database).collection("vassals");
  return { server: of, database, collection };
}

function emperorOn(monitor: string, more: StartOptions = {}): Promise<EmperorUnderTest> {
  return startEmperor({ monitors: [monitor], ...more });
}

function isUnavailable(emperor: EmperorUnderTest, reason: string): Promise<true> {
  return emperor.wait(`the monitor to be unavailable: ${reason}`, async () => {
    const monitor = (await emperor.stats()).monitors?.[0];
    if (monitor?.state === "unavailable" && monitor.reason.includes(reason)) return true;
    throw new Error(JSON.stringify(monitor));
  });
}

describe("a collection", () => {
  ferretdbTest("starts, reloads, and stops vassals", async () => {
    const { collection, database, server: at } = await place();
    await collection.insertMany([
      { name: "a.ini", config: config("first"), ts: new Date(1_577_836_800_000), enabled: 1 },
      { name: "off.ini", config: config(), ts: new Date(), enabled: 0 },
    ]);
    const emperor = await emperorOn(`mongodb://${at.address},${database}.vassals,{enabled:1}`);
    await got(emperor, "a.ini", "first");
    expect(await emperor.vassalWith("a.ini", { loyal: 1 })).toMatchObject({ born: 1_577_836_800 });
    await collection.insertOne({ name: "b.ini", config: config(), ts: new Date(), enabled: 1 });
    await emperor.vassalWith("b.ini", { loyal: 1 });
    await collection.updateOne(
      { name: "a.ini" },
      { $set: { config: config("second"), ts: new Date() } },
    );
    await got(emperor, "a.ini", "second");
    await collection.updateOne({ name: "b.ini" }, { $set: { enabled: 0 } });
    await emperor.forgotten("b.ini");
    expect((await emperor.stats()).vassals.map(({ id }) => id)).toEqual(["a.ini"]);
    expect(emperor.starts("emperor://a.ini")).toBe(1);
  });

  ferretdbTest(
    "is addressed by keys and values, filtered by node, with defaults for attributes",
    async () => {
      const { collection, database, server: at } = await place();
      await collection.insertMany([
        { name: "a.ini", config: config(), ts: 1, host: "west", plan: "gold" },
        { name: "b.ini", config: config(), ts: 1, host: "west" },
        { name: "c.ini", config: config(), ts: 1, host: "east" },
      ]);
      const emperor = await emperorOn(
        `mongodb2://addr=${at.address},collection=${database}.vassals,json={host:'\${node}'\\,ts:{$gt:0}},defaults={plan:"basic"}`,
        { args: ["--emperor-node", "west", "--emperor-collect-attr", "plan"] },
      );
      expect(await emperor.vassalWith("a.ini", { loyal: 1 })).toMatchObject({
        attrs: { plan: ["gold"] },
      });
      expect(await emperor.vassalWith("b.ini", { loyal: 1 })).toMatchObject({
        attrs: { plan: ["basic"] },
      });
      expect((await emperor.stats()).vassals).toHaveLength(2);
    },
  );

  ferretdbTest("may hold strange documents, which start nothing and harm nobody", async () => {
    const { collection, database, server: at } = await place();
    await collection.insertMany([
      { config: config() },
      { name: 5, config: config() },
      { name: "../a.ini", config: config(), ts: new Date() },
      { name: "nul\0.ini", config: config(), ts: new Date() },
      { name: `${"x".repeat(300)}.ini`, config: config(), ts: new Date() },
      { name: "number.ini", config: 5, ts: new Date() },
      { name: "large.ini", config: "#".repeat(100_000), ts: new Date() },
      { name: "double.ini", config: config("older"), ts: new Date(1000) },
      { name: "double.ini", config: config("newer"), ts: new Date(2000) },
      { name: "odd-ts.ini", config: config(), ts: "soon" },
      { name: "fine.ini", config: config() },
    ]);
    const emperor = await emperorOn(`mongodb://${at.address},${database}.vassals`);
    for (const name of ["odd-ts.ini", "fine.ini"]) await emperor.vassalWith(name, { loyal: 1 });
    await got(emperor, "double.ini", "newer");
    expect((await emperor.stats()).vassals.map(({ id }) => id).toSorted()).toEqual([
      "double.ini",
      "fine.ini",
      "odd-ts.ini",
    ]);
    for (const part of [
      "documents without a text as name are ignored: 2",
      '"../a.ini" is refused, no vassal: its name leads to another directory',
      '"number.ini" is refused, no vassal: its config is no text',
      '"large.ini" is refused, no vassal: its config has 100000 bytes, 65535 are allowed',
      'several documents have one name, the newest counts: "double.ini"',
    ])
      await emperor.logged(part);
  });

  ferretdbTest(
    "stops nothing when it is dropped, when the server goes, hangs, or comes back",
    async () => {
      const own = new Ferretdb();
      await own.start();
      onTestFinished(() => own.end());
      const folder = mkdtempSync(join(tmpdir(), "mp-"));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const proxy = await startProxy(own.socket, join(folder, "p.sock"));
      const { collection, database } = await place(own);
      const insert = { name: "a.ini", config: config(), ts: new Date(1000) };
      await collection.insertOne({ ...insert });
      const emperor = await emperorOn(
        `mongodb://${encodeURIComponent(join(folder, "p.sock"))},${database}.vassals`,
        { args: ["--emperor-source-timeout", "2"] },
      );
      const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
      await collection.drop();
      await isUnavailable(emperor, "there is no collection");
      await collection.insertOne({ ...insert });
      await collection.insertOne({ ...insert, name: "b.ini" });
      await emperor.vassalWith("b.ini", { loyal: 1 });
      proxy.freeze();
      await isUnavailable(emperor, "");
      proxy.thaw();
      await collection.insertOne({ ...insert, name: "c.ini" });
      await emperor.vassalWith("c.ini", { loyal: 1 });
      await own.stop();
      await isUnavailable(emperor, "");
      await own.start();
      await (await own.client()).db(database).collection("vassals").deleteOne({ name: "b.ini" });
      await emperor.forgotten("b.ini");
      expect((await emperor.vassalWith("a.ini")).pid).toBe(pid);
      expect(emperor.starts("emperor://a.ini")).toBe(1);
    },
  );
});

describe("a change stream (wire-level stand-in for a replica set)", () => {
  it("tells what changed, long before the next look", async () => {
    const standIn = await startMongoStandIn();
    standIn.put({ name: "a.ini", config: config("first"), ts: new Date(1000) });
    const emperor = await emperorOn(`mongodb://${standIn.address}`, { frequencySeconds: NEVER });
    await got(emperor, "a.ini", "first");
    await emperor.wait("the stream to be opened", () => standIn.streams > 0);
    standIn.put({ name: "b.ini", config: config(), ts: new Date(1000) });
    await emperor.vassalWith("b.ini", { loyal: 1 });
    standIn.put({ name: "a.ini", config: config("second"), ts: new Date(2000) });
    await got(emperor, "a.ini", "second");
    standIn.remove("b.ini");
    await emperor.forgotten("b.ini");
  });

  it("that ends leaves nothing unseen: the collection is looked at from then on", async () => {
    const standIn = await startMongoStandIn();
    const emperor = await emperorOn(`mongodb://${standIn.address}`, { frequencySeconds: 1 });
    await emperor.wait("the stream to be opened", () => standIn.streams > 0);
    standIn.put({ name: "a.ini", config: config(), ts: new Date(1000) });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    standIn.putSilently({ name: "b.ini", config: config(), ts: new Date(1000) });
    standIn.failStreams({ code: 286, errmsg: "the point to go on from is lost" });
    await emperor.vassalWith("b.ini", { loyal: 1 });
    await emperor.logged("no change stream, changes are found by looking every 1 s");
    standIn.putSilently({ name: "c.ini", config: config(), ts: new Date(1000) });
    await emperor.vassalWith("c.ini", { loyal: 1 });
  });
});
