/**
 * What is measured, T1 to T11. Each task runs in a session and adds its figures to `results`:
 * milliseconds, megabytes, counts. Knows nothing of how they are printed.
 */
import { cpuMs, delay, ExitWatch, memory, now } from "./measure.mjs";
import { Session } from "./session.mjs";

/** A random moment of the supervisor's polling period. */
function randomPhase(peer) {
  return delay(50 + Math.random() * peer.phaseMs);
}

export function milliseconds(from, to) {
  return to === undefined ? undefined : (to - from) / 1e6;
}

export function vassalNames(count) {
  return Array.from({ length: count }, (_, n) => `v${String(n).padStart(4, "0")}.ini`);
}

/** A session with `count` vassals running; also gives the boot's duration in ms. */
async function governed(peer, tools, count, body) {
  const session = new Session(peer.command, tools, { owner: peer.owner });
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
export async function sampled(peer, count, sample) {
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
  return results;
}

/** T1, T2 and T10 alone, of this Emperor with everything that keeps vassals apart; and the statistics. */
export async function runIsolatedTasks(peer, tools, say) {
  const results = { T2: [], T10: { ten: [], thousand: [] }, stats: [] };
  say(`${peer.name}: T1, T2, T10 with vassals kept apart`);
  await governed(peer, tools, 10, async (session) => {
    await delay(2000);
    results.T1 = { renamed: await dropSamples(session, peer, peer.samples, "drop") };
  });
  for (let n = 0; n < 3; n++) {
    await governed(peer, tools, 10, async (session) => {
      await delay(1500);
      results.T10.ten.push(await stopAll(session, tools));
    });
    await governed(peer, tools, 1000, async (session, _names, bootMs) => {
      results.T2.push(bootMs);
      await delay(2000);
      for (let round = 0; round < 5; round++) results.stats.push(await session.statistics());
      results.T10.thousand.push(await stopAll(session, tools));
    });
  }
  return results;
}
