/** Several Emperors in networks of their own follow one table; one is cut off and comes back. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { needing } from "../../linux/test/privileges.ts";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor, type EmperorUnderTest } from "../harness/emperor.ts";
import { hostsAround, type Host } from "../harness/hosts.ts";
import { hasPostgres, Postgres } from "../harness/postgres.ts";
import { findProgram, isRoot } from "../harness/privileges.ts";

const programs = ["ip", "nsenter", "unshare", "setpriv"];
const fleetTest = needing(
  isRoot && hasPostgres && programs.every((program) => findProgram(program) !== undefined),
  `needs root, the Debian package postgresql, ${programs.join(", ")}`,
);

const config = (note: string): string => vassalConfig("re-reads-config", { note });

const QUERY =
  "SELECT name, config, ts FROM vassals WHERE host IN ($1, '*') AND NOT EXISTS (SELECT FROM draining WHERE draining.host = $1)";

function emperorOn(host: Host, node: string): Promise<EmperorUnderTest> {
  return startEmperor({
    monitors: [`pg://host=${host.hub} user=postgres dbname=postgres;${QUERY}`],
    launcher: host.launcher,
    args: ["--emperor-node", node, "--emperor-source-timeout", "2"],
  });
}

function got(emperor: EmperorUnderTest, name: string, note: string): Promise<unknown> {
  return emperor.report("config", name, { text: config(note) });
}

async function names(emperor: EmperorUnderTest): Promise<readonly string[]> {
  return (await emperor.stats()).vassals.map(({ id }) => id).toSorted();
}

fleetTest(
  "a change reaches every host that it concerns; one that was cut off catches up; one drains",
  async () => {
    const { hub, hosts } = await hostsAround(2);
    const server = new Postgres();
    onTestFinished(() => server.end());
    await server.start(hub.launcher);
    server.sql(readFileSync(join(import.meta.dirname, "../../examples/pg/schema.sql"), "utf8"));
    server.sql(
      "ALTER TABLE vassals ADD host text NOT NULL DEFAULT '*'; CREATE TABLE draining (host text)",
    );
    const add = (name: string, host = "*"): string =>
      server.sql(
        `INSERT INTO vassals (name, config, host) VALUES ('${name}', '${config("1")}', '${host}')`,
      );
    const [east, west] = await Promise.all(
      hosts.map((host, index) => emperorOn(host, index === 0 ? "east" : "west")),
    );
    if (east === undefined || west === undefined) throw new Error("two hosts were asked for");
    add("all.ini");
    add("east.ini", "east");
    await Promise.all([east, west].map((emperor) => emperor.vassalWith("all.ini", { loyal: 1 })));
    await east.vassalWith("east.ini", { loyal: 1 });
    expect(await names(west)).toEqual(["all.ini"]);
    const { pid } = await west.vassalWith("all.ini");

    hosts[1]?.pull();
    server.sql(`UPDATE vassals SET config = '${config("2")}' WHERE name = 'all.ini'`);
    add("late.ini");
    await got(east, "all.ini", "2");
    await east.vassalWith("late.ini", { loyal: 1 });
    await west.wait("the host that is cut off to notice", async () => {
      return (await west.stats()).monitors?.[0]?.state === "unavailable";
    });
    expect((await west.vassalWith("all.ini")).pid).toBe(pid);

    hosts[1]?.plug();
    await west.vassalWith("late.ini", { loyal: 1 });
    await got(west, "all.ini", "2");
    expect((await west.vassalWith("all.ini")).pid).toBe(pid);

    server.sql(
      "INSERT INTO draining VALUES ('east'); UPDATE vassals SET host = 'west' WHERE host = 'east'",
    );
    await west.vassalWith("east.ini", { loyal: 1 });
    await east.wait("the drained host to be empty", async () => (await names(east)).length === 0);
    expect(await names(west)).toEqual(["all.ini", "east.ini", "late.ini"]);
  },
);
