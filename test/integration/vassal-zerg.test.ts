/**
 * Listening sockets that vassals share: zerg servers, zergs and pools, ours and the real uWSGI's in every
 * combination; and servers and clients that do not behave.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { encodeDescriptorMessage } from "@emperor/protocol";
import * as linux from "@emperor/linux";
import { expect, it } from "vitest";
import { realUwsgi, rootTest, uwsgiTest } from "../harness/privileges.ts";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, get } from "./vassal-harness.ts";
import type { RunningVassal } from "./vassal-harness.ts";

const APP = `export default (q, s) => s.end("ours " + process.pid);`;
const ZERG = "--ini zerg.ini".split(" ");
const PYTHON = `
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"uwsgi %d" % os.getpid()]
`;

/** A real uWSGI in the folder; it is ended with it. */
function startUwsgi(folder: VassalFolder, ...args: readonly string[]): void {
  folder.write("app.py", PYTHON);
  spawn(realUwsgi ?? "", ["--master", "--disable-logging", "--no-orphans", ...args], {
    cwd: folder.path,
    env: { ...process.env, VASSAL_TEST: folder.path },
    stdio: "ignore",
  });
}

async function untilThere(path: string): Promise<void> {
  await waitFor(`${path} to be there`, () => existsSync(path));
}

/** Asks on new connections until the answer is what is waited for. */
async function untilAnswer(url: string, pattern: RegExp): Promise<string> {
  let last = "";
  await waitFor(
    `an answer that is ${String(pattern)}`,
    async () => {
      last = await get(url).then(
        ({ body }) => body,
        (error: unknown) => String(error),
      );
      return pattern.test(last);
    },
    { witness: { onChange: () => () => undefined, account: () => last } },
  );
  return last;
}

/** A vassal of ours with a zerg server, and `zerg.ini` for zergs of it. */
async function served(folder: VassalFolder, more = ""): Promise<RunningVassal> {
  folder.write("app.mjs", APP);
  folder.ini(`node-app = app.mjs\nzerg-server = z.sock\n${more}`);
  folder.write("zerg.ini", "[uwsgi]\nnode-app = app.mjs\nzerg = z.sock\nprotocol = http\n");
  const vassal = folder.start();
  await vassal.accepting();
  return vassal;
}

it("a zerg serves on the sockets of its server, also when that one is gone", async () => {
  await using folder = await VassalFolder.create();
  const vassal = await served(folder);
  const zerg = folder.start({ argv: ZERG });
  await zerg.accepting();
  expect(zerg.log).toContain(`zerg of z.sock: 1 socket(s): 127.0.0.1:${folder.port}`);
  vassal.send(0);
  await vassal.ended();
  expect((await get(folder.url)).body).toBe(`ours ${zerg.pid}`);
  expect(existsSync(folder.file("z.sock"))).toBe(false);
});

it("a zerg keeps its sockets over a reload", async () => {
  await using folder = await VassalFolder.create();
  const vassal = await served(folder);
  const zerg = folder.start({ argv: ZERG });
  await zerg.accepting();
  vassal.send(0);
  await vassal.ended();
  zerg.send(1);
  await zerg.accepting(2);
  expect((await get(folder.url)).body).toBe(`ours ${zerg.pid}`);
});

it("the server's socket is for the own user, unless a mode is given", async () => {
  await using folder = await VassalFolder.create();
  await served(folder);
  expect(statSync(folder.file("z.sock")).mode & 0o777).toBe(0o600);
  await using open = await VassalFolder.create();
  await served(open, "zerg-server-mode = 666");
  expect(statSync(open.file("z.sock")).mode & 0o777).toBe(0o666);
});

rootTest(
  "another user gets nothing from an abstract name, and everything where a mode is given",
  async () => {
    await using folder = await VassalFolder.create();
    const name = `@zerg-${process.pid}-${folder.port}`;
    folder.write("app.mjs", APP);
    folder.ini(`node-app = app.mjs\nzerg-server = ${name}`);
    const vassal = folder.start();
    await vassal.accepting();
    folder.write("zerg.ini", `[uwsgi]\nnode-app = app.mjs\nzerg = ${name}\nprotocol = http\n`);
    const stranger = folder.start({ argv: ZERG, uid: 65_534 });
    expect(await stranger.ended()).toEqual({ code: 1, signal: null });
    expect(stranger.log).toMatch(/zerg server "@zerg-.*": it hung up without a word/);
    await vassal.untilLog(/user 65534 \(pid \d+\) may not have the sockets/);
  },
);

