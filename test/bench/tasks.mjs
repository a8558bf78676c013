/**
 * What is measured, T1 to T13. Each task runs in a session and adds its figures to `results`:
 * milliseconds, megabytes, counts. Knows nothing of how they are printed.
 */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { cpuMs, delay, ExitWatch, memory, now, until } from "./measure.mjs";
import { Session } from "./session.mjs";

/** A random moment of the supervisor's polling period. */
function randomPhase(peer) {
  return delay(50 + Math.random() * peer.phaseMs);
}

function milliseconds(from, to) {
  return to === undefined ? undefined : (to - from) / 1e6;
}

function vassalNames(count) {
  return Array.from({ length: count }, (_, n) => `v${String(n).padStart(4, "0")}.ini`);
}

/** A session with `count` vassals running; also gives the boot's duration in ms. */
async function governed(peer, tools, count, body) {
  const session = new Session(peer.command, tools);
  try {
    const names = vassalNames(count);
    // Older than a second: supervisors hold back what changed within the current one.
    for (const name of names) session.drop(name, "", 5);
    const startedAt = session.start();
    const lastAt = await session.allStarted(names, 120_000);
    if (lastAt === undefined) throw new Error(`${peer.name}: not all of ${count} vassals started`);
    await body(session, names, milliseconds(startedAt, lastAt));
  } finally {
    await session.close();
  }
}

/** `count` samples of `sample(n)`; what took too long counts as undefined and is reported. */
async function sampled(peer, count, sample) {
  const values = [];
  for (let n = 0; n < count; n++) {
    await randomPhase(peer);
    values.push(await sample(n));
  }
  return values;
}

function dropSamples(session, peer, count, put) {
  return sampled(peer, count, async (n) => {
    const name = `${put}${n}-${now()}.ini`;
    const at = session[put](name);
    return milliseconds(at, await session.allStarted([name], 20_000));
  });
}

/** Sends SIGTERM; ms until every stub and every process of the supervisor is gone. */
async function stopAll(session, tools) {
  const watch = await ExitWatch.start(tools.exitWatch, [...session.livePids(), ...session.own()]);
  const at = session.terminate();
  return milliseconds(at, await watch.last(60_000));
}

async function small(peer, tools, results) {
  const count = peer.samples;
  await governed(peer, tools, 10, async (session, names) => {
    await delay(2000);
    results.T1 = { renamed: await dropSamples(session, peer, count, "drop") };
    results.T1.copied = await dropSamples(session, peer, count, "copy");
    results.T5 = await sampled(peer, count, async (n) => {
      const name = names[n % names.length];
      const at = session.touch(name);
      return milliseconds(at, (await session.next("reload", name, at, 20_000))?.at);
    });
    await delay(4000);
    results.T4 = [];
    for (let n = 0; n < peer.samples; n++) {
      // Every vassal has been up for four seconds when its turn comes, as it would be in earnest.
      if (n > 0 && n % names.length === 0) await delay(4000);
      const name = names[n % names.length];
      const at = now();
      process.kill(session.livePid(name), "SIGKILL");
      results.T4.push(milliseconds(at, (await session.next("start", name, at, 20_000))?.at));
    }
    results.T6 = await sampled(peer, Math.min(count, names.length), async (n) => {
      const watch = await ExitWatch.start(tools.exitWatch, [session.livePid(names[n])]);
      const at = session.remove(names[n]);
      return milliseconds(at, await watch.last(20_000));
    });
  });
  results.T10 = { ten: [], thousand: [] };
  for (let n = 0; n < 3; n++) {
    await governed(peer, tools, 10, async (session) => {
      await delay(1500);
      results.T10.ten.push(await stopAll(session, tools));
    });
  }
}

