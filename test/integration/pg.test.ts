/** Vassals from a real PostgreSQL: what is documented, instant reaction, and what a table may hold. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor, type EmperorUnderTest, type StartOptions } from "../harness/emperor.ts";
import { isRoot } from "../harness/privileges.ts";
import { needing } from "../../linux/test/privileges.ts";
import { hasPostgres, Postgres, postgresTest } from "../harness/postgres.ts";

const SCHEMA = readFileSync(join(import.meta.dirname, "../../examples/pg/schema.sql"), "utf8");
const rootPostgresTest = needing(
  isRoot && hasPostgres,
  "needs root, the Debian package postgresql",
);

/** So rare that what happens in time was told, not polled. */
const NEVER = 3600;

let server: Postgres | undefined;
beforeAll(async () => {
  if (!hasPostgres) return;
  server = new Postgres();
  await server.start();
});
afterAll(() => server?.end());

class Source {
  readonly server: Postgres;
  readonly database: string;

  constructor(schema = SCHEMA) {
    if (server === undefined) throw new Error("the server did not start");
    this.server = server;
    this.database = server.database();
    this.sql(schema);
  }

  sql(text: string): string {
    return this.server.sql(text, this.database);
  }

  address(query = "", more = ""): string {
    const conninfo =
      `host=${this.server.path} user=postgres dbname=${this.database} ${more}`.trim();
    return `pg://${conninfo}${query === "" ? "" : `;${query}`}`;
  }

  add(name: string, config: string, ts = "now()"): void {
    this.sql(
      `INSERT INTO vassals (name, config, ts) VALUES (${text(name)}, ${text(config)}, ${ts})`,
    );
  }
}

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
const loyal = (note = "1"): string => vassalConfig("re-reads-config", { note });

/** The vassal has got, at its start or with a reload, the config that holds this note. */
function got(emperor: EmperorUnderTest, name: string, note: string): Promise<unknown> {
  return emperor.report("config", name, { text: loyal(note) });
}

function emperorOn(monitor: string, more: StartOptions = {}): Promise<EmperorUnderTest> {
  return startEmperor({ monitors: [monitor], ...more });
}