it.each([
  ["without a server", (_folder: VassalFolder) => undefined, /ENOENT/],
  [
    "with a path that is no socket",
    (folder: VassalFolder) => void folder.write("z.sock", ""),
    /ECONNREFUSED/,
  ],
])(
  "a zerg %s ends with 1, or binds its own sockets with zerg-fallback",
  async (_what, make, why) => {
    await using folder = await VassalFolder.create();
    make(folder);
    folder.write("app.mjs", APP);
    folder.ini("node-app = app.mjs\nzerg = z.sock\nprotocol = http");
    const zerg = folder.start();
    expect((await zerg.ended()).code).toBe(1);
    expect(zerg.log).toMatch(why);
    folder.ini("node-app = app.mjs\nzerg = z.sock\nzerg-fallback = true\nprotocol = http");
    const other = folder.start();
    await other.accepting();
    expect((await get(folder.url)).body).toBe(`ours ${other.pid}`);
  },
);

it("with zerg-fallback the own sockets are not bound while the server gives some", async () => {
  await using folder = await VassalFolder.create();
  await served(folder);
  const own = folder.file("own.sock");
  folder.write(
    "zerg.ini",
    `[uwsgi]\nnode-app = app.mjs\nzerg = z.sock\nzerg-fallback = true\nhttp-socket = ${own}\n`,
  );
  const zerg = folder.start({ argv: ZERG });
  await zerg.accepting();
  expect(existsSync(own)).toBe(false);
});

it("a pool owns sockets and runs nothing; zergs come and go while connections wait", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write(
    "pool.ini",
    `[uwsgi]\nzergpool = z.sock:127.0.0.1:${folder.port},${folder.file("u.sock")}\n`,
  );
  folder.write("zerg.ini", "[uwsgi]\nnode-app = app.mjs\nzerg = z.sock\nprotocol = http\n");
  const pool = folder.start({ argv: ["--ini", "pool.ini"] });
  await pool.accepting();
  const early = get(folder.url);
  const zerg = folder.start({ argv: ZERG });
  expect((await early).body).toBe(`ours ${zerg.pid}`);
  expect((await get({ socketPath: folder.file("u.sock"), path: "/" })).body).toBe(
    `ours ${zerg.pid}`,
  );
  zerg.send(0);
  await zerg.ended();
  const waiting = get(folder.url);
  const next = folder.start({ argv: ZERG });
  expect((await waiting).body).toBe(`ours ${next.pid}`);
  pool.send(0);
  expect((await pool.ended()).code).toBe(0);
});

uwsgiTest("a zerg of the real uWSGI takes the sockets of our server", async () => {
  await using folder = await VassalFolder.create();
  const vassal = await served(folder);
  startUwsgi(
    folder,
    "--plugin",
    "python3",
    "--zerg",
    folder.file("z.sock"),
    "--protocol",
    "http",
    "--wsgi-file",
    "app.py",
  );
  await untilAnswer(folder.url, /^uwsgi/);
  vassal.send(0);
  await vassal.ended();
  await untilAnswer(folder.url, /^uwsgi/);
});

uwsgiTest("our zerg takes the sockets of the real uWSGI's server", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  startUwsgi(
    folder,
    "--plugin",
    "python3",
    "--http-socket",
    `127.0.0.1:${folder.port}`,
    "--zerg-server",
    folder.file("z.sock"),
    "--wsgi-file",
    "app.py",
  );
  await untilThere(folder.file("z.sock"));
  folder.write("zerg.ini", "[uwsgi]\nnode-app = app.mjs\nzerg = z.sock\nprotocol = http\n");
  const zerg = folder.start({ argv: ZERG });
  await zerg.accepting();
  await untilAnswer(folder.url, /^ours/);
});

uwsgiTest("our zerg takes the sockets of the real uWSGI's zergpool", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  startUwsgi(
    folder,
    "--plugin",
    "zergpool",
    "--zergpool",
    `${folder.file("z.sock")}:127.0.0.1:${folder.port}`,
  );
  await untilThere(folder.file("z.sock"));
  folder.write("zerg.ini", "[uwsgi]\nnode-app = app.mjs\nzerg = z.sock\nprotocol = http\n");
  const zerg = folder.start({ argv: ZERG });
  await zerg.accepting();
  expect((await get(folder.url)).body).toBe(`ours ${zerg.pid}`);
});

uwsgiTest("a zerg of the real uWSGI takes the sockets of our pool", async () => {
  await using folder = await VassalFolder.create();
  folder.write("pool.ini", `[uwsgi]\nzerg-pool = z.sock:127.0.0.1:${folder.port}\n`);
  const pool = folder.start({ argv: ["--ini", "pool.ini"] });
  await pool.accepting();
  startUwsgi(
    folder,
    "--plugin",
    "python3",
    "--zerg",
    folder.file("z.sock"),
    "--protocol",
    "http",
    "--wsgi-file",
    "app.py",
  );
  await untilAnswer(folder.url, /^uwsgi/);
});

