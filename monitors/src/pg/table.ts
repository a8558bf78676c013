/**
 * What is known of the rows that a query gives: per name the hash, per bucket the sum, so that a few
 * numbers from the server tell whether and where something changed. Pure: it runs no query.
 */
import type { RowFields } from "./statements.ts";

/** A row that was chosen for its name. */
export interface Row {
  readonly name: string;
  readonly hash: string;
  readonly ts: number;
  readonly uid: string | null;
  readonly gid: string | null;
  readonly socket: string | null;
  readonly lengthBytes: number | undefined;
  readonly config: string | Buffer | null;
}

export interface BucketSum {
  readonly count: number;
  readonly sum: bigint;
}

interface Known {
  readonly bucket: number;
  readonly hash: string;
  /** Of all rows with this name. */
  readonly count: number;
  readonly sum: bigint;
}

export interface Difference {
  readonly changed: readonly Row[];
  readonly gone: readonly string[];
  /** Names that several rows have. */
  readonly repeated: readonly string[];
}

export class Table {
  readonly #known = new Map<string, Known>();
  readonly #buckets = new Map<number, BucketSum>();
  #total: BucketSum = { count: 0, sum: 0n };

  get size(): number {
    return this.#known.size;
  }

  isSame(total: BucketSum): boolean {
    return total.count === this.#total.count && total.sum === this.#total.sum;
  }

  /** Buckets that differ from what the server says, with the number of rows it has there. */
  differing(server: ReadonlyMap<number, BucketSum>): Map<number, number> {
    const differing = new Map<number, number>();
    for (const [bucket, { count, sum }] of server) {
      const ours = this.#buckets.get(bucket);
      if (ours?.count !== count || ours.sum !== sum) differing.set(bucket, count);
    }
    for (const [bucket, { count }] of this.#buckets)
      if (count > 0 && !server.has(bucket)) differing.set(bucket, 0);
    return differing;
  }

  /** Hashes of the known rows in these buckets, whose configs need not be sent. */
  hashesIn(buckets: ReadonlySet<number>): string[] {
    const hashes: string[] = [];
    for (const { bucket, hash } of this.#known.values()) if (buckets.has(bucket)) hashes.push(hash);
    return hashes;
  }

  hashesOf(names: Iterable<string>): string[] {
    const hashes: string[] = [];
    for (const name of names) {
      const known = this.#known.get(name);
      if (known !== undefined) hashes.push(known.hash);
    }
    return hashes;
  }

  /** All rows of these buckets, and no other. */
  learnBuckets(buckets: ReadonlySet<number>, rows: readonly RowFields[]): Difference {
    const before: string[] = [];
    for (const [name, { bucket }] of this.#known) if (buckets.has(bucket)) before.push(name);
    return this.#learn(before, rows);
  }

  /** All rows of these names, and no other. */
  learnNames(names: readonly string[], rows: readonly RowFields[]): Difference {
    return this.#learn(names, rows);
  }

  /** The row is taken for new when it is seen again. */
  forget(name: string): void {
    this.#forget(name);
  }

  #learn(before: readonly string[], rows: readonly RowFields[]): Difference {
    const byName = new Map<string, RowFields[]>();
    for (const row of rows) {
      const same = byName.get(row[2]);
      if (same === undefined) byName.set(row[2], [row]);
      else same.push(row);
    }
    const changed: Row[] = [];
    const gone: string[] = [];
    const repeated: string[] = [];
    for (const name of before) {
      if (byName.has(name)) continue;
      if (this.#forget(name)) gone.push(name);
    }
    for (const [name, same] of byName) {
      if (same.length > 1) repeated.push(name);
      const row = chosen(same);
      if (this.#known.get(name)?.hash !== row.hash) changed.push(row);
      this.#forget(name);
      const sum = same.reduce((total, [, hash]) => total + BigInt(hash), 0n);
      this.#add({ bucket: Number(same[0]?.[0]), hash: row.hash, count: same.length, sum }, name);
    }
    return { changed, gone, repeated };
  }

  #add(known: Known, name: string): void {
    this.#known.set(name, known);
    this.#count(known.bucket, known.count, known.sum);
  }

  #forget(name: string): boolean {
    const known = this.#known.get(name);
    if (known === undefined) return false;
    this.#known.delete(name);
    this.#count(known.bucket, -known.count, -known.sum);
    return true;
  }

  #count(bucket: number, count: number, sum: bigint): void {
    const before = this.#buckets.get(bucket) ?? { count: 0, sum: 0n };
    this.#buckets.set(bucket, { count: before.count + count, sum: before.sum + sum });
    this.#total = { count: this.#total.count + count, sum: this.#total.sum + sum };
  }
}

/** Of several rows with one name the newest; at the same time the one with the smallest hash. */
function chosen(rows: readonly RowFields[]): Row {
  const all = rows.map(read);
  const [first, ...others] = all;
  if (first === undefined) throw new Error("a name without a row");
  return others.reduce(
    (best, row) => (row.ts > best.ts || (row.ts === best.ts && row.hash < best.hash) ? row : best),
    first,
  );
}

function read(fields: RowFields): Row {
  const [, hash, name, ts, uid, gid, socket, length, config] = fields;
  const seconds = Number(ts ?? "0");
  return {
    name,
    hash,
    ts: Number.isFinite(seconds) ? Math.floor(seconds) : 0,
    uid,
    gid,
    socket,
    lengthBytes: length === null ? undefined : Number(length),
    config,
  };
}
