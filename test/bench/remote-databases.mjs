/**
 * What databases as sources cost: from a row or document to its process, and an idle table of 10,000
 * rows. Starts its own PostgreSQL and FerretDB if they are there. Gives rows of a table; prints none.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
} from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { delay, median, now, until } from "./measure.mjs";
import { Session } from "./session.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
// The drivers are the monitors' own.
const require = createRequire(join(root, "monitors/package.json"));
const CONFIG = "[uwsgi]\n";

function postgresPrograms() {
  const folder = "/usr/lib/postgresql";
  const versions = existsSync(folder) ? readdirSync(folder) : [];
  return versions
    .map((version) => join(folder, version, "bin"))
    .find((bin) => existsSync(join(bin, "postgres")));
}

/** PostgreSQL refuses to run as root. */
function plainUser() {
  if (process.getuid() !== 0) return {};
  const line = readFileSync("/etc/passwd", "utf8").match(/^postgres:[^:]*:(\d+):(\d+)/m);
  return { uid: Number(line?.[1] ?? 65534), gid: Number(line?.[2] ?? 65534) };
}

/** Runs `body` with the folder of a fresh server's socket and a connection to it. */
async function withPostgres(bin, body) {
  const path = mkdtempSync(join(tmpdir(), "bench-pg-"));
  const user = plainUser();
  if (user.uid !== undefined) chownSync(path, user.uid, user.gid);
  const data = join(path, "data");
  const options = {
    ...user,
    cwd: path,
    stdio: "ignore",
    env: { PATH: process.env["PATH"], LC_ALL: "C" },
  };
  execFileSync(
    join(bin, "initdb"),
    ["-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"],
    options,
  );
  const server = spawn(
    join(bin, "postgres"),
    ["-D", data, "-k", path, "-c", "listen_addresses=", "-c", "fsync=off"],
    options,
  );
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const { Client } = require("pg");
  let client;
  try {
    await until(() => existsSync(join(path, ".s.PGSQL.5432")), 30_000, 20);
    for (let attempt = 0; client === undefined; attempt++) {
      const one = new Client({ host: path, user: "postgres", database: "postgres" });
      one.on("error", () => undefined);
      try {
        await one.connect();
        client = one;
      } catch (error) {
        if (attempt > 100) throw error;
        await delay(50);
      }
    }
    await client.query(readFileSync(join(root, "examples/pg/schema.sql"), "utf8"));
    await body(path, client);
  } finally {
    await client?.end();
    server.kill("SIGQUIT");
    await ended;
    rmSync(path, { recursive: true, force: true });
  }
}

/** Samples of ms from `insert(name)` to the start of the vassal of that name. */
export async function startTimes(command, tools, count, phaseMs, insert) {
  const session = new Session(command, tools);
  const samples = [];
  try {
    session.start();
    const ready = "warm-up.ini";
    await insert(ready);
    await session.allStarted([`emperor://${ready}`], 30_000);
    for (let n = 0; n < count; n++) {
      await delay(50 + Math.random() * phaseMs);
      const name = `v${n}.ini`;
      const at = now();
      await insert(name);
      const started = await session.allStarted([`emperor://${name}`], 20_000);
      samples.push(started === undefined ? undefined : (started - at) / 1e6);
    }
  } finally {
    await session.close();
  }
  return samples;
}

