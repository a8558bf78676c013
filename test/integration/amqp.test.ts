/** Vassals that arrive as messages of a real RabbitMQ. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished } from "vitest";
import { needing } from "../../linux/test/privileges.ts";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, StartOptions } from "../harness/emperor.ts";
import { startProxy } from "../harness/proxy.ts";
import { publisherTo } from "../harness/publisher.ts";
import type { Publisher } from "../harness/publisher.ts";
import { hasPika, python } from "../harness/python.ts";
import { brokerTest, hasRabbitmq, RabbitmqUnderTest } from "../harness/rabbitmq.ts";

let broker: RabbitmqUnderTest;
let exchanges = 0;

beforeAll(async () => {
  if (hasRabbitmq) broker = await RabbitmqUnderTest.start();
}, 150_000);

afterAll(async () => {
  if (hasRabbitmq) await broker.close();
});

/** An exchange of this test's own. */
function newExchange(): string {
  exchanges += 1;
  return `emperor.${exchanges}`;
}

interface Scene {
  readonly emperor: EmperorUnderTest;
  readonly publisher: Publisher;
  readonly exchange: string;
}

/** An Emperor that follows an exchange of its own, connected, and a publisher. */
async function scene(query = "", options: StartOptions = {}): Promise<Scene> {
  const exchange = newExchange();
  const publisher = await publisherTo(broker.url, exchange);
  const emperor = await startEmperor({
    monitors: [`${broker.url}?exchange=${exchange}${query}`],
    ...options,
  });
  await connected(emperor);
  return { emperor, publisher, exchange };
}

/** The queue is bound to the exchange: what is published from now on reaches the Emperor. */
async function connected(emperor: EmperorUnderTest, times = 1): Promise<void> {
  await emperor.wait(
    "the Emperor to be connected",
    async () => {
      const again = emperor.log().match(/is available again/g)?.length ?? 0;
      // The operator's "look again now" cuts the pause between two attempts short.
      if (again < times - 1) emperor.signal("SIGWINCH");
      return again >= times - 1 && (await emperor.stats()).monitors?.[0]?.state === "connected";
    },
    60_000,
  );
}

const reads = (note: string): string => vassalConfig("re-reads-config", { note });
const loyal = (note: string): string => vassalConfig("loyal", { note });

describe("the documented messages", () => {
  brokerTest("a config with a routing key starts, reloads and, empty, stops a vassal", async () => {
    const publisher = await publisherTo(broker.url);
    const emperor = await startEmperor({ monitors: [broker.url] });
    await connected(emperor);
    publisher.send("a.ini", reads("first"));
    const started = await emperor.report("started", "emperor://a.ini");
    expect(started.argv?.slice(1)).toEqual(["--ini", "emperor://a.ini"]);
    await emperor.report("config", "a.ini", { text: reads("first") });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    publisher.send("a.ini", reads("second"));
    await emperor.received("a.ini", 1);
    await emperor.report("config", "a.ini", { text: reads("second") });
    publisher.send("a.ini", "");
    await emperor.received("a.ini", 0);
    await emperor.forgotten("a.ini");
    expect(emperor.starts("emperor://a.ini")).toBe(1);
  });

  brokerTest(
    "a path starts the file, again reloads it, and without the file stops it",
    async () => {
      const { emperor, publisher } = await scene();
      const path = emperor.put("p.ini", loyal("file"));
      publisher.send("", path);
      const started = await emperor.started(path);
      expect(started.argv?.slice(1)).toEqual(["--ini", path]);
      await emperor.vassalWith(path, { loyal: 1 });
      publisher.send("", path);
      await emperor.received(path, 1);
      emperor.remove("p.ini");
      publisher.send("", path);
      await emperor.received(path, 0);
      await emperor.forgotten(path);
      publisher.send("", path);
      await emperor.logged(/names ".*p\.ini", which is no file; ignoring it/);
    },
  );

  brokerTest(
    "a URL starts what it gives; 404 stops it; a server that fails stops nothing",
    async () => {
      let status = 200;
      const server = createServer((_, response) => response.writeHead(status).end(loyal("url")));
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      onTestFinished(() => void server.close());
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/u.ini`;
      const { emperor, publisher } = await scene();
      publisher.send("", url);
      const started = await emperor.started(url);
      // As in uWSGI, the vassal fetches http:// itself.
      expect(started.argv?.slice(1)).toEqual(["--ini", url]);
      const { pid } = started;
      status = 503;
      publisher.send("", url);
      await emperor.logged(
        /u\.ini" cannot be fetched: it answers with status 503; its vassal stays/,
      );
      expect((await emperor.vassalWith(url)).pid).toBe(pid);
      status = 404;
      publisher.send("", url);
      await emperor.logged(/answered with status 404: its vassal is removed/);
      await emperor.forgotten(url);
      await emperor.gone(pid);
    },
  );

  brokerTest(
    "with push, a URL's config reaches the vassal through the pipe, and so do its changes",
    async () => {
      let text = reads("one");
      const server = createServer((_, response) => response.end(text));
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      onTestFinished(() => void server.close());
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/u.ini`;
      const { emperor, publisher } = await scene("&push");
      publisher.send("", url);
      await emperor.report("config", url, { text: reads("one") });
      await emperor.vassalWith(url, { loyal: 1 });
      text = reads("two");
      await emperor.report("config", url, { text: reads("two") });
    },
  );
});

