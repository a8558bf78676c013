/** What may happen to a broker and on the way to it: vassals run on, and it is found again. */
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { broker, connected, loyal, newExchange, scene, useBroker } from "../harness/amqp-scene.ts";
import { describe, expect, onTestFinished } from "vitest";
import { certificateIn } from "../harness/certificate.ts";
import { newRun, startEmperor } from "../harness/emperor.ts";
import { programTest } from "../harness/privileges.ts";
import { startProxy } from "../harness/proxy.ts";
import { publisherTo } from "../harness/publisher.ts";
import { brokerTest, hasRabbitmq } from "../harness/rabbitmq.ts";
import { connectTo } from "../harness/sockets.ts";

useBroker();

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

describe("amqps", () => {
  const tlsTest = hasRabbitmq ? programTest(["openssl"]) : brokerTest;

  tlsTest("is verified: an unknown authority is refused, a named one trusted", async () => {
    const run = newRun();
    const { key, cert } = certificateIn(run.path);
    // The broker's side of TLS; behind it the same broker.
    const front = createTlsServer(
      { key: readFileSync(key), cert: readFileSync(cert) },
      (client) => {
        const server = connectTo(`${broker.host}:${broker.port}`);
        for (const [from, to] of [
          [client, server],
          [server, client],
        ] as const) {
          from.pipe(to);
          from.on("error", () => to.destroy());
          from.on("close", () => to.destroy());
        }
      },
    );
    front.on("tlsClientError", () => undefined);
    await new Promise<void>((done) => front.listen(0, "127.0.0.1", done));
    onTestFinished(() => void front.close());
    const { port } = front.address() as AddressInfo;
    const exchange = newExchange();
    const publisher = await publisherTo(broker.url, exchange);
    const address = `amqps://127.0.0.1:${port}?exchange=${exchange}`;
    const emperor = await startEmperor(
      { monitors: [`${address}&ca=${encodeURIComponent(cert)}`, `${address}&queue=never`] },
      run,
    );
    await emperor.logged(/queue=never: .*self.signed certificate/i);
    await connected(emperor);
    publisher.send("a.ini", loyal("1"));
    await emperor.vassalWith("a.ini", { loyal: 1 });
  });
});
