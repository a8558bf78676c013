import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MonitorError } from "../errors.ts";
import { World } from "../testing/fake-court.ts";
import { connectionFacts, passwordFromFile } from "./connection-facts.ts";
import { DEFAULT_QUERY, readPgAddress } from "./conninfo.ts";
import { PgSource } from "./pg-source.ts";
import { asksForNode, withNode, type RowFields } from "./statements.ts";
import { Table } from "./table.ts";

// Properties are tried many times; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 60_000 });

/** Any UTF-16 units, in no order that means anything. */
const anyText = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
});

describe("the address", () => {
  it.each([
    [
      "host=127.0.0.1 user=emperor dbname=emperor;SELECT 1",
      { host: "127.0.0.1", user: "emperor", dbname: "emperor" },
      "SELECT 1",
    ],
    ["", {}, DEFAULT_QUERY],
    ["host = a  port=5 ;  SELECT 1 ; ", { host: "a", port: "5" }, "SELECT 1"],
    [
      "password='a b;c\\'d\\\\e' host=x;SELECT ';'",
      { password: "a b;c'd\\e", host: "x" },
      "SELECT ';'",
    ],
    ["password=it's host=x;Q", { password: "it's", host: "x" }, "Q"],
    ["password=a\\ b user=''", { password: "a b", user: "" }, DEFAULT_QUERY],
    [
      "postgresql://u:p%40ss@h:1,[::1]:2/d?sslmode=require&application_name=x%20y;Q",
      {
        user: "u",
        password: "p@ss",
        host: "h,::1",
        port: "1,2",
        dbname: "d",
        sslmode: "require",
        application_name: "x y",
      },
      "Q",
    ],
    ["postgres:///d?host=/run/pg", { dbname: "d", host: "/run/pg" }, DEFAULT_QUERY],
  ])("%j is read as libpq reads it", (text, conninfo, query) => {
    expect(readPgAddress(text)).toEqual({ conninfo, query });
  });

  it.each([
    ["host=a passwort=geheim", "unknown connection option"],
    ["host=a service=x", "does not follow"],
    ["host='a", "quotes closed"],
    ["host=a b", "keyword=value"],
    ["host='a'b=c", "behind the value of host"],
    ["postgresql://u:geheim@h/%zz", "hexadecimal"],
  ])("%j is an error without a password in it", (text, what) => {
    expect(() => readPgAddress(text)).toThrow(MonitorError);
    expect(() => readPgAddress(text)).toThrow(what);
    try {
      readPgAddress(text);
    } catch (error) {
      expect(String(error)).not.toContain("geheim@");
      if (error instanceof MonitorError) expect(error.argument).not.toContain(":geheim");
    }
  });

  it("never fails otherwise than by a MonitorError", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          readPgAddress(text);
        } catch (error) {
          expect(error).toBeInstanceOf(MonitorError);
        }
      }),
    );
  });

  it("shows no password", () => {
    const source = new PgSource("host=a password='se cret' user=u;SELECT 1", new World().options());
    expect(source.address).toBe("pg://host=a password=*** user=u;SELECT 1");
    expect(source.id).not.toContain("se cret");
    expect(source.secrets).toEqual(["se cret"]);
  });
});

describe("what the environment and libpq's defaults add", () => {
  it("takes PG* where the address says nothing", () => {
    const facts = connectionFacts(
      { host: "h" },
      { PGHOST: "no", PGPORT: "6000", PGUSER: "u", PGPASSWORD: "p", PGSSLMODE: "verify-full" },
    );
    expect(facts).toMatchObject({
      places: [{ host: "h", port: 6000 }],
      user: "u",
      database: "u",
      password: "p",
      sslMode: "verify-full",
    });
  });

  it("tries several hosts in their order", () => {
    const { places } = connectionFacts({ host: "a,b", hostaddr: ",10.0.0.2", port: "1,2" }, {});
    expect(places).toEqual([
      { host: "a", hostaddr: undefined, port: 1 },
      { host: "b", hostaddr: "10.0.0.2", port: 2 },
    ]);
  });

  it.each([
    [{ sslmode: "perhaps" }, "sslmode"],
    [{ host: "a,b", port: "1,2,3" }, "2 hosts and 3 ports"],
    [{ port: "99999" }, "which is none"],
    [{ connect_timeout: "soon" }, "no number"],
    [{ target_session_attrs: "x" }, "target_session_attrs"],
  ])("refuses %j", (conninfo, what) => {
    expect(() => connectionFacts(conninfo, {})).toThrow(what);
  });
});

