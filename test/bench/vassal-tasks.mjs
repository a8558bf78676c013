/**
 * What is measured of the vassal runtime, V1 to V5, each beside what people use instead, interleaved in one
 * run. Gives figures; knows nothing of how they are printed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PlainNode, Pm2, Vassal, freePort, hasProgram, startNginx } from "./contenders.mjs";
import { firstAnswer, requestsPerSecond, steadyLoad } from "./load.mjs";
import { delay, memory, now } from "./measure.mjs";

/** In turn, so that a busy moment of the machine meets everybody; who begins changes each round. */
async function rounds(count, names, sample) {
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < count; round++) {
    for (let n = 0; n < names.length; n++) {
      const name = names[(n + round) % names.length];
      results[name].push(await sample(name));
    }
  }
  return results;
}

/** Runs `body`, then ends what was started, the last one first. */
async function within(body) {
  const started = [];
  const keep = (one) => {
    started.push(one);
    return one;
  };
  try {
    return await body(keep);
  } finally {
    for (const one of started.toReversed()) await one.end();
  }
}

async function throughput(pm2, folder, size, keep) {
  const ports = { vassal: await freePort(), cluster: await freePort(), pm2: pm2.port };
  await keep(new Vassal(folder, ports.vassal, ["processes = 2"])).ready();
  const startedAt = now();
  keep(new PlainNode(ports.cluster, "cluster.mjs"));
  await firstAnswer(ports.cluster, startedAt);
  for (const port of Object.values(ports)) await requestsPerSecond(port, 1); // compiles the hot paths
  return rounds(size.throughput, Object.keys(ports), (name) =>
    requestsPerSecond(ports[name], size.seconds),
  );
}

async function behindNginx(folder, size, keep) {
  const port = await freePort();
  const socket = join(folder, "app.sock");
  await keep(new Vassal(folder, port, ["processes = 2", `socket = ${socket}`])).ready();
  const ports = { uwsgi: await freePort(), proxy: await freePort(), alive: await freePort() };
  const upstream = `upstream alive { server 127.0.0.1:${port}; keepalive 64; keepalive_requests 1000000; }`;
  keep(
    startNginx(
      folder,
      {
        [ports.uwsgi]: `include /etc/nginx/uwsgi_params; uwsgi_pass unix:${socket};`,
        [ports.proxy]: `proxy_pass http://127.0.0.1:${port};`,
        [ports.alive]: `proxy_pass http://alive; proxy_http_version 1.1; proxy_set_header Connection "";`,
      },
      upstream,
    ),
  );
  for (const one of Object.values(ports)) await firstAnswer(one, now());
  for (const one of Object.values(ports)) await requestsPerSecond(one, 1);
  return rounds(size.proxied, Object.keys(ports), (name) =>
    requestsPerSecond(ports[name], size.seconds),
  );
}

function starts(folder, size) {
  return rounds(size.starts, ["vassal", "node"], async (name) => {
    const port = await freePort();
    const startedAt = now();
    const running = name === "vassal" ? new Vassal(folder, port, []) : new PlainNode(port);
    try {
      return await firstAnswer(port, startedAt);
    } finally {
      await running.end();
    }
  });
}

/** Both run at once, so that what they share of Node's program counts the same for both. */
function memories(folder, size) {
  return within(async (keep) => {
    const results = { vassal: [], node: [] };
    for (let n = 0; n < size.memories; n++) {
      const pair = {
        vassal: keep(new Vassal(folder, await freePort(), [])),
        node: keep(new PlainNode(await freePort())),
      };
      for (const running of Object.values(pair)) {
        await firstAnswer(running.port, now());
        await steadyAnswers(running.port);
      }
      await delay(1000);
      for (const name of Object.keys(pair)) results[name].push(memory([pair[name].child.pid]).pss);
      for (const running of Object.values(pair)) await running.end();
    }
    return results;
  });
}

async function steadyAnswers(port) {
  const load = steadyLoad(port, 4, 1);
  await delay(500);
  await load.stop();
}

async function reloads(count, contender) {
  const load = steadyLoad(contender.port);
  await delay(300);
  const times = [];
  for (let n = 0; n < count; n++) {
    const startedAt = now();
    await contender.reload();
    times.push((now() - startedAt) / 1e6);
  }
  await delay(500);
  return { ...(await load.stop()), times };
}

export function missingPrograms() {
  return ["wrk", "nginx", "npm"].filter((program) => !hasProgram(program));
}

/** All tasks. `say` is told what is going on; `size`: how many samples of each. */
export async function runVassalTasks(say, size) {
  const folder = mkdtempSync(join(tmpdir(), "bench-vassal-"));
  const results = { reloads: {} };
  try {
    say("the vassal runtime: starts (V3) and memory (V4)");
    results.starts = await starts(folder, size);
    results.memories = await memories(folder, size);
    say("the vassal runtime: behind nginx (V2)");
    results.proxied = await within((keep) => behindNginx(folder, size, keep));
    say("the vassal runtime: reloads under load (V5)");
    for (const [name, lines] of [
      ["one", []],
      ["workers", ["processes = 2"]],
    ]) {
      results.reloads[name] = await within(async (keep) => {
        const vassal = keep(new Vassal(folder, await freePort(), lines));
        await vassal.ready();
        return reloads(size.reloads, vassal);
      });
    }
    say("PM2: fetched and started");
    await within(async (keep) => {
      const pm2 = keep(await Pm2.start(folder, await freePort()));
      results.pm2Version = pm2.version;
      await firstAnswer(pm2.port, now());
      say("the vassal runtime, node:cluster, PM2: requests per second (V1)");
      results.throughput = await within((inner) => throughput(pm2, folder, size, inner));
      say("PM2: reloads under load (V5)");
      results.reloads.pm2 = await reloads(size.reloads, pm2);
    });
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
