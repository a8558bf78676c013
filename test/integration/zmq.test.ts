/** Vassals that arrive as messages of ZeroMQ, from peers in another language. */
import { statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join, resolve } from "node:path";
import { curveKeyPair } from "zeromq";
import { describe, expect, onTestFinished } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { newRun, startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, StartOptions } from "../harness/emperor.ts";
import { isRoot } from "../harness/privileges.ts";
import { python, pythonServer, zmqTest } from "../harness/python.ts";
import { freePort } from "../harness/sockets.ts";
import { signalTo } from "../harness/processes.ts";

const SEND = resolve(import.meta.dirname, "../../examples/zmq/send.py");

const loyal = (note: string): string => vassalConfig("loyal", { note });
const reads = (note: string): string => vassalConfig("re-reads-config", { note });

interface Scene {
  readonly emperor: EmperorUnderTest;
  readonly endpoint: string;
  readonly send: (...frames: readonly string[]) => Promise<unknown>;
}

/** An Emperor that listens on a port of its own, and the documentation's client. */
async function scene(options: StartOptions = {}, query = ""): Promise<Scene> {
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const emperor = await startEmperor({ ...options, monitors: [`zmq://${endpoint}${query}`] });
  await listening(emperor);
  return { emperor, endpoint, send: (...frames) => python(SEND, endpoint, ...frames) };
}

async function listening(emperor: EmperorUnderTest): Promise<void> {
  await emperor.wait(
    "the Emperor to listen",
    async () => (await emperor.stats()).monitors?.[0]?.state === "connected",
  );
}

describe("the documented messages", () => {
  zmqTest("touch starts and reloads with the config, destroy stops", async () => {
    const { emperor, send } = await scene();
    await send("touch", "foo.ini", reads("first"));
    const started = await emperor.started("emperor://foo.ini");
    expect(started.argv?.slice(1)).toEqual(["--ini", "emperor://foo.ini"]);
    await emperor.report("config", "foo.ini", { text: reads("first") });
    const { pid } = await emperor.vassalWith("foo.ini", { loyal: 1 });
    // Within the same second, which uWSGI does not see.
    await send("touch", "foo.ini", reads("second"));
    await emperor.report("config", "foo.ini", { text: reads("second") });
    // The same again is a reload, too: that is what touch means.
    await send("touch", "foo.ini", reads("second"));
    await emperor.received("foo.ini", 1, 2);
    await emperor.vassalWith("foo.ini", { pid, respawns: 2 });
    await send("destroy", "foo.ini");
    await emperor.received("foo.ini", 0);
    await emperor.forgotten("foo.ini");
    await send("destroy", "foo.ini");
    await emperor.logged('destroys "foo.ini", which is unknown; ignoring it');
  });

  zmqTest("touch without a config means a file in the Emperor's directory", async () => {
    const run = newRun();
    run.put("static.ini", loyal("file"));
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const emperor = await startEmperor({ monitors: [`zmq://${endpoint}`], cwd: run.vassals }, run);
    await python(SEND, endpoint, "touch", "static.ini");
    const started = await emperor.started("static.ini");
    expect(started.argv?.slice(1)).toEqual(["--ini", "static.ini"]);
    expect(started.cwd).toBe(run.vassals);
    await emperor.vassalWith("static.ini", { loyal: 1 });
  });

  zmqTest("a vassal that dies is started again with the config of its last touch", async () => {
    const { emperor, send } = await scene();
    await send("touch", "foo.ini", loyal("kept"));
    const { pid } = await emperor.vassalWith("foo.ini", { loyal: 1 });
    signalTo(pid, "SIGKILL");
    await emperor.report("config", "foo.ini", { text: loyal("kept") }, 2);
    await emperor.vassalWith("foo.ini", { loyal: 1 });
  });

  zmqTest("a message with ids and no socket, or an empty one, is a plain vassal", async () => {
    const { emperor, send } = await scene(isRoot ? { args: ["--emperor-tyrant"] } : {});
    await send("touch", "five.ini", loyal("5"), "1234", "2345");
    await send("touch", "six.ini", loyal("6"), "1234", "2345", "");
    await send("touch", "none.ini", loyal("3"));
    const started = await emperor.started("emperor://five.ini");
    await emperor.vassalWith("six.ini", { loyal: 1 });
    if (!isRoot) return;
    expect([started.uid, started.gid]).toEqual([1234, 2345]);
    await emperor.logged(/invalid permissions for vassal none\.ini: its source names no owner/);
    expect(emperor.starts("emperor://none.ini")).toBe(0);
  });
});

