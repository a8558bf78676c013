/**
 * What messages as sources cost: from the sending of one to its process, and a burst of a thousand.
 * Starts its own RabbitMQ if that is there. Gives rows of a table; prints none.
 */
import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { delay, isAlive, now } from "./measure.mjs";
import { shown, startTimes } from "./remote-databases.mjs";
import { Session } from "./session.mjs";

const here = dirname(fileURLToPath(import.meta.url));
// The drivers are the monitors' own.
const require = createRequire(join(dirname(dirname(here)), "monitors/package.json"));
const CONFIG = "[uwsgi]\n";
const BURST = 1000;
const RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const MARKER = "BENCH_BROKER";

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Live processes with the marker in their environment: the Erlang machine and its helpers. */
function marked(folder) {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
        return environment.includes(`${MARKER}=${folder}\0`) && isAlive(Number(pid));
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Runs `body` with the port of a broker of its own. */
async function withRabbitmq(body) {
  const folder = mkdtempSync(join(tmpdir(), "bench-rabbit-"));
  const at = (name) => join(folder, name);
  const [port, distribution, mapper] = [await freePort(), await freePort(), await freePort()];
  for (const name of ["mnesia", "log", "home"]) mkdirSync(at(name));
  // channel_max 0: uWSGI's plugin asks for that and for nothing else.
  const lines = [`listeners.tcp.1 = 127.0.0.1:${port}`, "channel_max = 0", "log.console = false"];
  writeFileSync(at("rabbitmq.conf"), `${lines.join("\n")}\n`);
  writeFileSync(at("plugins"), "[].\n");
  writeFileSync(at("env.conf"), "\n");
  const child = spawn(RABBITMQ, [], {
    cwd: folder,
    stdio: "ignore",
    env: {
      ...process.env,
      [MARKER]: folder,
      HOME: at("home"),
      RABBITMQ_NODENAME: `bench${port}@localhost`,
      RABBITMQ_DIST_PORT: String(distribution),
      ERL_EPMD_PORT: String(mapper),
      ERL_EPMD_ADDRESS: "127.0.0.1",
      RABBITMQ_MNESIA_BASE: at("mnesia"),
      RABBITMQ_LOG_BASE: at("log"),
      RABBITMQ_CONFIG_FILE: at("rabbitmq.conf"),
      RABBITMQ_CONF_ENV_FILE: at("env.conf"),
      RABBITMQ_ENABLED_PLUGINS_FILE: at("plugins"),
      RABBITMQ_PID_FILE: at("pid"),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
    },
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    await body(port);
  } finally {
    for (;;) {
      const left = marked(folder);
      if (left.length === 0) break;
      for (const pid of left) process.kill(pid, "SIGKILL");
      await delay(20);
    }
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A publisher whose `insert` is done when a queue has the message: the Emperor's, once it is there. */
async function amqpPublisher(port) {
  const { connect } = require("amqplib");
  let model;
  for (let attempt = 0; model === undefined; attempt++) {
    try {
      model = await connect(`amqp://127.0.0.1:${port}`);
    } catch (error) {
      if (attempt > 600) throw error;
      await delay(100);
    }
  }
  const channel = await model.createConfirmChannel();
  await channel.assertExchange("uwsgi.emperor", "fanout", { durable: false });
  let returned = false;
  channel.on("return", () => {
    returned = true;
  });
  const publish = (name) =>
    channel.publish("uwsgi.emperor", name, Buffer.from(CONFIG), { mandatory: true });
  return {
    send: publish,
    insert: async (name) => {
      do {
        returned = false;
        publish(name);
        await channel.waitForConfirms();
        if (returned) await delay(50);
      } while (returned);
    },
    close: () => model.close(),
  };
}

/** ms from the first of a thousand messages to the last start. */
async function burst(command, tools, insert, send) {
  const session = new Session(command, tools);
  try {
    session.start();
    await insert("warm-up.ini");
    await session.allStarted(["emperor://warm-up.ini"], 30_000);
    const names = Array.from({ length: BURST }, (_, n) => `b${n}.ini`);
    const at = now();
    for (const name of names) await send(name);
    const last = await session.allStarted(
      names.map((name) => `emperor://${name}`),
      120_000,
    );
    return last === undefined ? "not all" : `${((last - at) / 1e9).toFixed(2)} s`;
  } finally {
    await session.close();
  }
}

function pluginOf(uwsgi, name) {
  const there = existsSync(`/usr/lib/uwsgi/plugins/emperor_${name}_plugin.so`);
  return uwsgi !== undefined && there
    ? [...uwsgi.command, "--plugin", `emperor_${name}`]
    : undefined;
}

async function zmqRows(ours, uwsgi, tools, say) {
  const zmq = require("zeromq");
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const more = ["--emperor", `zmq://${endpoint}`];
  // One publisher for each: what it still holds for one supervisor must not reach the next.
  const measured = async (measure) => {
    const socket = new zmq.Push({ linger: 0, sendHighWaterMark: 0 });
    socket.connect(endpoint);
    try {
      return await measure((name) => socket.send(["touch", name, CONFIG]));
    } finally {
      socket.close();
    }
  };
  const times = (command, count, phaseMs) =>
    measured((send) => startTimes([...command, ...more], tools, count, phaseMs, send));
  say("zmq: a message until its process, this Emperor");
  const mine = shown(await times(ours.command, 20, 400));
  const plugin = pluginOf(uwsgi, "zeromq");
  say("zmq: a message until its process, uWSGI");
  const theirs = plugin === undefined ? "not measured" : shown(await times(plugin, 10, 3000));
  say("zmq: 1000 messages at once");
  const all = await measured((send) => burst([...ours.command, ...more], tools, send, send));
  return [
    ["zmq: a message is sent, until its process starts", "<= 10 ms", mine, theirs],
    [`zmq: ${BURST} messages at once, until all processes run`, "<= 3 s", all, ""],
  ];
}

async function amqpRows(ours, uwsgi, tools, say) {
  const rows = [];
  await withRabbitmq(async (port) => {
    const publisher = await amqpPublisher(port);
    const more = ["--emperor", `amqp://127.0.0.1:${port}`];
    const times = (command, count, phaseMs) =>
      startTimes([...command, ...more], tools, count, phaseMs, publisher.insert);
    say("amqp: a message until its process, this Emperor");
    const mine = shown(await times(ours.command, 20, 400));
    const plugin = pluginOf(uwsgi, "amqp");
    say("amqp: a message until its process, uWSGI");
    const theirs = plugin === undefined ? "not measured" : shown(await times(plugin, 10, 3000));
    rows.push(["amqp: a message is published, until its process starts", "<= 20 ms", mine, theirs]);
    say("amqp: 1000 messages at once");
    const all = await burst([...ours.command, ...more], tools, publisher.insert, publisher.send);
    rows.push([`amqp: ${BURST} messages at once, until all processes run`, "<= 3 s", all, ""]);
    await publisher.close();
  });
  return rows;
}

/** Rows of [task, goal, ours, uWSGI's]; uWSGI's Emperor takes part where its plugins are installed. */
export async function messageRows(peers, tools, say) {
  const [ours, uwsgi] = peers;
  const rows = await zmqRows(ours, uwsgi, tools, say);
  if (existsSync(RABBITMQ)) rows.push(...(await amqpRows(ours, uwsgi, tools, say)));
  else say("amqp: not measured, RabbitMQ is not installed");
  return rows;
}