/** A server that answers everybody with this. */
function rogue(path: string, bytes: Uint8Array, fds: readonly number[]): Disposable {
  const listener = linux.listen({ family: "unix", path }, { backlog: 10 });
  const watcher = linux.createWatcher(() => {
    for (
      let client = linux.accept(listener);
      client !== undefined;
      client = linux.accept(listener)
    ) {
      if (bytes.length > 0) linux.sendDescriptors(client, bytes, fds);
      linux.close(client);
    }
    watcher.rearm(0);
  });
  watcher.addListener(listener, 0);
  return {
    [Symbol.dispose]: () => {
      watcher.close();
      linux.close(listener);
    },
  };
}

it.each([
  ["nothing at all", new Uint8Array(0), 0, /it hung up without a word/],
  [
    "garbage",
    new TextEncoder().encode("GET / HTTP/1.1"),
    0,
    /no answer of a zerg server \(wrong-code\)/,
  ],
  [
    "garbage with descriptors",
    new TextEncoder().encode("?"),
    3,
    /no answer of a zerg server \(wrong-length\)/,
  ],
  ["no descriptors", encodeDescriptorMessage("zerg", 0), 0, /it has no sockets to give/],
  ["fewer than it says", encodeDescriptorMessage("zerg", 5), 2, /announces 5 sockets and sends 2/],
  [
    "a negative number",
    encodeDescriptorMessage("zerg", -1 >>> 0),
    1,
    /no answer of a zerg server \(bad-count\)/,
  ],
  [
    "a huge number",
    encodeDescriptorMessage("zerg", 1_000_000),
    8,
    /announces 1000000 sockets, 253 can be passed/,
  ],
  [
    "what is no socket",
    encodeDescriptorMessage("zerg", 3),
    3,
    /none of the 3 descriptors that it gives is a listening socket/,
  ],
])("a server that sends %s: the zerg says so and ends", async (_what, bytes, count, why) => {
  await using folder = await VassalFolder.create();
  const nothing = linux.openFile("/dev/null", 0);
  using _server = rogue(
    folder.file("z.sock"),
    bytes,
    Array.from({ length: count }, () => nothing),
  );
  folder.write("app.mjs", APP);
  folder.write("zerg.ini", "[uwsgi]\nnode-app = app.mjs\nzerg = z.sock\n");
  const zerg = folder.start({ argv: ZERG });
  expect((await zerg.ended()).code).toBe(1);
  expect(zerg.log).toMatch(why);
  linux.close(nothing);
});

it("more sockets than there is room at first are asked for again", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  const sockets = Array.from({ length: 20 }, () =>
    linux.listen({ family: "ipv4", host: "127.0.0.1", port: 0 }, { backlog: 10 }),
  );
  using _server = rogue(folder.file("z.sock"), encodeDescriptorMessage("zerg", 20), sockets);
  folder.write("zerg.ini", "[uwsgi]\nnode-app = app.mjs\nzerg = z.sock\nprotocol = http\n");
  const zerg = folder.start({ argv: ZERG });
  await zerg.accepting();
  const last = linux.localAddress(sockets[19] ?? -1);
  for (const fd of sockets) linux.close(fd);
  const port = last?.family === "ipv4" ? last.port : 0;
  expect((await get(`http://127.0.0.1:${port}/`)).body).toBe(`ours ${zerg.pid}`);
});

it("clients that say anything, or nothing, cost the server nothing", async () => {
  await using folder = await VassalFolder.create();
  const vassal = await served(folder);
  const path = folder.file("z.sock");
  const descriptors = (): number => readdirSync(`/proc/${vassal.pid}/fd`).length;
  const before = descriptors();
  for (let count = 0; count < 300; count++) {
    try {
      const { fd } = linux.connect({ family: "unix", path });
      if (count % 2 === 0) linux.sendDescriptors(fd, Uint8Array.of(count & 0xff, 0, 255), [fd]);
      linux.close(fd);
    } catch (error) {
      // Its queue is full, or it has answered and hung up already.
      expect(String(error)).toMatch(/EAGAIN|EPIPE/);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const zerg = folder.start({ argv: ZERG });
  await zerg.accepting();
  await waitFor("its descriptors to be as many as before", () => descriptors() === before, {
    witness: vassal,
  });
  expect((await get(folder.url)).status).toBe(200);
});

it("a path that is in use, or that is no socket, is left alone", async () => {
  await using folder = await VassalFolder.create();
  await served(folder);
  const second = folder.start({ argv: ["--ini", "app.ini", "--http-socket", ":0"] });
  expect((await second.ended()).code).toBe(1);
  folder.write("file", "precious");
  folder.write(
    "other.ini",
    "[uwsgi]\nnode-app = app.mjs\nhttp-socket = 127.0.0.1:0\nzerg-server = file\n",
  );
  const third = folder.start({ argv: ["--ini", "other.ini"] });
  expect((await third.ended()).code).toBe(1);
  expect(third.log).toMatch(/something else than a socket at that path/);
});