describe("a table", () => {
  postgresTest("starts, reloads, and stops vassals", async () => {
    const source = new Source();
    source.add("a.ini", loyal("first"));
    const emperor = await emperorOn(source.address("SELECT name,config,ts FROM vassals"));
    await got(emperor, "a.ini", "first");
    source.add("b.ini", loyal());
    await emperor.vassalWith("b.ini", { loyal: 1 });
    source.sql(`UPDATE vassals SET config=${text(loyal("second"))} WHERE name='a.ini'`);
    await got(emperor, "a.ini", "second");
    source.sql("DELETE FROM vassals WHERE name='b.ini'");
    await emperor.forgotten("b.ini");
    expect(emperor.starts("emperor://a.ini")).toBe(1);
    const { monitors, emperor: shown } = await emperor.stats();
    expect(monitors?.[0]).toMatchObject({ state: "connected", vassals: 1, reason: "" });
    expect(shown).toEqual([source.address("SELECT name,config,ts FROM vassals")]);
  });

  postgresTest("tells by notification what changed, long before the next look", async () => {
    const source = new Source();
    const emperor = await emperorOn(source.address(), { frequencySeconds: NEVER });
    source.add("a.ini", loyal("first"));
    await got(emperor, "a.ini", "first");
    source.sql(`UPDATE vassals SET config=${text(loyal("second"))} WHERE name='a.ini'`);
    await got(emperor, "a.ini", "second");
    source.sql("UPDATE vassals SET name='b.ini'");
    await emperor.vassalWith("b.ini", { loyal: 1 });
    await emperor.forgotten("a.ini");
    source.sql("TRUNCATE vassals");
    await emperor.forgotten("b.ini");
    source.sql(
      `INSERT INTO vassals (name, config) SELECT 'n' || i || '.ini', ${text(loyal())} FROM generate_series(1, 12) i`,
    );
    for (let number = 1; number <= 12; number += 1)
      await emperor.vassalWith(`n${number}.ini`, { loyal: 1 });
  });

  for (const [type, before, after] of [
    ["timestamptz", "'2020-01-01 00:00:00+00'", "'2019-01-01 00:00:00+00'"],
    ["timestamp", "'2020-01-01 00:00:00'", "'2030-01-01 00:00:00'"],
    ["numeric", "1577836800.25", "1577836800.75"],
    ["bigint", "1577836800", "5"],
  ] as const) {
    postgresTest(
      `reads a ts of type ${type}: any other value is a change, an older one too`,
      async () => {
        const source = new Source(`CREATE TABLE vassals (name text, config text, ts ${type})`);
        source.add("a.ini", loyal("first"), before);
        const emperor = await emperorOn(source.address("SELECT name, config, ts FROM vassals"));
        const { born } = await emperor.vassalWith("a.ini", { loyal: 1 });
        expect(born).toBe(1_577_836_800);
        source.sql(`UPDATE vassals SET ts=${after}, config=${text(loyal("second"))}`);
        await got(emperor, "a.ini", "second");
      },
    );
  }

  postgresTest("answers for this Emperor's node, as $1 and as ${node}", async () => {
    const source = new Source(
      "CREATE TABLE vassals (name text, config text, ts int default 1, host text)",
    );
    for (const host of ["east", "west"])
      source.sql(
        `INSERT INTO vassals (name, config, host) VALUES ('${host}.ini', ${text(loyal())}, '${host}')`,
      );
    for (const where of ["host = $1", "host = '${node}'", "host = ${node}"]) {
      const emperor = await emperorOn(
        source.address(`SELECT name,config,ts FROM vassals WHERE ${where};`),
        {
          args: ["--emperor-node", "west"],
        },
      );
      await emperor.vassalWith("west.ini", { loyal: 1 });
      expect((await emperor.stats()).vassals.map(({ id }) => id)).toEqual(["west.ini"]);
      await emperor.close();
    }
  });

  postgresTest("stands beside a directory and a second table", async () => {
    const [one, two] = [new Source(), new Source()];
    one.add("a.ini", loyal("one"));
    two.add("a.ini", loyal("two"));
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal("file") },
      monitors: ["{vassals}", one.address(), two.address()],
    });
    await emperor.report("configured", "a.ini", { note: "file" });
    for (const note of ["one", "two"]) await got(emperor, "a.ini", note);
    one.sql("DELETE FROM vassals");
    await emperor.wait("two vassals", async () => (await emperor.stats()).vassals.length === 2);
  });
});

