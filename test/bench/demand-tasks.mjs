/**
 * What is measured of vassals that run when they are needed, T12 to T14: sleepers, rolling reloads, and a
 * site that grows under load. Gives figures; knows nothing of how they are printed.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { readStats } from "../../scripts/demo-stats.mjs";
import { APPS, Running, freePort } from "./contenders.mjs";
import { firstAnswer, steadyLoad } from "./load.mjs";
import { cpuMs, delay, memory, now, until } from "./measure.mjs";
import { Session } from "./session.mjs";
import { milliseconds, sampled, vassalNames } from "./tasks.mjs";

/** ms from the connect to the first byte of the answer; undefined: there was none. */
function firstByte(path) {
  return new Promise((resolve) => {
    const at = now();
    const client = connect({ path });
    client.setTimeout(20_000, () => client.destroy());
    client.once("data", () => {
      resolve(milliseconds(at, now()));
      client.destroy();
    });
    client.on("error", () => client.destroy());
    client.once("close", () => resolve(undefined));
  });
}

/** A host of sleepers: boot, cost of their sleep, and how soon the first client of one is answered. */
export async function sleepers(peer, tools, count) {
  const result = {};
  const session = new Session(peer.command, tools, {
    options: ["--emperor-on-demand-directory", "{dir}/s"],
  });
  try {
    const folder = join(session.path, "s");
    mkdirSync(folder);
    for (const name of vassalNames(count)) session.drop(name, "serve = 1\n", 5);
    const startedAt = session.start();
    const there = () => readdirSync(folder).length >= count;
    if ((await until(there, 120_000, 20)) === undefined)
      throw new Error(`${peer.name}: not all of ${count} sockets are there`);
    result.bootMs = milliseconds(startedAt, now());
    await delay(6000);
    result.memory = memory(session.own());
    const before = cpuMs(session.own());
    await delay(20_000);
    result.idleMs = cpuMs(session.own()) - before;
    result.first = await sampled(peer, peer.samples, (n) =>
      firstByte(join(folder, `v${String(n).padStart(4, "0")}.socket`)),
    );
  } finally {
    await session.close();
  }
  return result;
}

/** `emperorctl reload --wait` of many, four at a time: vassals that reload at once. */
export async function rollingReload(peer, tools, count) {
  const session = new Session(peer.command, tools, {
    options: ["--emperor-control", "{dir}/control"],
  });
  try {
    const names = vassalNames(count);
    for (const name of names) session.drop(name, "", 5);
    session.start();
    if ((await session.allStarted(names, 120_000)) === undefined)
      throw new Error(`${peer.name}: not all of ${count} vassals started`);
    await delay(2000);
    const at = now();
    const args = ["reload", "--wait", "--all", "--concurrency", "4", "--socket"];
    await promisify(execFile)(peer.ctl, [...args, join(session.path, "control")], {
      maxBuffer: 1 << 24,
    });
    return milliseconds(at, now());
  } finally {
    await session.close();
  }
}

