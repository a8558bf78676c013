/**
 * One connection to PostgreSQL: looks at the table with a few cheap statements and tells what differs;
 * hears notifications, which name what changed. Knows no address and no password.
 */
import type { MonitorClock } from "../monitor.ts";
import { quoteName } from "../names.ts";
import { reasonOf } from "../reason.ts";
import type { RemoteEntry, RemoteListener, RemoteRules, RemoteSession } from "../remote.ts";
import { readId } from "../ids.ts";
import type { PgConnection } from "./connect.ts";
import { describing, statementsFor, type RowFields, type Statements } from "./statements.ts";
import type { BucketSum, Row, Table } from "./table.ts";

/** Rows that one statement may bring: what is decoded in one go. */
const ROWS_AT_A_TIME = 500;

/** More named changes than this are found faster by a look at everything. */
const MAX_HINTED = 2000;

export interface PgSessionTools {
  readonly query: string;
  readonly channel: string;
  readonly rules: RemoteRules;
  readonly frequencyMs: number;
  readonly clock: MonitorClock;
  /** What the connections of this monitor have learned; outlives each of them. */
  readonly table: Table;
}

export class PgSession implements RemoteSession {
  readonly #connection: PgConnection;
  readonly #listener: RemoteListener;
  readonly #tools: PgSessionTools;
  #statements: Statements | undefined;
  readonly #hinted = new Set<string>();
  #wantsAll = true;
  #lookedAt = -Infinity;
  readonly #refused = new Set<string>();
  #isClosed = false;
  #toldNulls = "0";
  #toldRepeated = new Set<string>();