describe("what a table may hold", () => {
  postgresTest(
    "strange names, NULLs, large and wrong configs start nothing and harm nobody",
    async () => {
      const source = new Source("CREATE TABLE vassals (name text, config text, ts text)");
      const rows: readonly (readonly [string, string, string])[] = [
        ["'../../etc/a.ini'", text(loyal()), "'1'"],
        ["'/etc/b.ini'", text(loyal()), "'1'"],
        ["repeat('x', 300) || '.ini'", text(loyal()), "'1'"],
        ["E'forged\\nline.ini'", text(loyal()), "'1'"],
        ["NULL", text(loyal()), "'1'"],
        ["'nothing.ini'", "NULL", "'1'"],
        ["'empty.ini'", "''", "'1'"],
        ["'huge.ini'", "repeat('#', 50000000)", "'1'"],
        ["'no-suffix'", text(loyal()), "'1'"],
        ["'double.ini'", text(loyal("older")), "'1'"],
        ["'double.ini'", text(loyal("newer")), "'2'"],
        ["'shop/front.ini'", text(loyal()), "'not a number'"],
        ["'timeless.ini'", text(loyal()), "NULL"],
        ["'tomorrow.ini'", text(loyal()), "'99999999999'"],
      ];
      for (const [name, config, ts] of rows)
        source.sql(`INSERT INTO vassals VALUES (${name}, ${config}, ${ts})`);
      const emperor = await emperorOn(source.address("SELECT * FROM vassals"));
      for (const name of ["shop/front.ini", "timeless.ini", "tomorrow.ini"])
        await emperor.vassalWith(name, { loyal: 1 });
      await got(emperor, "double.ini", "newer");
      const ids = (await emperor.stats()).vassals.map(({ id }) => id).toSorted();
      expect(ids).toEqual(["double.ini", "shop/front.ini", "timeless.ini", "tomorrow.ini"]);
      for (const part of [
        '"../../etc/a.ini" is refused, no vassal: its name leads to another directory',
        '"/etc/b.ini" is refused, no vassal: its name is an absolute path',
        "its name has 304 bytes, 254 are allowed",
        '"forged\\nline.ini" is refused',
        '"nothing.ini" is refused, no vassal: its config is NULL',
        '"empty.ini" is refused, no vassal: its config is empty',
        '"huge.ini" is refused, no vassal: its config has 50000000 bytes, more than are allowed',
        '"no-suffix" is refused',
        "rows without a name (NULL) are ignored: 1",
        'several rows are named "double.ini": the newest counts',
        "ts) is neither a number nor a time",
      ])
        await emperor.logged(part);
      // Each once, however often it is looked at.
      source.sql(`INSERT INTO vassals VALUES ('last.ini', ${text(loyal())}, '1')`);
      await emperor.vassalWith("last.ini", { loyal: 1 });
      expect(emperor.log().split('"empty.ini" is refused')).toHaveLength(2);
    },
  );

  postgresTest(
    "bytes that are no UTF-8 start nothing; in a bytea they are taken as they are",
    async () => {
      const source = new Source("");
      source.sql(
        "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
      );
      const sql = (statement: string): string => source.server.sql(statement, "bytes");
      sql("CREATE TABLE vassals (name text, config text, ts int)");
      sql(`INSERT INTO vassals VALUES (E'\\xff\\xfe.ini', ${text(loyal())}, 1)`);
      sql("INSERT INTO vassals VALUES ('latin.ini', E'[uwsgi]\\n# caf\\xe9\\n', 1)");
      sql(`INSERT INTO vassals VALUES ('fine.ini', ${text(loyal())}, 1)`);
      sql("CREATE TABLE raw (name text, config bytea, ts int)");
      sql(
        `INSERT INTO raw VALUES ('raw.ini', convert_to(${text(loyal("raw"))}, 'UTF8') || '\\x23e90a', 1)`,
      );
      const address = `pg://host=${source.server.path} user=postgres dbname=bytes`;
      const emperor = await startEmperor({
        monitors: [address, `${address};SELECT * FROM raw`],
      });
      await emperor.vassalWith("fine.ini", { loyal: 1 });
      await emperor.vassalWith("raw.ini", { loyal: 1 });
      await emperor.logged("its name is not valid UTF-8");
      await emperor.logged('"latin.ini" is refused, no vassal: its config is not valid UTF-8');
      expect((await emperor.stats()).vassals).toHaveLength(2);
    },
  );

  rootPostgresTest(
    "in tyrant mode rows run as their owner, and rows without a proper one do not run",
    async () => {
      const source = new Source();
      source.add("mine.ini", loyal());
      source.sql("UPDATE vassals SET uid = 12345, gid = 12346");
      for (const [name, uid, gid] of [
        ["nobody.ini", "NULL", "NULL"],
        ["root.ini", "0", "0"],
        ["half.ini", "12345", "NULL"],
        ["minus.ini", "-5", "12346"],
      ] as const)
        source.sql(
          `INSERT INTO vassals (name, config, uid, gid) VALUES ('${name}', ${text(loyal())}, ${uid}, ${gid})`,
        );
      const emperor = await emperorOn(
        source.address("SELECT name, config, ts, uid, gid FROM vassals"),
        {
          args: ["--emperor-tyrant"],
        },
      );
      expect(await emperor.vassalWith("mine.ini", { loyal: 1 })).toMatchObject({
        uid: 12345,
        gid: 12346,
      });
      for (const name of ["nobody.ini", "root.ini", "half.ini", "minus.ini"])
        await emperor.logged(`invalid permissions for vassal ${name}`);
      await emperor.logged('the uid of "minus.ini" is no id: "-5"');
      expect((await emperor.stats()).vassals.map(({ id }) => id)).toEqual(["mine.ini"]);
    },
  );
});