const FLOOD = `
import sys, zmq, os
c = zmq.Context()
s = c.socket(zmq.PUSH)
s.connect(sys.argv[1])
for n in range(20000):
    kind = n % 5
    if kind == 0: s.send_multipart([b"touch"])
    elif kind == 1: s.send_multipart([os.urandom(20), os.urandom(20)])
    elif kind == 2: s.send_multipart([b"touch", b"../../x%d.ini" % n, b"x"])
    elif kind == 3: s.send_multipart([b"touch", b"a.ini", b"c", b"root"])
    else: s.send_multipart([b""] * 12)
s.send_multipart([b"touch", b"after.ini", sys.argv[2].encode()])
s.close()
c.term()
`;

describe("what comes from strangers", () => {
  zmqTest("a flood of garbage starts nothing, fills no log, and what follows is read", async () => {
    const { emperor, send, endpoint } = await scene();
    await send("touch", "before.ini", loyal("1"));
    const { pid } = await emperor.vassalWith("before.ini", { loyal: 1 });
    await python(FLOOD, endpoint, loyal("2"));
    await emperor.vassalWith("after.ini", { loyal: 1 });
    await emperor.vassalWith("before.ini", { pid, respawns: 0 });
    expect((await emperor.stats()).vassals).toHaveLength(2);
    // Names are told of once each, up to a thousand of them; the rest is counted.
    expect(emperor.log().split("\n").length).toBeLessThan(1100);
    expect(emperor.log().match(/a message is malformed/g)?.length).toBeLessThanOrEqual(20);
  });

  zmqTest("configs, names and frames beyond the bounds are refused", async () => {
    const { emperor, endpoint } = await scene();
    await python(
      `
import sys, zmq
c = zmq.Context()
s = c.socket(zmq.PUSH)
s.connect(sys.argv[1])
for parts in [
    [b"touch", b"big.ini", b"x" * 65536],
    [b"touch", b"n" * 300 + b".ini", b"x"],
    [b"touch", b"nul\\0.ini", b"x"],
    [b"touch", b"bad\\xff.ini", b"x"],
    [b"touch", b"foo.txt", b"x"],
    [b"touch", b"zero.ini", b"[uwsgi]\\0"],
    [b"touch", b"/abs.ini", b"x"],
]: s.send_multipart(parts)
# One that the library does not let in at all: its peer is cut off and connects again.
s.send_multipart([b"touch", b"huge.ini", b"x" * 50000000])
other = c.socket(zmq.PUSH)
other.connect(sys.argv[1])
other.send_multipart([b"touch", b"good.ini", sys.argv[2].encode()])
other.close()
s.close(linger=30000)
c.term()
`,
      endpoint,
      loyal("1"),
    );
    await emperor.vassalWith("good.ini", { loyal: 1 });
    for (const text of [
      "its config has 65536 bytes, 65535 are allowed",
      "are allowed",
      "control characters",
      "not valid UTF-8",
      "no suffix of a config",
      "NUL byte",
      "an absolute path",
    ])
      await emperor.logged(text);
    expect((await emperor.stats()).vassals.map(({ id }) => id)).toEqual(["good.ini"]);
  });

  zmqTest("bytes that are no ZeroMQ at all harm nobody", async () => {
    const { emperor, send, endpoint } = await scene();
    const port = Number(endpoint.split(":").at(-1));
    const socket = connect(port, "127.0.0.1");
    const closed = new Promise((done) => socket.once("close", done));
    socket.on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\nHost: emperor\r\n\r\n".repeat(50));
    await send("touch", "good.ini", loyal("1"));
    await emperor.vassalWith("good.ini", { loyal: 1 });
    socket.destroy();
    await closed;
  });
});

const CURVE = `
import sys, zmq
c = zmq.Context()
s = c.socket(zmq.PUSH)
s.curve_serverkey, s.curve_publickey, s.curve_secretkey = [k.encode() for k in sys.argv[2:5]]
s.connect(sys.argv[1])
s.send_multipart([b"touch", sys.argv[5].encode(), b"[uwsgi]\\nbehaviour = loyal\\n"])
s.close()
c.term()
`;

