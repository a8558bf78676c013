/** Vassals that arrive as messages of a real RabbitMQ. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import {
  broker,
  connected,
  loyal,
  newExchange,
  reads,
  scene,
  useBroker,
} from "../harness/amqp-scene.ts";
import { describe, expect, onTestFinished } from "vitest";
import { needing } from "../../linux/test/privileges.ts";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest } from "../harness/emperor.ts";
import { publisherTo } from "../harness/publisher.ts";
import { hasPika, python } from "../harness/python.ts";
import { brokerTest, hasRabbitmq } from "../harness/rabbitmq.ts";

useBroker();

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

describe("a burst", { timeout: 180_000 }, () => {
  brokerTest("of 1,000 messages: every vassal runs, none is lost", async () => {
    const { emperor, publisher } = await scene();
    const names = Array.from({ length: 1000 }, (_, n) => `b${n}.ini`);
    for (const name of names) publisher.send(name, loyal(name));
    await emperor.wait(
      "1000 loyal vassals",
      async () => (await emperor.stats()).vassals.filter((one) => one.loyal === 1).length === 1000,
      120_000,
    );
    expect(names.filter((name) => emperor.starts(`emperor://${name}`) !== 1)).toEqual([]);
  });
});
