// The demonstration behind `make demo-autoscale`: a site grows under load and shrinks when it is over. Makes
// its own load, on a copy of examples/autoscale in a fresh temporary folder. Exits with 0 if it has seen both and
// not one request failed.
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { Agent, get } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readStats } from "./demo-stats.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const MOST_ZERGS = 3;
const CALM_CLIENTS = 1;
const BUSY_CLIENTS = 24;
/** Far more than it takes on a slow machine. */
const PHASE_DEADLINE_MS = 120_000;
const STOP_DEADLINE_MS = 30_000;
const BAR_WIDTH = 30;

const say = (text = "") => process.stdout.write(`${text}\n`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** So many clients, one request after the other each, until `stop`. */
class Load {
  clients = 0;
  answers = 0;
  failures = [];
  times = [];
  #running = 0;
  #agent = new Agent({ keepAlive: false });
  #url;

  constructor(url) {
    this.#url = url;
  }

  set(clients) {
    this.clients = clients;
    while (this.#running < clients) void this.#client();
  }

  async #client() {
    this.#running += 1;
    while (this.#running <= this.clients) {
      const began = performance.now();
      const problem = await this.#ask();
      if (problem === undefined) this.answers += 1;
      else this.failures.push(problem);
      this.times.push(performance.now() - began);
      if (this.clients === CALM_CLIENTS || problem !== undefined) await pause(200);
    }
    this.#running -= 1;
  }

  #ask() {
    return new Promise((resolve) => {
      const request = get(this.#url, { agent: this.#agent, timeout: 60_000 }, (response) => {
        response.resume();
        response.once("end", () =>
          resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`),
        );
        response.once("error", (error) => resolve(error.message));
      });
      request.once("timeout", () => request.destroy(new Error("no answer within a minute")));
      request.once("error", (error) => resolve(error.message));
    });
  }

  /** Waits for the requests that are under way. */
  async stop() {
    this.clients = 0;
    while (this.#running > 0) await pause(20);
  }
}

/** One line a second until `done` says so; false when that takes too long. */
async function watch(what, load, socket, done) {
  const deadline = performance.now() + PHASE_DEADLINE_MS;
  say();
  say(`${what}: ${load.clients} client${load.clients === 1 ? "" : "s"}`);
  for (;;) {
    const before = load.answers;
    load.times = [];
    await pause(1000);
    const stats = await readStats(socket).catch(() => undefined);
    if (stats === undefined) continue;
    const zergs = stats.vassals.filter(({ zerg }) => zerg === 1);
    const serving = 1 + zergs.filter(({ accepting }) => accepting === 1).length;
    const times = load.times.toSorted((a, b) => a - b);
    const slow = times[Math.floor(times.length * 0.95)];
    const bar = "█"
      .repeat(Math.round((serving / (1 + MOST_ZERGS)) * BAR_WIDTH))
      .padEnd(BAR_WIDTH, "·");
    say(
      `  ${bar} ${serving} serve${serving === 1 ? "s" : " "} ${String(load.answers - before).padStart(4)} requests/s` +
        `   95 % within ${slow === undefined ? "-" : Math.ceil(slow)} ms   zergs: ${zergs.map((zerg) => `${zerg.zerg_number} (pid ${zerg.pid})`).join(", ") || "none"}`,
    );
    if (done(zergs)) return true;
    if (performance.now() > deadline) return false;
  }
}

async function show(load, socket) {
  load.set(CALM_CLIENTS);
  let seconds = 0;
  await watch("A quiet site", load, socket, () => ++seconds >= 3);
  load.set(BUSY_CLIENTS);
  const grew = await watch(
    "Load",
    load,
    socket,
    (zergs) => zergs.some(({ accepting }) => accepting === 1) && ++seconds >= 10,
  );
  await load.stop();
  load.set(0);
  const shrank = await watch("The load is over", load, socket, (zergs) => zergs.length === 0);
  say();
  say(
    `grew: ${grew ? "yes" : "NO"}   shrank: ${shrank ? "yes" : "NO"}   answers: ${load.answers}   failures: ${load.failures.length}`,
  );
  for (const failure of new Set(load.failures)) say(`  ${failure}`);
  return grew && shrank && load.failures.length === 0;
}

async function main() {
  if (!existsSync(join(ROOT, "emperor/dist"))) {
    say("demo: nothing is built yet; run `make demo-autoscale` (or `make build` first).");
    return 1;
  }
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "emperor-autoscale-")));
  const port = await freePort();
  cpSync(join(ROOT, "examples/autoscale"), folder, { recursive: true });
  const site = join(folder, "vassals/site.ini");
  writeFileSync(site, readFileSync(site, "utf8").replace("127.0.0.1:18095", `127.0.0.1:${port}`));
  const socket = join(folder, "stats.sock");
  const emperor = spawn(
    join(ROOT, "bin/emperor"),
    [
      "--emperor",
      join(folder, "vassals"),
      "--emperor-stats",
      socket,
      "--emperor-broodlord",
      String(MOST_ZERGS),
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let lines = "";
  emperor.stderr.on("data", (chunk) => {
    lines = (lines + chunk).slice(-20_000);
  });
  const ended = new Promise((resolve) => {
    emperor.once("exit", resolve);
    emperor.once("error", resolve);
  });
  const load = new Load(`http://127.0.0.1:${port}/`);
  const interrupted = new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
      process.once(signal, () => resolve(false));
  });
  let good = false;
  try {
    const deadline = performance.now() + PHASE_DEADLINE_MS;
    for (;;) {
      const stats = await readStats(socket).catch(() => undefined);
      if (stats?.vassals[0]?.accepting === 1) break;
      if (performance.now() > deadline || emperor.exitCode !== null)
        throw new Error("the site does not come up");
      await pause(100);
    }
    good = await Promise.race([show(load, socket), interrupted]);
  } catch (error) {
    say(`demo: ${error.message}`);
  } finally {
    load.clients = 0;
    emperor.kill("SIGTERM");
    const timer = setTimeout(() => emperor.kill("SIGKILL"), STOP_DEADLINE_MS);
    await ended;
    clearTimeout(timer);
    rmSync(folder, { recursive: true, force: true });
  }
  if (!good) say(`the Emperor's log:\n${lines}`);
  return good ? 0 : 1;
}

process.exit(await main());
