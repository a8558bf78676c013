/**
 * One connection to MongoDB, or to what speaks its protocol: compares all documents without their
 * configs, fetches those that changed, and follows the collection's change stream where the server has
 * one. Looks and stream overlap, so that no change falls between them. Knows no address.
 */
import {
  BSON,
  type ChangeStream,
  type ChangeStreamDocument,
  type Collection,
  type Document,
  type MongoClient,
} from "mongodb";
import type { MonitorClock } from "../monitor.ts";
import { quoteName } from "../names.ts";
import { reasonOf } from "../reason.ts";
import type { RemoteListener, RemoteRules, RemoteSession } from "../remote.ts";
import { withNodeName, type MongoAddress } from "./address.ts";
import { entryOf, projectionOf, secondsOf, versionOf, type VassalDocument } from "./documents.ts";

/** Documents decoded in one go. */
const BATCH = 500;
/** Documents with their configs in one go. */
const FULL_BATCH = 50;
/** With a change stream a look at everything only heals what a stream could have missed. */
const STREAMED_LOOK_MS = 60_000;
/** A stream that ended is opened again after this. */
const STREAM_RETRY_MS = 30_000;
/** More named changes than this are found faster by a look at everything. */
const MAX_HINTED = 1000;

export interface MongoSessionTools {
  readonly client: MongoClient;
  readonly address: MongoAddress;
  readonly rules: RemoteRules;
  readonly attributes: readonly string[];
  readonly frequencyMs: number;
  readonly clock: MonitorClock;
  /** Versions by name that were told; outlives the connections. */
  readonly known: Map<string, string>;
}

export class MongoSession implements RemoteSession {
  readonly #tools: MongoSessionTools;
  readonly #listener: RemoteListener;
  readonly #collection: Collection;
  readonly #filter: Document;
  #stream: ChangeStream | undefined;
  /** The server has answered: from here on no change is missed. */
  #isStreaming = false;
  #streamRetryAt = 0;
  #hasStreams = true;
  readonly #hinted = new Set<string>();
  #wantsAll = true;
  #lookedAt = -Infinity;
  #isClosed = false;
  #toldNameless = 0;
  #toldRepeated = "";