describe("the documentation's client, in Python", () => {
  const PUBLISH = resolve(import.meta.dirname, "../../examples/amqp/publish.py");
  const pikaTest = hasRabbitmq ? needing(hasPika, "needs Debian's python3-pika") : brokerTest;

  pikaTest("starts a file and a config, and stops it, as it stands in examples/", async () => {
    const emperor = await startEmperor({ monitors: [broker.url] });
    await connected(emperor);
    const publish = (key: string, body: string): Promise<string> =>
      python(PUBLISH, `${broker.host}:${broker.port}`, key, body);
    const path = emperor.put("mydjangoapp.ini", loyal("file"));
    await publish("", path);
    await emperor.vassalWith(path, { loyal: 1 });
    await publish("direct.ini", reads("pika"));
    await emperor.report("config", "direct.ini", { text: reads("pika") });
    await emperor.vassalWith("direct.ini", { loyal: 1 });
    await publish("direct.ini", "");
    await emperor.forgotten("direct.ini");
    await emperor.vassalWith(path, { loyal: 1, respawns: 0 });
  });
});

describe("messages that are none", () => {
  brokerTest("harm nobody, are told of, and what follows is read", async () => {
    const { emperor, publisher } = await scene();
    publisher.send("", "");
    publisher.send("", "x".repeat(300));
    publisher.send("", "http://");
    publisher.send("", "/no/such/file.ini");
    publisher.send("", Buffer.from([0x2f, 0xff, 0xfe]));
    publisher.send("unknown.ini", "");
    publisher.send("../../etc/evil.ini", loyal("x"));
    publisher.send("new\nline.ini", loyal("x"));
    publisher.send(`${"long".repeat(62)}x.ini`, loyal("x"));
    publisher.send("big.ini", Buffer.alloc(3_000_000, "x"));
    publisher.send("nul.ini", "[uwsgi]\0");
    publisher.send("ids.ini", loyal("x"), { headers: { uid: "root" } });
    publisher.send("good.ini", loyal("x"));
    await emperor.vassalWith("good.ini", { loyal: 1 });
    const { vassals } = await emperor.stats();
    // 252 bytes are a name.
    expect(vassals.map(({ id }) => id).toSorted()).toEqual([
      "good.ini",
      `${"long".repeat(62)}x.ini`,
    ]);
    for (const text of [
      "it has neither a routing key nor a body",
      "300 bytes are too long",
      "no valid URL",
      "which is no file",
      "no valid UTF-8",
      'removes "unknown.ini", which is unknown',
      "its name leads to another directory",
      "its name has control characters",
      "3000000 bytes, 65535 are allowed",
      "NUL byte",
      "header uid is no number",
    ])
      await emperor.logged(text);
    expect(emperor.log()).not.toMatch(/^line\.ini/m);
  });
});

