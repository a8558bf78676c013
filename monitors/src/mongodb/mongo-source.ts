/**
 * `mongodb://` and `mongodb2://`: vassals from the documents of a collection. Puts address, driver and
 * session together; the driver is loaded when it connects for the first time.
 */
import type { MongoClientOptions } from "mongodb";
import type { MonitorOptions } from "../monitor.ts";
import { reasonOf } from "../reason.ts";
import {
  REMOTE_DEFAULTS,
  type RemoteListener,
  type RemoteRules,
  type RemoteSession,
  type RemoteSource,
} from "../remote.ts";
import { maskAddress, withoutSecrets } from "../secrets.ts";
import { readMongo2Address, readMongoAddress, type MongoAddress } from "./address.ts";

export class MongoSource implements RemoteSource {
  readonly id: string;
  readonly address: string;
  readonly secrets: readonly string[];
  readonly needsSuffix = true;
  readonly #address: MongoAddress;
  readonly #options: MonitorOptions;
  readonly #rules: RemoteRules;
  readonly #known = new Map<string, string>();

  /** @throws MonitorError `invalid-address` */
  constructor(scheme: "mongodb" | "mongodb2", address: string, options: MonitorOptions) {
    this.#options = options;
    this.#rules = options.remote ?? REMOTE_DEFAULTS;
    this.#address = scheme === "mongodb" ? readMongoAddress(address) : readMongo2Address(address);
    const inServers = /^[^:@/]*:(.*)@/.exec(this.#address.servers)?.[1];
    this.secrets = [this.#address.login?.password, inServers].filter(
      (secret) => secret !== undefined,
    );
    this.address = withoutSecrets(maskAddress(`${scheme}://${address}`), this.secrets);
    this.id = this.address;
  }

  async connect(listener: RemoteListener, signal: AbortSignal): Promise<RemoteSession> {
    const { MongoClient } = await import("mongodb");
    const { MongoSession } = await import("./mongo-session.ts");
    const { servers, login, replicaSet } = this.#address;
    const client = new MongoClient(urlOf(servers), {
      appName: "emperor",
      // A little less than the monitor's own patience: the driver knows better what is wrong.
      serverSelectionTimeoutMS: this.#rules.answerTimeoutMs * 0.8,
      connectTimeoutMS: this.#rules.answerTimeoutMs * 0.8,
      // One for looks, one for the stream.
      maxPoolSize: 2,
      ...(replicaSet === undefined ? {} : { replicaSet }),
      ...(login === undefined ? {} : loginOptions(login)),
    });
    // Without a listener an error between two commands would end the process.
    client.on("error", () => undefined);
    const giveUp = (): void => void client.close(true).catch(() => undefined);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await client.connect();
    } catch (error) {
      giveUp();
      throw new Error(`cannot connect to MongoDB at ${servers}: ${reasonOf(error)}`, {
        cause: error,
      });
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
    return new MongoSession(
      {
        client,
        address: this.#address,
        rules: this.#rules,
        attributes: this.#options.collectAttributes,
        frequencyMs: this.#options.frequencySeconds * 1000,
        clock: this.#options.clock,
        known: this.#known,
      },
      listener,
    );
  }
}

function urlOf(servers: string): string {
  return servers.includes("/") ? `mongodb://${servers}` : `mongodb://${servers}/`;
}

function loginOptions(login: NonNullable<MongoAddress["login"]>): MongoClientOptions {
  return {
    auth: { username: login.username, password: login.password },
    authSource: login.source,
  };
}
