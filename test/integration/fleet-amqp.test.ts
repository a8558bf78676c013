/** A fleet on one exchange: Emperors on hosts of their own, which are cut off and come back. */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished } from "vitest";
import { needing } from "../../linux/test/privileges.ts";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest } from "../harness/emperor.ts";
import { hostsAround } from "../harness/hosts.ts";
import { findProgram, isRoot } from "../harness/privileges.ts";
import { hasPika, withPika } from "../harness/python.ts";
import { hasRabbitmq, RabbitmqUnderTest } from "../harness/rabbitmq.ts";

const PUBLISH = resolve(import.meta.dirname, "../../examples/amqp/publish.py");

/** On one node only: the header `node` moves a vassal. */
const MOVE = `
import sys, pika
connection = pika.BlockingConnection(pika.ConnectionParameters('127.0.0.1', int(sys.argv[1])))
connection.channel().basic_publish(exchange='uwsgi.emperor', routing_key=sys.argv[2], body=sys.argv[4],
    properties=pika.BasicProperties(headers={'node': sys.argv[3]}))
connection.close()
`;

const missing = [
  ...(isRoot ? [] : ["root"]),
  ...(hasRabbitmq ? [] : ["rabbitmq-server"]),
  ...(hasPika ? [] : ["python3-pika"]),
  ...["ip", "nsenter", "unshare"].filter((program) => findProgram(program) === undefined),
];

const loyal = (note: string): string => vassalConfig("loyal", { note });

function monitorState(emperor: EmperorUnderTest, state: string): Promise<true> {
  return emperor.wait(
    `the Emperor to be ${state}`,
    async () => {
      // Cuts the pause between two attempts short.
      if (state === "connected") emperor.signal("SIGWINCH");
      return (await emperor.stats()).monitors?.[0]?.state === state && true;
    },
    90_000,
  );
}

describe("a fleet", { timeout: 300_000 }, () => {
  needing(missing.length === 0, `needs ${missing.join(", ")}`)(
    "two hosts follow one exchange; one that was cut off catches up; a message moves a vassal",
    async () => {
      const { hub, hosts } = await hostsAround(2);
      const broker = await RabbitmqUnderTest.start({
        host: "0.0.0.0",
        launcher: hub.launcher,
        isReachable: false,
      });
      onTestFinished(() => broker.close());
      const python = async (...args: readonly string[]): Promise<unknown> => {
        const [program = "", ...rest] = [...hub.launcher, withPika ?? "python3", ...args];
        return promisify(execFile)(program, rest, { timeout: 60_000 });
      };
      const publish = (key: string, body: string): Promise<unknown> =>
        python(PUBLISH, `127.0.0.1:${broker.port}`, key, body);
      const emperors: EmperorUnderTest[] = [];
      for (const [index, host] of hosts.entries()) {
        const emperor = await startEmperor({
          monitors: [`amqp://${host.hub}:${broker.port}?queue=emperor.\${node}&heartbeat=1`],
          args: ["--emperor-node", `web${index + 1}`],
          launcher: host.launcher,
        });
        await monitorState(emperor, "connected");
        emperors.push(emperor);
      }
      const [first, second] = emperors;
      const [, cutOff] = hosts;
      if (first === undefined || second === undefined || cutOff === undefined) expect.unreachable();

      await publish("a.ini", loyal("1"));
      await publish("b.ini", loyal("1"));
      for (const emperor of emperors) await emperor.vassalWith("b.ini", { loyal: 1 });
      const a = await second.vassalWith("a.ini", { loyal: 1 });
      const b = await second.vassalWith("b.ini", { loyal: 1 });

      cutOff.pull();
      await monitorState(second, "unavailable");
      await publish("a.ini", "");
      await publish("c.ini", loyal("1"));
      await first.vassalWith("c.ini", { loyal: 1 });
      await first.forgotten("a.ini");
      // What ran there runs on.
      await second.vassalWith("a.ini", { loyal: 1, pid: a.pid });

      cutOff.plug();
      await monitorState(second, "connected");
      await second.vassalWith("c.ini", { loyal: 1 });
      await second.forgotten("a.ini");
      await second.vassalWith("b.ini", { pid: b.pid, respawns: 0 });

      // One message moves c.ini: off the first host, and a reload on the second.
      await python("-c", MOVE, `${broker.port}`, "c.ini", "web2", loyal("2"));
      await first.forgotten("c.ini");
      await second.vassalWith("c.ini", { loyal: 1, respawns: 1 });
    },
  );
});