describe("what an Emperor has missed", () => {
  brokerTest("a durable queue keeps while it is down", async () => {
    const exchange = newExchange();
    const publisher = await publisherTo(broker.url, exchange);
    const monitors = [`${broker.url}?exchange=${exchange}&queue=${exchange}.web1`];
    const first = await startEmperor({ monitors });
    await connected(first);
    publisher.send("a.ini", loyal("1"));
    await first.vassalWith("a.ini", { loyal: 1 });
    await first.close();
    publisher.send("b.ini", loyal("2"), { persistent: true });
    publisher.send("gone.ini", loyal("3"));
    publisher.send("gone.ini", "");
    const second = await startEmperor({ monitors });
    await second.vassalWith("b.ini", { loyal: 1 });
    await second.wait("the other messages to be handled", async () => {
      const { vassals } = await second.stats();
      return vassals.length === 1 && vassals[0]?.id === "b.ini";
    });
    await publisher.channel.deleteQueue(`${exchange}.web1`);
  });

  brokerTest("a snapshot gives at the start and after every lost connection", async () => {
    const { emperor, publisher } = await scene("&snapshot={vassals}", {
      vassals: { "a.ini": reads("1"), "b.ini": loyal("1") },
    });
    const a = await emperor.vassalWith("a.ini", { loyal: 1 });
    const b = await emperor.vassalWith("b.ini", { loyal: 1 });
    // Each change is in the snapshot before it is published.
    const text = reads("2");
    emperor.put("a.ini", text);
    publisher.send("a.ini", text);
    await emperor.report("config", "a.ini", { text });
    await emperor.vassalWith("a.ini", { loyal: 1, respawns: 1, pid: a.pid });
    // Published while the connection is down: only the snapshot has it.
    emperor.put("c.ini", loyal("1"));
    emperor.remove("b.ini");
    await broker.evaluate('rabbit_networking:close_all_connections("a test").');
    await emperor.vassalWith("c.ini", { loyal: 1 });
    await emperor.gone(b.pid);
    // What did not change was not touched.
    await emperor.vassalWith("a.ini", { loyal: 1, respawns: 1, pid: a.pid });
  });

  brokerTest("a snapshot that cannot be read changes nothing, and the reason is told", async () => {
    const { emperor } = await startWithoutQueue("&snapshot=http%3A%2F%2F127.0.0.1%3A1%2Flist.json");
    await emperor.logged(
      /its snapshot http:\/\/127\.0\.0\.1:1\/list\.json cannot be read: .*ECONNREFUSED/,
    );
  });
});

async function startWithoutQueue(query: string): Promise<{ readonly emperor: EmperorUnderTest }> {
  const exchange = newExchange();
  return {
    emperor: await startEmperor({ monitors: [`${broker.url}?exchange=${exchange}${query}`] }),
  };
}