/** CPU of the monitor alone and bytes on its connection, per look and in 20 s, with 10,000 rows. */
async function idleTable(folder, client, say) {
  let bytes = 0;
  const proxyFolder = join(folder, "proxy");
  mkdirSync(proxyFolder);
  const proxy = createServer((client) => {
    const server = connect(join(folder, ".s.PGSQL.5432"));
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      from.on("data", (chunk) => {
        bytes += chunk.length;
        to.write(chunk);
      });
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
  });
  await new Promise((resolve) => proxy.listen(join(proxyFolder, ".s.PGSQL.5432"), resolve));
  const child = spawn(
    process.execPath,
    [join(here, "idle-monitor.mjs"), `pg://host=${proxyFolder} user=postgres dbname=postgres`],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const lines = [];
  child.stdout
    .setEncoding("utf8")
    .on("data", (text) => lines.push(...text.split("\n").filter(Boolean)));
  try {
    await until(() => lines.length >= 1, 60_000, 20);
    bytes = 0;
    await until(() => lines.length >= 2, 60_000, 20);
    const idleBytes = bytes;
    await until(() => lines.length >= 3, 60_000, 20);
    say("pg: 10,000 rows, 1,000 changes a second for 30 s");
    const endsAt = now() + 30e9;
    for (let from = 0; now() < endsAt; from = (from + 100) % 10_000) {
      const names = Array.from({ length: 100 }, (_, n) => `v${from + n + 1}.ini`);
      await Promise.all([
        client.query("UPDATE vassals SET ts = clock_timestamp() WHERE name = ANY($1)", [names]),
        delay(100),
      ]);
    }
    await delay(1000);
    child.stdin.write("report\n");
    await until(() => lines.length >= 4, 60_000, 20);
    return Object.assign(
      { bytes: idleBytes },
      ...lines.slice(0, 4).map((line) => JSON.parse(line)),
    );
  } finally {
    child.kill("SIGKILL");
    proxy.close();
  }
}

export function shown(samples) {
  const known = samples.filter((value) => value !== undefined);
  if (known.length === 0) return `none of ${samples.length}`;
  return `${median(known).toFixed(1)} ms (max ${Math.max(...known).toFixed(1)} ms, n=${samples.length})`;
}

/**
 * Rows of [task, goal, ours, uWSGI's]. `peers` as bench.mjs has them; uWSGI's Emperor takes part if its
 * plugin is installed.
 */
export async function databaseRows(peers, tools, say) {
  const [ours, uwsgi] = peers;
  const rows = [];
  const bin = postgresPrograms();
  if (bin === undefined) say("pg: not measured, PostgreSQL is not installed");
  else {
    await withPostgres(bin, async (folder, client) => {
      const insert = (name) =>
        client.query("INSERT INTO vassals (name, config) VALUES ($1, $2)", [name, CONFIG]);
      const address = `pg://host=${folder} user=postgres dbname=postgres`;
      say("pg: a row until its process, this Emperor");
      const mine = await startTimes(
        [...ours.command, "--emperor", address],
        tools,
        20,
        400,
        insert,
      );
      let theirs = "not measured";
      if (uwsgi !== undefined && existsSync("/usr/lib/uwsgi/plugins/emperor_pg_plugin.so")) {
        await client.query("TRUNCATE vassals");
        say("pg: a row until its process, uWSGI");
        const command = [...uwsgi.command, "--plugin", "emperor_pg", "--emperor", address];
        theirs = shown(await startTimes(command, tools, 10, 3000, insert));
      }
      rows.push([
        "pg: a row is inserted, until its process starts (NOTIFY)",
        "<= 30 ms",
        shown(mine),
        theirs,
      ]);
      await client.query("TRUNCATE vassals");
      await client.query(
        "INSERT INTO vassals (name, config) SELECT 'v' || i || '.ini', repeat('# a line of config\n', 50) FROM generate_series(1, 10000) i",
      );
      say("pg: 10,000 rows, idle");
      const idle = await idleTable(folder, client, say);
      const perLook = idle.bytes / idle.looks;
      rows.push([
        "pg: 10,000 rows, idle: CPU of the monitor, looking every 3 s",
        "<= 1 %",
        `${((100 * idle.cpuMs) / idle.wallMs).toFixed(2)} %`,
        "",
      ]);
      rows.push([
        "pg: 10,000 rows, idle: traffic per look",
        "<= 2 KB",
        `${Math.round(perLook)} bytes`,
        "",
      ]);
      rows.push([
        "pg: 1,000 changes a second for 30 s: longest hold-up of the loop",
        "< 50 ms",
        `${idle.longestMs.toFixed(1)} ms, 99 % under ${idle.usualMs.toFixed(1)} ms (with nothing to do ${idle.idleLongestMs.toFixed(1)} ms; ${idle.changes} changes told)`,
        "",
      ]);
      rows.push([
        "pg: 10,000 rows, first look until all are told",
        "",
        `${Math.round(idle.firstMs)} ms`,
        "",
      ]);
    });
  }
  const ferretdb = join(root, ".tools/bin/ferretdb");
  if (!existsSync(ferretdb))
    say("mongodb: not measured, FerretDB is not built (scripts/ferretdb.sh)");
  else rows.push(...(await mongoRows(ferretdb, ours, tools, say)));
  return rows;
}

async function mongoRows(ferretdb, ours, tools, say) {
  const path = mkdtempSync(join(tmpdir(), "bench-fd-"));
  const socket = join(path, "m.sock");
  const server = spawn(ferretdb, [socket, path], { cwd: path, stdio: "ignore" });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  try {
    await until(() => existsSync(socket), 30_000, 20);
    const { MongoClient } = require("mongodb");
    const client = await new MongoClient(`mongodb://${encodeURIComponent(socket)}/`).connect();
    const collection = client.db("uwsgi").collection("emperor.vassals");
    const insert = (name) => collection.insertOne({ name, config: CONFIG, ts: new Date() });
    const address = `mongodb://${encodeURIComponent(socket)}`;
    say("mongodb: a document until its process, this Emperor");
    const command = [...ours.command, "--emperor-freq", "1", "--emperor", address];
    const samples = await startTimes(command, tools, 10, 1000, insert);
    await client.close();
    return [
      [
        "mongodb (FerretDB, no change stream): a document, until its process starts, looking every second",
        "",
        shown(samples),
        "",
      ],
    ];
  } finally {
    server.kill("SIGKILL");
    await ended;
    rmSync(path, { recursive: true, force: true });
  }
}