async function large(peer, tools, results) {
  results.T7 = {};
  await governed(peer, tools, 100, async (session) => {
    await delay(4000);
    results.T7.hundred = memory(session.own());
  });
  results.T2 = [];
  for (let n = 0; n < 3; n++) {
    const last = n === 2;
    await governed(peer, tools, 1000, async (session, _names, bootMs) => {
      results.T2.push(bootMs);
      if (last) {
        await delay(8000);
        results.T7.thousand = memory(session.own());
        const before = cpuMs(session.own());
        await delay(20_000);
        results.T8 = cpuMs(session.own()) - before;
        results.T11 = {
          renamed: await dropSamples(session, peer, Math.ceil(peer.samples / 2), "drop"),
        };
        results.T11.copied = await dropSamples(session, peer, Math.ceil(peer.samples / 2), "copy");
      } else await delay(2000);
      results.T10.thousand.push(await stopAll(session, tools));
    });
  }
}

async function burst(peer, tools, results) {
  await governed(peer, tools, 10, async (session) => {
    await delay(2000);
    results.T3 = await sampled(peer, 5, async (round) => {
      const names = vassalNames(50).map((name) => `burst${round}-${name}`);
      const at = now();
      for (const name of names) session.drop(name);
      const took = milliseconds(at, await session.allStarted(names, 60_000));
      for (const name of names) session.remove(name);
      return took;
    });
  });
}

async function storm(peer, tools, crasher) {
  const result = {};
  await governed(peer, tools, 100, async (session) => {
    await delay(2000);
    const before = cpuMs(session.own());
    const startedAt = now();
    const names = vassalNames(10).map((name) => `crasher-${name}`);
    for (const name of names) session.drop(name, crasher);
    result.healthy = [];
    for (let n = 0; n < 4; n++) {
      await delay(3000 + Math.random() * 2000);
      const name = `healthy${n}.ini`;
      const at = session.drop(name);
      result.healthy.push(milliseconds(at, await session.allStarted([name], 20_000)));
    }
    await delay(Math.max(0, 30_000 - (now() - startedAt) / 1e6));
    result.cpuMs = cpuMs(session.own()) - before;
    result.starts = session
      .poll()
      .events.filter((e) => e.event === "start" && e.name.startsWith("crasher-")).length;
  });
  return result;
}

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
  const session = new Session(peer.command, tools, ["--emperor-on-demand-directory", "{dir}/s"]);
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

/** `emperorctl reload --wait` of many, four at a time; only ours has it. */
export async function rollingReload(peer, tools, count) {
  if (peer.ctl === undefined) return undefined;
  const session = new Session(peer.command, tools, ["--emperor-control", "{dir}/control"]);
  try {
    const names = vassalNames(count);
    for (const name of names) session.drop(name, "", 5);
    session.start();
    if ((await session.allStarted(names, 120_000)) === undefined)
      throw new Error(`${peer.name}: not all of ${count} vassals started`);
    await delay(2000);
    const at = now();
    const args = ["reload", "--wait", "--all", "--socket", join(session.path, "control")];
    await promisify(execFile)(peer.ctl, args, { maxBuffer: 1 << 24 });
    return milliseconds(at, now());
  } finally {
    await session.close();
  }
}

/** All tasks of one peer. `say` is told what is going on. */
export async function runTasks(peer, tools, say) {
  const results = {};
  say(`${peer.name}: one config at a time, beside ten vassals (T1, T4, T5, T6, T10)`);
  await small(peer, tools, results);
  say(`${peer.name}: fifty at once (T3)`);
  await burst(peer, tools, results);
  say(`${peer.name}: a thousand vassals (T2, T7, T8, T10, T11)`);
  await large(peer, tools, results);
  say(`${peer.name}: ten crash-loopers beside a hundred (T9)`);
  results.T9 = {
    disloyal: await storm(peer, tools, "crash-ms = 50\ndisloyal = 1\n"),
    loyal: await storm(peer, tools, "crash-ms = 50\n"),
  };
  say(`${peer.name}: five thousand sleepers (T12)`);
  results.T12 = await sleepers(peer, tools, 5000);
  say(`${peer.name}: a rolling reload of two hundred (T13)`);
  results.T13 = await rollingReload(peer, tools, 200);
  return results;
}