describe("the password file", () => {
  const folder = mkdtempSync(join(tmpdir(), "pgpass-"));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("gives the first line that fits, and is not used when others may read it", () => {
    const passwordFile = join(folder, "pass");
    writeFileSync(passwordFile, "# c\nother:*:*:*:no\nh\\:x:5432:*:u:a\\:b\\\\c\n*:*:*:*:any\n");
    chmodSync(passwordFile, 0o600);
    const facts = { passwordFile, user: "u", database: "d" };
    const place = (host: string) => ({ host, hostaddr: undefined, port: 5432 });
    expect(passwordFromFile(facts, place("h:x"))).toEqual({ kind: "password", password: "a:b\\c" });
    expect(passwordFromFile(facts, place("/run"))).toEqual({ kind: "password", password: "any" });
    chmodSync(passwordFile, 0o644);
    expect(passwordFromFile(facts, place("h"))).toMatchObject({ kind: "refused" });
    expect(passwordFromFile({ ...facts, passwordFile: join(folder, "no") }, place("h")).kind).toBe(
      "none",
    );
  });
});

describe("the node in a query", () => {
  it("is a parameter, however it is written", () => {
    expect(withNode("WHERE h='${node}' OR h=${node}")).toBe("WHERE h=$1::text OR h=$1::text");
    expect(asksForNode("WHERE h=$1")).toBe(true);
    for (const query of [
      "SELECT '$1'",
      'SELECT "$1" -- $1',
      "SELECT $10",
      "SELECT $a$ $1 $a$ /* $1 */",
    ])
      expect([query, asksForNode(query)]).toEqual([query, false]);
  });
});

type Rows = Record<string, { bucket: number; hashes: bigint[] }>;

/** What the server would say of these rows. */
function serverOf(rows: Rows) {
  const buckets = new Map<number, { count: number; sum: bigint }>();
  const total = { count: 0, sum: 0n };
  for (const { bucket, hashes } of Object.values(rows)) {
    const before = buckets.get(bucket) ?? { count: 0, sum: 0n };
    const sum = hashes.reduce((a, b) => a + b, 0n);
    buckets.set(bucket, { count: before.count + hashes.length, sum: before.sum + sum });
    total.count += hashes.length;
    total.sum += sum;
  }
  return { buckets, total };
}

function fieldsOf(rows: Rows, pick: (name: string, bucket: number) => boolean): RowFields[] {
  return Object.entries(rows).flatMap(([name, { bucket, hashes }]) =>
    pick(name, bucket)
      ? hashes.map((hash): RowFields => [
          String(bucket),
          String(hash),
          name,
          "1",
          null,
          null,
          null,
          "1",
          "x",
        ])
      : [],
  );
}

describe("what is known of a table", () => {
  const rows = fc.dictionary(
    fc.constantFrom("a", "b", "c", "d", "e", "f"),
    fc.record({
      bucket: fc.integer({ min: 0, max: 3 }),
      hashes: fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), {
        minLength: 1,
        maxLength: 3,
      }),
    }),
  );

  it("is what the server has after every look, and only differences are told", () => {
    fc.assert(
      fc.property(
        fc.array(rows, { minLength: 1, maxLength: 6 }),
        fc.array(fc.string()),
        (states, hints) => {
          const table = new Table();
          // A name's bucket never changes: it is a hash of the name.
          const bucketOf = new Map<string, number>();
          const told = new Map<string, string>();
          for (const state of states) {
            for (const [name, row] of Object.entries(state)) {
              if (!bucketOf.has(name)) bucketOf.set(name, row.bucket);
              row.bucket = bucketOf.get(name) ?? 0;
            }
            const names = [...hints, "a"];
            const hear = ({ changed, gone }: ReturnType<Table["learnNames"]>): void => {
              for (const name of gone) expect(told.delete(name)).toBe(true);
              for (const row of changed) {
                expect(told.get(row.name)).not.toBe(row.hash);
                told.set(row.name, row.hash);
              }
            };
            hear(
              table.learnNames(
                names,
                fieldsOf(state, (name) => names.includes(name)),
              ),
            );
            const { buckets, total } = serverOf(state);
            const differing = table.differing(buckets);
            // The sums of two different contents could be the same by chance; here they are not.
            if (!table.isSame(total)) expect(differing.size).toBeGreaterThan(0);
            for (const bucket of differing.keys())
              hear(
                table.learnBuckets(
                  new Set([bucket]),
                  fieldsOf(state, (_name, of) => of === bucket),
                ),
              );
            expect(table.isSame(total)).toBe(true);
            expect(table.differing(buckets).size).toBe(0);
          }
        },
      ),
    );
  });
});
