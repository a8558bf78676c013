/**
 * `pg://CONNINFO[;QUERY]`: vassals from a table of PostgreSQL. Reads the address and puts connection
 * and session together. Loads the driver when it connects for the first time.
 */
import { MonitorError } from "../errors.ts";
import type { MonitorOptions } from "../monitor.ts";
import {
  REMOTE_DEFAULTS,
  type RemoteListener,
  type RemoteRules,
  type RemoteSession,
  type RemoteSource,
} from "../remote.ts";
import { maskAddress, withoutSecrets } from "../secrets.ts";
import { readPgAddress } from "./conninfo.ts";
import { connectionFacts, type PgConnectionFacts } from "./connection-facts.ts";
import { withNode } from "./statements.ts";
import { Table } from "./table.ts";

export class PgSource implements RemoteSource {
  readonly id: string;
  readonly address: string;
  readonly secrets: string[] = [];
  readonly needsSuffix = true;
  readonly #facts: PgConnectionFacts;
  readonly #query: string;
  readonly #options: MonitorOptions;
  readonly #rules: RemoteRules;
  /** Learned rows are known again after a reconnect: only what changed meanwhile is fetched. */
  readonly #table = new Table();
  #toldPasswordFile = false;

  /** @throws MonitorError `invalid-address` */
  constructor(address: string, options: MonitorOptions) {
    this.#options = options;
    this.#rules = options.remote ?? REMOTE_DEFAULTS;
    const { conninfo, query } = readPgAddress(address);
    const shown = maskAddress(`pg://${address}`);
    try {
      this.#facts = connectionFacts(conninfo, this.#rules.environment);
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new MonitorError(
        "invalid-address",
        shown,
        `monitor address ${JSON.stringify(shown)} ${what}`,
      );
    }
    if (this.#facts.password !== undefined) this.secrets.push(this.#facts.password);
    this.#query = withNode(query);
    this.address = withoutSecrets(shown, this.secrets);
    this.id = this.address;
  }

  async connect(listener: RemoteListener, signal: AbortSignal): Promise<RemoteSession> {
    const { connectToAny } = await import("./connect.ts");
    const { PgSession } = await import("./pg-session.ts");
    const connection = await connectToAny(this.#facts, {
      signal,
      secret: (password) => {
        if (!this.secrets.includes(password)) this.secrets.push(password);
      },
      warn: (message) => {
        if (!this.#toldPasswordFile) listener.notice("warning", message);
        this.#toldPasswordFile = true;
      },
      alive: () => listener.alive(),
    });
    const session = new PgSession(connection, listener, {
      query: this.#query,
      channel: this.#rules.pgChannel,
      rules: this.#rules,
      frequencyMs: this.#options.frequencySeconds * 1000,
      clock: this.#options.clock,
      table: this.#table,
    });
    try {
      await session.prepare();
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }
}