describe("when something is wrong with the broker", { timeout: 300_000 }, () => {
  brokerTest(
    "that is not there at the start, or killed: vassals run on, and it is found again",
    async () => {
      await broker.kill();
      const emperor = await startEmperor({ monitors: [broker.url] });
      await emperor.logged(/monitor amqp:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED.*; its vassals stay/);
      await broker.up();
      await connected(emperor, 2);
      const publisher = await publisherTo(broker.url);
      publisher.send("a.ini", loyal("1"));
      const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
      const losses = (): number =>
        emperor.log().match(/its vassals stay as they are/g)?.length ?? 0;
      const before = losses();
      await broker.kill();
      await emperor.wait("the Emperor to tell of the loss", () => losses() > before);
      await broker.up();
      await connected(emperor, 3);
      const next = await publisherTo(broker.url);
      next.send("b.ini", loyal("1"));
      await emperor.vassalWith("b.ini", { loyal: 1 });
      await emperor.vassalWith("a.ini", { loyal: 1, pid, respawns: 0 });
    },
  );

  brokerTest("that hangs: heartbeats tell, and the connection is made anew", async () => {
    const exchange = newExchange();
    const publisher = await publisherTo(broker.url, exchange);
    const proxy = await startProxy(`${broker.host}:${broker.port}`, 0);
    const emperor = await startEmperor({
      monitors: [`amqp://127.0.0.1:${proxy.port}?exchange=${exchange}&heartbeat=1`],
    });
    await connected(emperor);
    publisher.send("a.ini", loyal("1"));
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    proxy.freeze();
    // The broker may miss our heartbeats before we miss its.
    await emperor.logged(/(Heartbeat timeout|Unexpected close); its vassals stay as they are/i);
    await emperor.vassalWith("a.ini", { loyal: 1, pid });
    proxy.cut();
    proxy.thaw();
    await connected(emperor, 2);
    publisher.send("b.ini", loyal("1"));
    await emperor.vassalWith("b.ini", { loyal: 1 });
    await emperor.vassalWith("a.ini", { pid, respawns: 0 });
  });

  brokerTest("that deletes the queue: it is declared anew", async () => {
    const exchange = newExchange();
    const publisher = await publisherTo(broker.url, exchange);
    const queue = `${exchange}.q`;
    const emperor = await startEmperor({
      monitors: [`${broker.url}?exchange=${exchange}&queue=${queue}`],
    });
    await connected(emperor);
    publisher.send("a.ini", loyal("1"));
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    await publisher.channel.deleteQueue(queue);
    await emperor.logged(`queue "${queue}" is gone; its vassals stay as they are`);
    await connected(emperor, 2);
    publisher.send("b.ini", loyal("1"));
    await emperor.vassalWith("b.ini", { loyal: 1 });
    await emperor.vassalWith("a.ini", { pid, respawns: 0 });
    await publisher.channel.deleteQueue(queue);
  });

  brokerTest("that closes the channel: another one is opened", async () => {
    const { emperor, publisher } = await scene();
    publisher.send("a.ini", loyal("1"));
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    // Every channel that has consumers: the publishers' have none.
    await broker.evaluate(
      "[rabbit_channel:send_command(Pid, {'channel.close', 541, <<\"a test closes it\">>, 0, 0}) || Pid <- rabbit_channel:list(), [{consumer_count, N}] <- [rabbit_channel:info(Pid, [consumer_count])], N > 0].",
    );
    await emperor.logged("a test closes it");
    await connected(emperor, 2);
    publisher.send("b.ini", loyal("1"));
    await emperor.vassalWith("b.ini", { loyal: 1 });
    await emperor.vassalWith("a.ini", { pid, respawns: 0 });
  });

  brokerTest(
    "that has an exchange of another type: the reason is told until it is right",
    async () => {
      const exchange = newExchange();
      const publisher = await publisherTo(broker.url, exchange, { type: "direct", durable: false });
      const emperor = await startEmperor({ monitors: [`${broker.url}?exchange=${exchange}`] });
      await emperor.logged(
        /exchange "emperor\.\d+" cannot be declared as fanout: .*inequivalent arg 'type'/,
      );
      await publisher.channel.deleteExchange(exchange);
      await emperor.logged("is available again");
      const next = await publisherTo(broker.url, exchange);
      await connected(emperor);
      next.send("a.ini", loyal("1"));
      await emperor.vassalWith("a.ini", { loyal: 1 });
    },
  );

  brokerTest("whose exchange is durable already: that is as good", async () => {
    const exchange = newExchange();
    const publisher = await publisherTo(broker.url, exchange, { type: "fanout", durable: true });
    const emperor = await startEmperor({ monitors: [`${broker.url}?exchange=${exchange}`] });
    await connected(emperor);
    publisher.send("a.ini", loyal("1"));
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await publisher.channel.deleteExchange(exchange);
  });

  brokerTest(
    "that is out of memory and blocks publishers: messages come when it is over",
    async () => {
      const { emperor, publisher } = await scene();
      publisher.send("a.ini", loyal("1"));
      const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
      const blocked = new Promise<void>((resolve) =>
        publisher.model.on("blocked", () => resolve()),
      );
      await broker.evaluate("rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).");
      try {
        publisher.send("b.ini", loyal("1"));
        await blocked;
        await emperor.vassalWith("a.ini", { loyal: 1, pid });
      } finally {
        await broker.evaluate("rabbit_alarm:clear_alarm({resource_limit, memory, node()}).");
      }
      await emperor.vassalWith("b.ini", { loyal: 1 });
      await emperor.vassalWith("a.ini", { pid, respawns: 0 });
    },
  );

  brokerTest("that refuses the login: the reason is told, and no password", async () => {
    const address = broker.url.replace("//", "//deploy:hunter2%40@");
    const emperor = await startEmperor({ monitors: [address] });
    await emperor.logged(/ACCESS[_-]REFUSED|authentication|Handshake terminated/i);
    const seen = `${emperor.log()}${await emperor.rawStats()}`;
    expect(seen).not.toContain("hunter2");
    expect(seen).toContain("amqp://deploy@127.0.0.1");
  });
});

describe("a burst", () => {
  brokerTest("of 1,000 messages: every vassal runs, none is lost", async () => {
    const { emperor, publisher } = await scene();
    const names = Array.from({ length: 1000 }, (_, n) => `b${n}.ini`);
    for (const name of names) publisher.send(name, loyal(name));
    await emperor.wait(
      "1000 loyal vassals",
      async () => (await emperor.stats()).vassals.filter((one) => one.loyal === 1).length === 1000,
      50_000,
    );
    expect(names.filter((name) => emperor.starts(`emperor://${name}`) !== 1)).toEqual([]);
  });
});