/** An Emperor of real Node vassals, `configs` (name -> lines), in a folder of its own. */
async function withSites(peer, configs, args, body) {
  const folder = mkdtempSync(join(tmpdir(), "bench-demand-"));
  const file = (name) => join(folder, name);
  mkdirSync(file("vassals"));
  for (const [name, lines] of Object.entries(configs(folder)))
    writeFileSync(join(file("vassals"), name), `${lines.join("\n")}\n`);
  const sockets = ["--emperor-stats", file("stats"), "--emperor-control", file("control")];
  const all = ["--emperor", file("vassals"), ...sockets, ...args];
  const emperor = new Running(peer.command[0], all, { cwd: folder });
  try {
    return await body(file, emperor);
  } finally {
    await emperor.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The same with real Node vassals of one process each, every one of them asked all the time, half of the
 * requests on new connections.
 */
export async function rollingReloadUnderLoad(peer, count) {
  const ports = [];
  while (ports.length < count) {
    const port = await freePort();
    if (!ports.includes(port)) ports.push(port);
  }
  const configs = () =>
    Object.fromEntries(
      ports.map((port) => [
        `site-${port}.ini`,
        ["[uwsgi]", `http-socket = 127.0.0.1:${port}`, `node-app = ${join(APPS, "hello.mjs")}`],
      ]),
    );
  return withSites(peer, configs, [], async (file) => {
    const startedAt = now();
    for (const port of ports) await firstAnswer(port, startedAt, 120_000);
    const loads = ports.map((port) => steadyLoad(port, 2, 100));
    await delay(1000);
    const at = now();
    const args = ["reload", "--wait", "--all", "--concurrency", "4", "--socket", file("control")];
    await promisify(execFile)(peer.ctl, args, { maxBuffer: 1 << 24 });
    const tookMs = milliseconds(at, now());
    await delay(500);
    const results = await Promise.all(loads.map((load) => load.stop()));
    const sum = (field) => results.reduce((all, result) => all + result[field], 0);
    const reasons = new Set(results.flatMap((result) => [...result.reasons.keys()]));
    return { tookMs, answers: sum("answers"), failures: sum("failures"), reasons: [...reasons] };
  });
}

/** How long each request holds up its process: one worker answers fifty a second. */
const REQUEST_MS = 20;
const CALM_PER_SECOND = 15;
const BUSY_PER_SECOND = (3 * 1000) / REQUEST_MS;
const BUSY_MS = 6000;
const IDLE_S = 2;
/** Connections that wait when a site asks for help. */
const BACKLOG = 10;

/** A site whose requests block its process but no processor, so that it grows the same on every machine. */
function growingSite(port) {
  return (folder) => {
    const path = (name) => join(folder, name);
    writeFileSync(
      path("app.mjs"),
      `const cell = new Int32Array(new SharedArrayBuffer(4));
export default (_request, response) => {
  Atomics.wait(cell, 0, 0, ${REQUEST_MS});
  response.end(String(process.pid));
};
`,
    );
    const app = `node-app = ${path("app.mjs")}`;
    const site = [`http-socket = 127.0.0.1:${port}`, app, `zerg-server = ${path("zerg")}`];
    const zerg = [`zerg = ${path("zerg")}`, "protocol = http", app];
    return {
      "site.ini": [
        ...["[uwsgi]", ...site, `vassal-sos-backlog = ${BACKLOG}`],
        ...["[zerg]", ...zerg, `idle = ${IDLE_S}`, "die-on-idle = true"],
      ],
    };
  };
}

/** Asks so many times a second, whatever the answers: every request is a new connection, as of so many visitors. */
class Arrivals {
  /** Each: ms from the connect, `at` (ns) of the answer, `by` which process; or `problem`. */
  answers = [];
  #port;
  #open = new Set();
  #agent = new Agent({ keepAlive: false, maxSockets: Infinity });

  constructor(port) {
    this.#port = port;
  }

  async run(perSecond, forMs) {
    const startedAt = now();
    for (let n = 0; (n * 1000) / perSecond < forMs; n++) {
      await delay(Math.max(0, (n * 1000) / perSecond - milliseconds(startedAt, now())));
      const asked = this.#ask();
      this.#open.add(asked);
      void asked.then((answer) => {
        this.#open.delete(asked);
        this.answers.push(answer);
      });
    }
  }

  /** Waits for the requests that are under way. */
  async settle() {
    while (this.#open.size > 0) await Promise.all(this.#open);
  }

  #ask() {
    const askedAt = now();
    return new Promise((resolve) => {
      const failed = (problem) => resolve({ askedAt, problem });
      get({ host: "127.0.0.1", port: this.#port, agent: this.#agent }, (response) => {
        let by = "";
        response.setEncoding("latin1").on("data", (text) => (by += text));
        response.once("error", (error) => failed(error.code ?? error.message));
        response.once("end", () => {
          if (response.statusCode === 200) resolve({ askedAt, at: now(), by });
          else failed(`status ${response.statusCode}`);
        });
      })
        .setTimeout(30_000, function timeout() {
          this.destroy(new Error("no answer within 30 s"));
        })
        .once("error", (error) => failed(error.code ?? error.message));
    });
  }
}

/** From one instance to as many as it takes, and back to one. All times are from the load's begin or end, ms. */
async function growOnce(peer) {
  const port = await freePort();
  const args = ["--emperor-broodlord", "4"];
  return withSites(peer, growingSite(port), args, async (file, emperor) => {
    let startedAt;
    emperor.child.stderr.on("data", () => {
      if (startedAt === undefined && emperor.output.includes("launching zergs")) startedAt = now();
    });
    await firstAnswer(port, now());
    const load = new Arrivals(port);
    // At a random moment of whatever anybody looks at regularly.
    await load.run(CALM_PER_SECOND, 1500 + 1000 * Math.random());
    await load.settle();
    const known = new Set(load.answers.map(({ by }) => by));
    const busyAt = now();
    await load.run(BUSY_PER_SECOND, BUSY_MS);
    const zergs = async () =>
      (await readStats(file("stats"))).vassals.filter(({ zerg }) => zerg === 1).length;
    const most = 1 + (await zergs());
    await load.settle();
    const overAt = now();
    while ((await zergs()) > 0 && milliseconds(overAt, now()) < 30_000) await delay(20);
    const back = (await zergs()) === 0 ? milliseconds(overAt, now()) : undefined;
    const firstAt = load.answers
      .filter(({ by }) => by !== undefined && !known.has(by))
      .reduce((least, { at }) => Math.min(least, at), Infinity);
    const problems = load.answers.flatMap(({ problem }) => problem ?? []);
    return {
      startedMs: milliseconds(busyAt, startedAt),
      servedMs: firstAt === Infinity ? undefined : milliseconds(busyAt, firstAt),
      answers: load.answers.length - problems.length,
      problems,
      most,
      backMs: back,
    };
  });
}

/** `rounds` of it, each with an Emperor of its own: one that has just shrunk waits before it grows again. */
export async function broodlord(peer, rounds) {
  const results = [];
  for (let n = 0; n < rounds; n++) results.push(await growOnce(peer));
  return results;
}