  constructor(tools: MongoSessionTools, listener: RemoteListener) {
    this.#tools = tools;
    this.#listener = listener;
    const { address, client, rules } = tools;
    this.#collection = client.db(address.database).collection(address.collection);
    this.#filter = BSON.EJSON.deserialize(
      withNodeName(address.filter, rules.node) as Document,
    ) as Document;
  }

  async look(): Promise<void> {
    const { clock, frequencyMs } = this.#tools;
    await this.#openStream();
    const everyMs = !this.#isStreaming ? frequencyMs : Math.max(frequencyMs, STREAMED_LOOK_MS);
    const isDue = this.#wantsAll || clock.now() - this.#lookedAt >= everyMs - 1;
    if (!isDue) return await this.#lookAtHinted();
    this.#wantsAll = false;
    this.#hinted.clear();
    await this.#lookAtAll();
    this.#lookedAt = clock.now();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const stream = this.#stream;
    this.#stream = undefined;
    await stream?.close();
    await this.#tools.client.close(true);
  }

  /** What a lost connection still brings must not count as told: nobody hears of it. */
  #alive(): void {
    if (this.#isClosed) throw new Error("the connection is closed");
    this.#listener.alive();
  }

  async #lookAtAll(): Promise<void> {
    const { attributes, known } = this.#tools;
    const cursor = this.#collection.find(this.#filter, {
      projection: projectionOf(attributes),
      batchSize: BATCH,
    });
    const seen = new Map<string, { readonly version: string; readonly ts: number }>();
    const repeated: string[] = [];
    let nameless = 0;
    for await (const document of cursor) {
      if (cursor.bufferedCount() === 0) this.#alive();
      const { name, ts } = document as VassalDocument;
      if (typeof name !== "string") {
        nameless += 1;
        continue;
      }
      const now = { version: versionOf(document, attributes), ts: secondsOf(ts) };
      const other = seen.get(name);
      if (other !== undefined) repeated.push(name);
      // Of several the newest; at the same time always the same one.
      if (
        other === undefined ||
        now.ts > other.ts ||
        (now.ts === other.ts && now.version < other.version)
      )
        seen.set(name, now);
    }
    this.#alive();
    if (seen.size === 0) await this.#refuseMissingCollection();
    this.#noteOddities(nameless, repeated);
    for (const name of known.keys()) if (!seen.has(name)) this.#drop(name);
    const changed = [...seen].filter(([name, { version }]) => known.get(name) !== version);
    for (let at = 0; at < changed.length; at += FULL_BATCH)
      await this.#fetch(changed.slice(at, at + FULL_BATCH).map(([name]) => name));
  }

  async #lookAtHinted(): Promise<void> {
    const names = [...this.#hinted].slice(0, FULL_BATCH);
    if (names.length === 0) return;
    for (const name of names) this.#hinted.delete(name);
    const found = await this.#fetch(names);
    for (const name of names) if (!found.has(name)) this.#drop(name);
    if (this.#hinted.size > 0) this.#listener.lookSoon();
  }

  /** Documents in full, by name; tells of those that changed. */
  async #fetch(names: readonly string[]): Promise<ReadonlySet<string>> {
    const { attributes, address, known } = this.#tools;
    const newest = new Map<string, VassalDocument>();
    const cursor = this.#collection.find(
      { $and: [this.#filter, { name: { $in: [...names] } }] },
      { projection: { ...projectionOf(attributes), config: 1 }, batchSize: FULL_BATCH },
    );
    for await (const document of cursor) {
      if (typeof document["name"] !== "string") continue;
      const other = newest.get(document["name"]);
      if (other === undefined || isNewer(document, other, attributes))
        newest.set(document["name"], document);
    }
    this.#alive();
    for (const [name, document] of newest) {
      const version = versionOf(document, attributes);
      if (known.get(name) === version) continue;
      const verdict = this.#listener.wanted(entryOf(document, attributes, address.defaults));
      // A refusal is told once per version by the roll; one for want of room is offered again.
      if (verdict.accepted || verdict.isFull !== true) known.set(name, version);
    }
    return new Set(newest.keys());
  }

  #drop(name: string): void {
    if (!this.#tools.known.delete(name)) return;
    this.#listener.unwanted(name);
  }

  /** MongoDB gives an empty answer for a collection that is not there: that stops nobody. */
  async #refuseMissingCollection(): Promise<void> {
    const { client, address } = this.#tools;
    const found = await client
      .db(address.database)
      .listCollections({ name: address.collection }, { nameOnly: true })
      .toArray()
      // Not everybody may list: then an empty answer is an empty collection.
      .catch(() => undefined);
    this.#alive();
    if (found?.length === 0)
      throw new Error(
        `there is no collection ${quoteName(`${address.database}.${address.collection}`)}`,
      );
  }

  #noteOddities(nameless: number, repeated: readonly string[]): void {
    if (nameless > 0 && nameless !== this.#toldNameless)
      this.#listener.notice("warning", `documents without a text as name are ignored: ${nameless}`);
    this.#toldNameless = nameless;
    const text = repeated
      .slice(0, 10)
      .map((name) => quoteName(name.slice(0, 300)))
      .join(", ");
    if (text !== "" && text !== this.#toldRepeated)
      this.#listener.notice(
        "warning",
        `several documents have one name, the newest counts: ${text}`,
      );
    this.#toldRepeated = text;
  }

  async #openStream(): Promise<void> {
    const { clock, client, address } = this.#tools;
    if (this.#stream !== undefined || !this.#hasStreams || clock.now() < this.#streamRetryAt)
      return;
    this.#streamRetryAt = clock.now() + STREAM_RETRY_MS;
    const hello = await client.db(address.database).command({ hello: 1 });
    this.#alive();
    // Only members of a replica set and routers of a cluster have them.
    if (typeof hello["setName"] !== "string" && hello["msg"] !== "isdbgrid") {
      this.#hasStreams = false;
      return;
    }
    const stream = this.#collection.watch([], { fullDocument: "updateLookup" });
    this.#stream = stream;
    stream.on("change", (change) => this.#hear(change));
    stream.on("error", (error) => this.#streamEnded(stream, error));
    stream.on("end", () => this.#streamEnded(stream, new Error("it ended")));
    stream.once("resumeTokenChanged", () => {
      if (this.#stream !== stream) return;
      // What changed since the last look and before the stream began is found by one more look.
      this.#isStreaming = true;
      this.#wantsAll = true;
      this.#listener.lookSoon();
    });
  }

  #hear(change: ChangeStreamDocument): void {
    switch (change.operationType) {
      case "insert":
      case "replace":
      case "update": {
        const name: unknown = change.fullDocument?.["name"];
        const isRenamed =
          change.operationType === "replace" ||
          (change.operationType === "update" &&
            change.updateDescription.updatedFields?.["name"] !== undefined);
        if (typeof name === "string" && !isRenamed && this.#hinted.size < MAX_HINTED)
          this.#hinted.add(name);
        else this.#wantsAll = true;
        break;
      }
      default:
        // A deletion names no vassal; the rest concerns the whole collection.
        this.#wantsAll = true;
    }
    this.#listener.lookSoon();
  }

  #streamEnded(stream: ChangeStream, error: unknown): void {
    if (this.#isClosed || this.#stream !== stream) return;
    this.#stream = undefined;
    this.#isStreaming = false;
    this.#listener.notice(
      "warning",
      `no change stream, changes are found by looking every ${this.#tools.frequencyMs / 1000} s: ${reasonOf(error)}`,
    );
    stream.close().catch(() => undefined);
    this.#wantsAll = true;
    this.#listener.lookSoon();
  }
}

function isNewer(
  document: VassalDocument,
  other: VassalDocument,
  attributes: readonly string[],
): boolean {
  const [a, b] = [secondsOf(document["ts"]), secondsOf(other["ts"])];
  return a > b || (a === b && versionOf(document, attributes) < versionOf(other, attributes));
}
