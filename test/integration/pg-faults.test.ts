/** Whatever happens to PostgreSQL: what runs keeps running, and afterwards what is wanted is reached. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor, type EmperorUnderTest, type StartOptions } from "../harness/emperor.ts";
import { hasPostgres, Postgres, postgresTest } from "../harness/postgres.ts";
import { startProxy, type Proxy } from "../harness/proxy.ts";

const SCHEMA = "CREATE TABLE vassals (name text, config text, ts int DEFAULT 1)";
const LOYAL = vassalConfig("loyal");

let server: Postgres;
beforeEach(async () => {
  if (!hasPostgres) return;
  server = new Postgres();
  await server.start();
  server.sql(SCHEMA);
});
afterEach(async () => {
  if (hasPostgres) await server.end();
});

function add(name: string): void {
  server.sql(`INSERT INTO vassals (name, config) VALUES ('${name}', '${LOYAL}')`);
}

function emperorOn(
  folder = server.path,
  more: StartOptions & { readonly conninfo?: string } = {},
): Promise<EmperorUnderTest> {
  const { conninfo = "user=postgres", ...options } = more;
  return startEmperor({
    monitors: [
      `pg://host=${folder} dbname=postgres ${conninfo};SELECT name,config,ts FROM vassals`,
    ],
    ...options,
    args: ["--emperor-source-timeout", "2", ...(options.args ?? [])],
  });
}

/** A second way to the server, which can be held up. */
async function proxied(): Promise<{ readonly folder: string; readonly proxy: Proxy }> {
  const folder = mkdtempSync(join(tmpdir(), "pp-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, proxy: await startProxy(server.socket, join(folder, ".s.PGSQL.5432")) };
}

function state(
  emperor: EmperorUnderTest,
  wanted: "connected" | "unavailable",
  reason = "",
): Promise<true> {
  return emperor.wait(`the monitor to be ${wanted} (${reason})`, async () => {
    const monitor = (await emperor.stats()).monitors?.[0];
    if (monitor?.state === wanted && monitor.reason.includes(reason)) return true;
    throw new Error(JSON.stringify(monitor));
  });
}

/** The vassal that ran before still does, with the same process. */
async function untouched(emperor: EmperorUnderTest, pid: number): Promise<void> {
  expect((await emperor.vassalWith("a.ini")).pid).toBe(pid);
  expect(emperor.starts("emperor://a.ini")).toBe(1);
}

describe("a server that", () => {
  postgresTest("is not there at the start", async () => {
    add("a.ini");
    await server.stop();
    const emperor = await emperorOn();
    await state(emperor, "unavailable", "cannot connect to PostgreSQL");
    await server.start();
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await state(emperor, "connected");
  });

  postgresTest("crashes and comes back with other data", async () => {
    add("a.ini");
    add("b.ini");
    const emperor = await emperorOn();
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.vassalWith("b.ini", { loyal: 1 });
    await server.stop("immediate");
    await state(emperor, "unavailable");
    await untouched(emperor, pid);
    expect((await emperor.stats()).vassals).toHaveLength(2);
    await server.start();
    server.sql("DELETE FROM vassals WHERE name = 'b.ini'");
    add("c.ini");
    await emperor.vassalWith("c.ini", { loyal: 1 });
    await emperor.forgotten("b.ini");
    await untouched(emperor, pid);
  });

  postgresTest("is killed in the middle of a query", async () => {
    add("a.ini");
    const emperor = await emperorOn();
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    // Every further look waits for this lock.
    server.sql("ALTER TABLE vassals RENAME TO hidden");
    server.sql("CREATE VIEW vassals AS SELECT name, config, ts FROM hidden, pg_sleep(60)");
    await emperor.wait(
      "a query that sleeps",
      () =>
        server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") !== "0",
    );
    await server.stop("immediate");
    await state(emperor, "unavailable");
    await untouched(emperor, pid);
    await server.start();
    server.sql("DROP VIEW vassals");
    server.sql("ALTER TABLE hidden RENAME TO vassals");
    add("b.ini");
    await emperor.vassalWith("b.ini", { loyal: 1 });
    await untouched(emperor, pid);
  });

  postgresTest("hangs without an answer, and then goes on", async () => {
    add("a.ini");
    const { folder, proxy } = await proxied();
    const emperor = await emperorOn(folder);
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    proxy.freeze();
    add("b.ini");
    await state(emperor, "unavailable", "no answer for 2 s");
    // Each request of the statistics in the wait above was answered: the loop did not hang.
    await untouched(emperor, pid);
    proxy.thaw();
    await emperor.vassalWith("b.ini", { loyal: 1 });
    await state(emperor, "connected");
    await untouched(emperor, pid);
    await emperor.wait("one connection to be left", () => proxy.connections === 1);
  });

  postgresTest("answers slowly, but within the limit", async () => {
    add("a.ini");
    server.sql("ALTER TABLE vassals RENAME TO hidden");
    server.sql(
      "CREATE VIEW vassals AS SELECT name, config, ts FROM hidden, (SELECT pg_sleep(1)) AS slow",
    );
    const emperor = await emperorOn(server.path, { args: ["--emperor-source-timeout", "60"] });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await state(emperor, "connected");
  });

  postgresTest("wants another password than the one that is given", async () => {
    server.sql("CREATE ROLE guarded LOGIN PASSWORD 'richtig'; GRANT SELECT ON vassals TO guarded");
    await server.require("guarded");
    add("a.ini");
    const wrong = await emperorOn(server.path, { conninfo: "user=guarded password=ganz-falsch" });
    await state(wrong, "unavailable", "password authentication failed");
    const { emperor: shown, monitors } = await wrong.stats();
    expect(JSON.stringify([shown, monitors]) + wrong.log()).not.toContain("ganz-falsch");
    await wrong.close();
    const right = await emperorOn(server.path, { conninfo: "user=guarded password=richtig" });
    await right.vassalWith("a.ini", { loyal: 1 });
    expect(right.log() + (await right.rawStats())).not.toContain("richtig");
    await right.close();
    const byFile = await emperorOn(server.path, {
      conninfo: "user=guarded",
      env: { PGPASSFILE: "{dir}/pass" },
      prepare: (run) => {
        writeFileSync(join(run.path, "pass"), "localhost:*:*:guarded:richtig\n");
        chmodSync(join(run.path, "pass"), 0o600);
      },
    });
    await byFile.vassalWith("a.ini", { loyal: 1 });
    await byFile.close();
    const byVariable = await emperorOn(server.path, {
      conninfo: "user=guarded",
      env: { PGPASSWORD: "richtig" },
    });
    const { pid } = await byVariable.vassalWith("a.ini", { loyal: 1 });
    // The tenant's process has not got it.
    expect(readFileSync(`/proc/${pid}/environ`, "utf8")).not.toContain("richtig");
  });

  postgresTest("has no such table, then one with too few columns, then the right one", async () => {
    add("a.ini");
    const emperor = await emperorOn();
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    server.sql("DROP TABLE vassals");
    await state(emperor, "unavailable", 'relation "vassals" does not exist');
    await untouched(emperor, pid);
    server.sql("CREATE TABLE vassals (name text, config text)");
    await state(emperor, "unavailable", 'column "ts" does not exist');
    server.sql("DROP TABLE vassals");
    server.sql(SCHEMA);
    add("a.ini");
    add("b.ini");
    await emperor.vassalWith("b.ini", { loyal: 1 });
    await untouched(emperor, pid);
  });

  postgresTest("allows one vassal more than the Emperor does", async () => {
    for (const name of ["a.ini", "b.ini", "c.ini"]) add(name);
    const emperor = await emperorOn(server.path, { args: ["--emperor-max-vassals", "2"] });
    await emperor.logged("its source wants more than 2 vassals (emperor-max-vassals)");
    await emperor.wait("two vassals", async () => (await emperor.stats()).vassals.length === 2);
    const governed = (await emperor.stats()).vassals.map(({ id }) => id);
    const missing = ["a.ini", "b.ini", "c.ini"].find((name) => !governed.includes(name)) ?? "";
    server.sql(`DELETE FROM vassals WHERE name = '${governed[0]}'`);
    await emperor.vassalWith(missing, { loyal: 1 });
  });

  postgresTest(
    "changes all the time: only the last config of each counts, and others are served",
    async () => {
      add("a.ini");
      const emperor = await emperorOn(server.path, { args: ["--emperor-max-changes", "5"] });
      await emperor.vassalWith("a.ini", { loyal: 1 });
      server.sql(
        "DO $$ BEGIN FOR i IN 1..2000 LOOP UPDATE vassals SET ts = i + 1; PERFORM pg_notify('emperor_vassals', 'a.ini'); COMMIT; END LOOP; END $$",
      );
      add("b.ini");
      await emperor.vassalWith("b.ini", { loyal: 1 });
      await emperor.vassalWith("a.ini", { born: 2001 });
      expect(emperor.starts("emperor://a.ini")).toBe(1);
      expect((await emperor.vassalWith("a.ini")).reloads).toBeLessThan(2000);
    },
  );
});