  constructor(connection: PgConnection, listener: RemoteListener, tools: PgSessionTools) {
    this.#connection = connection;
    this.#listener = listener;
    this.#tools = tools;
    const { client } = connection;
    client.on("error", (error) => listener.lost(`the connection failed: ${reasonOf(error)}`));
    client.on("end", () => listener.lost("the server closed the connection"));
    client.on("notification", ({ payload }) => this.#hear(payload));
  }

  /** Settings of the session, and the channel: before the first look, so that nothing is missed. */
  async prepare(): Promise<void> {
    const { channel, rules } = this.#tools;
    await this.#ask(`SET statement_timeout = ${Math.ceil(rules.answerTimeoutMs)}`, []);
    // A database without an encoding takes any bytes; asked for UTF-8, its server would refuse every
    // row because of one. The roll refuses that one.
    await this.#ask(
      "SELECT set_config('client_encoding', 'SQL_ASCII', false) WHERE current_setting('server_encoding') = 'SQL_ASCII'",
      [],
    );
    if (channel === "") return;
    try {
      await this.#ask(`LISTEN "${channel.replaceAll('"', '""')}"`, []);
    } catch (error) {
      // A standby, or a pool of connections in front of the server: then the poll alone finds changes.
      this.#listener.notice(
        "warning",
        `cannot listen on channel ${quoteName(channel)}, changes are found by looking only: ${reasonOf(error)}`,
      );
    }
  }

  async look(): Promise<void> {
    const { clock, frequencyMs } = this.#tools;
    const isDue = clock.now() - this.#lookedAt >= frequencyMs - 1;
    if (!this.#wantsAll && !isDue && this.#hinted.size > 0) return await this.#lookAtHinted();
    this.#wantsAll = false;
    this.#hinted.clear();
    const statements = await this.#described();
    await this.#lookAtAll(statements);
    this.#lookedAt = clock.now();
  }

  async close(): Promise<void> {
    const { client, socket } = this.#connection;
    this.#isClosed = true;
    // A server that hangs does not answer a farewell either.
    client.end().catch(() => undefined);
    socket.destroy();
  }

  #hear(payload: string | undefined): void {
    if (payload === undefined || payload === "" || this.#hinted.size >= MAX_HINTED)
      this.#wantsAll = true;
    else this.#hinted.add(payload);
    this.#listener.lookSoon();
  }

  async #ask<Fields extends readonly unknown[]>(
    text: string,
    values: readonly unknown[],
  ): Promise<Fields[]> {
    const { rows } = await this.#connection.client.query<Fields & unknown[]>({
      text,
      values: [...values],
      rowMode: "array",
    });
    // What a lost connection still brings must not count as known: nobody hears of it.
    if (this.#isClosed) throw new Error("the connection is closed");
    this.#listener.alive();
    return rows;
  }

  async #described(): Promise<Statements> {
    if (this.#statements !== undefined) return this.#statements;
    const { query, rules } = this.#tools;
    const probe = statementsFor(query, [], rules.node, 0);
    const { fields } = await this.#connection.client.query({
      text: describing(query),
      values: [...probe.leading],
      rowMode: "array",
    });
    if (fields.length < 3)
      throw new Error(
        `its query gives ${fields.length} ${fields.length === 1 ? "column" : "columns"}; needed are at least 3: name, config, ts`,
      );
    const columns = fields.map(({ dataTypeID }) => ({ type: dataTypeID }));
    this.#statements = statementsFor(query, columns, rules.node, rules.maxConfigBytes);
    if (this.#statements.remark !== undefined)
      this.#listener.notice("warning", this.#statements.remark);
    return this.#statements;
  }

  async #lookAtAll(statements: Statements): Promise<void> {
    const { table } = this.#tools;
    const [total] = await this.#ask<[string, string, string]>(statements.total, statements.leading);
    if (total === undefined) throw new Error("the server gave no row where there must be one");
    this.#noteNulls(total[1]);
    if (table.isSame({ count: Number(total[0]), sum: BigInt(total[2]) })) return;
    const server = new Map<number, BucketSum>();
    for (const [bucket, count, sum] of await this.#ask<[number, string, string]>(
      statements.buckets,
      statements.leading,
    ))
      server.set(bucket, { count: Number(count), sum: BigInt(sum) });
    for (const batch of batches(table.differing(server))) {
      if (table.size >= this.#maxRows && !batch.some((bucket) => server.get(bucket) === undefined))
        if (!this.#hasKnownRows(batch)) continue;
      await this.#learnBuckets(statements, batch);
    }
  }

  get #maxRows(): number {
    return this.#tools.rules.maxVassals + 1;
  }

  #hasKnownRows(batch: readonly number[]): boolean {
    return this.#tools.table.hashesIn(new Set(batch)).length > 0;
  }

  async #learnBuckets(statements: Statements, batch: readonly number[]): Promise<void> {
    const { table } = this.#tools;
    const buckets = new Set(batch);
    const rows = await this.#ask<RowFields>(statements.rowsOfBuckets, [
      ...statements.leading,
      batch,
      table.hashesIn(buckets),
      this.#maxRows,
    ]);
    this.#tell(table.learnBuckets(buckets, rows));
  }

  async #lookAtHinted(): Promise<void> {
    const statements = await this.#described();
    const { table } = this.#tools;
    const names = [...this.#hinted].slice(0, ROWS_AT_A_TIME);
    for (const name of names) this.#hinted.delete(name);
    // No text of PostgreSQL holds a NUL, so no name does.
    const asked = names.filter((name) => !name.includes("\0"));
    const rows = await this.#ask<RowFields>(statements.rowsOfNames, [
      ...statements.leading,
      asked,
      table.hashesOf(asked),
      this.#maxRows,
    ]);
    this.#tell(table.learnNames(asked, rows));
    if (this.#hinted.size > 0) this.#listener.lookSoon();
  }

  #tell(difference: ReturnType<Table["learnNames"]>): void {
    for (const name of difference.gone) this.#listener.unwanted(name);
    for (const row of difference.changed) {
      const verdict = this.#listener.wanted(entryOf(row, this.#listener));
      if (!verdict.accepted && verdict.isFull === true && this.#refused.size < MAX_HINTED)
        this.#refused.add(row.name);
    }
    if (difference.gone.length > 0 && this.#refused.size > 0) {
      // There is room again for some that were refused for want of it.
      for (const name of this.#refused) this.#tools.table.forget(name);
      this.#refused.clear();
      this.#wantsAll = true;
      this.#listener.lookSoon();
    }
    const repeated = difference.repeated.filter((name) => !this.#toldRepeated.has(name));
    if (repeated.length === 0) return;
    if (this.#toldRepeated.size > 1000) this.#toldRepeated = new Set();
    for (const name of repeated) this.#toldRepeated.add(name);
    const others = repeated.length > 1 ? ` and ${repeated.length - 1} more` : "";
    this.#listener.notice(
      "warning",
      `several rows are named ${quoteName((repeated[0] ?? "").slice(0, 300))}${others}: the newest counts`,
    );
  }

  #noteNulls(nulls: string): void {
    if (nulls !== this.#toldNulls && nulls !== "0")
      this.#listener.notice("warning", `rows without a name (NULL) are ignored: ${nulls}`);
    this.#toldNulls = nulls;
  }
}

function entryOf(row: Row, listener: RemoteListener): RemoteEntry {
  const { name, hash, ts, socket, lengthBytes, config } = row;
  const uid = readId(row.uid);
  const gid = readId(row.gid);
  for (const [what, read, text] of [
    ["uid", uid, row.uid],
    ["gid", gid, row.gid],
  ] as const) {
    if (read === undefined && text !== null && text !== "")
      listener.notice(
        "warning",
        `the ${what} of ${quoteName(name.slice(0, 300))} is no id: ${quoteName(text.slice(0, 40))}`,
        name,
      );
  }
  return {
    name,
    version: hash,
    modifiedAt: ts,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(socket === null || socket === "" ? {} : { socket }),
    ...configOf(config, lengthBytes),
  };
}

function configOf(
  config: string | Buffer | null,
  lengthBytes: number | undefined,
): Pick<RemoteEntry, "config" | "refusal"> {
  if (config === null) {
    const refusal =
      lengthBytes === undefined
        ? "its config is NULL"
        : `its config has ${lengthBytes} bytes, more than are allowed`;
    return { refusal };
  }
  if (typeof config !== "string") return { config };
  // A database without an encoding gives bytes of any kind, and the driver has replaced some.
  if (config.includes("\ufffd"))
    return { refusal: "its config is not valid UTF-8 (a column of type bytea takes any bytes)" };
  return { config: Buffer.from(config) };
}

/** Buckets in groups of about `ROWS_AT_A_TIME` rows. */
function* batches(counts: ReadonlyMap<number, number>): Generator<number[]> {
  let batch: number[] = [];
  let rows = 0;
  for (const [bucket, count] of counts) {
    if (batch.length > 0 && rows + count > ROWS_AT_A_TIME) {
      yield batch;
      batch = [];
      rows = 0;
    }
    batch.push(bucket);
    rows += count;
  }
  if (batch.length > 0) yield batch;
}