describe("security", () => {
  zmqTest("with CURVE only those whose key is listed get in", async () => {
    const [server, friend, stranger] = [curveKeyPair(), curveKeyPair(), curveKeyPair()];
    const run = newRun();
    writeFileSync(join(run.path, "secret"), `${server.secretKey}\n`);
    writeFileSync(join(run.path, "clients"), `# deployers\n${friend.publicKey}\n`);
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const query = `?curve-secret=${run.path}/secret&curve-clients=${run.path}/clients`;
    const emperor = await startEmperor({ monitors: [`zmq://${endpoint}${query}`] }, run);
    await listening(emperor);
    const keysOf = (who: typeof friend): string[] => [
      server.publicKey,
      who.publicKey,
      who.secretKey,
    ];
    // It tries for ever; it is ended with the test.
    pythonServer(CURVE, endpoint, ...keysOf(stranger), "evil.ini");
    await emperor.logged("has a key that is not among curve-clients; it is kept out");
    await python(CURVE, endpoint, ...keysOf(friend), "good.ini");
    await emperor.vassalWith("good.ini", { loyal: 1 });
    expect((await emperor.stats()).vassals.map(({ id }) => id)).toEqual(["good.ini"]);
    expect(`${emperor.log()}${await emperor.rawStats()}`).not.toContain(server.secretKey);
  });

  zmqTest("a unix socket has the mode that is asked for", async () => {
    const run = newRun();
    const path = join(run.path, "zmq.sock");
    const emperor = await startEmperor({ monitors: [`zmq://ipc://${path}?chmod=600`] }, run);
    await listening(emperor);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await python(SEND, `ipc://${path}`, "touch", "foo.ini", loyal("1"));
    await emperor.vassalWith("foo.ini", { loyal: 1 });
  });

  zmqTest("an endpoint that everybody reaches is warned of", async () => {
    const emperor = await startEmperor({ monitors: [`zmq://tcp://0.0.0.0:${await freePort()}`] });
    await emperor.logged(/whoever reaches tcp:\/\/0\.0\.0\.0:\d+ decides what is run here/);
  });
});

describe("the endpoint", () => {
  zmqTest("may be the publisher's, which is connected to and awaited", async () => {
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const emperor = await startEmperor({ monitors: [`zmq://${endpoint}?connect`] });
    const publisher = pythonServer(
      `
import sys, time, zmq
s = zmq.Context().socket(zmq.PUSH)
s.bind(sys.argv[1])
s.send_multipart([b"touch", b"foo.ini", sys.argv[2].encode()])
print("sent", flush=True)
time.sleep(300)
`,
      endpoint,
      loyal("1"),
    );
    expect(await publisher.line).toContain("sent");
    await emperor.vassalWith("foo.ini", { loyal: 1 });
  });

  zmqTest("that is taken is reported, and used when it is free", async () => {
    const blocker = createServer();
    const port = await freePort();
    await new Promise<void>((done) => blocker.listen(port, "127.0.0.1", done));
    onTestFinished(() => void blocker.close());
    const emperor = await startEmperor({ monitors: [`zmq://tcp://127.0.0.1:${port}`] });
    await emperor.logged(/monitor zmq:\/\/tcp:\/\/127\.0\.0\.1:\d+: .*in use.*; its vassals stay/i);
    await new Promise((done) => blocker.close(done));
    await emperor.wait("the Emperor to listen", async () => {
      emperor.signal("SIGWINCH");
      return (await emperor.stats()).monitors?.[0]?.state === "connected";
    });
    await python(SEND, `tcp://127.0.0.1:${port}`, "touch", "foo.ini", loyal("1"));
    await emperor.vassalWith("foo.ini", { loyal: 1 });
  });
});

describe("many messages", { timeout: 180_000 }, () => {
  zmqTest(
    "20,000 for ten vassals: each ends up with its last config, and nobody is restarted",
    async () => {
      const { emperor, endpoint, send } = await scene();
      const names = Array.from({ length: 10 }, (_, n) => `c${n}.ini`);
      for (const name of names) await send("touch", name, reads("0"));
      const pids = new Map<string, number>();
      for (const name of names) pids.set(name, (await emperor.vassalWith(name, { loyal: 1 })).pid);
      await python(
        `
import sys, zmq
c = zmq.Context()
s = c.socket(zmq.PUSH)
s.connect(sys.argv[1])
for n in range(1, 20001):
    s.send_multipart([b"touch", b"c%d.ini" % (n % 10), sys.argv[2].replace("NUMBER", str((n + 9) // 10)).encode()])
s.close()
c.term()
`,
        endpoint,
        reads("NUMBER"),
      );
      for (const name of names) {
        await emperor.wait(
          `the last config of ${name}`,
          () => emperor.run.reports.of("config", name).at(-1)?.text === reads("2000"),
          50_000,
        );
      }
      for (const name of names) expect((await emperor.vassalWith(name)).pid).toBe(pids.get(name));
    },
  );

  zmqTest("a burst of 1,000: every vassal runs, none is lost", async () => {
    const { emperor, endpoint } = await scene();
    await python(
      `
import sys, zmq
c = zmq.Context()
s = c.socket(zmq.PUSH)
s.connect(sys.argv[1])
for n in range(1000):
    s.send_multipart([b"touch", b"b%d.ini" % n, sys.argv[2].encode()])
s.close()
c.term()
`,
      endpoint,
      loyal("burst"),
    );
    await emperor.wait(
      "1000 loyal vassals",
      async () => (await emperor.stats()).vassals.filter((one) => one.loyal === 1).length === 1000,
      120_000,
    );
    const names = Array.from({ length: 1000 }, (_, n) => `emperor://b${n}.ini`);
    expect(names.filter((name) => emperor.starts(name) !== 1)).toEqual([]);
  });
});
