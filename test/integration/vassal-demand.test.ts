/** A vassal that nobody needs, that cannot cope, or whose files are touched; and what its processes are called. */
import { readFileSync, statSync, utimesSync } from "node:fs";
import { Socket } from "node:net";
import { expect, it } from "vitest";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, get } from "./vassal-harness.ts";

const PID = `export default (q, s) => s.end(String(process.pid));`;
const count = (bytes: readonly number[], byte: number): number =>
  bytes.filter((other) => other === byte).length;

for (const [kind, lines] of [
  ["one process", ""],
  ["a master", "master = true"],
] as const) {
  it(`${kind}: says 22 once when it is idle with die-on-idle, and goes on until it is stopped`, async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", PID);
    folder.ini(`node-app = app.mjs\nidle = 0.5\ndie-on-idle = true\n${lines}`);
    const vassal = folder.start();
    await vassal.untilBytes("22", (bytes) => bytes.includes(22));
    await vassal.untilLog(/told the Emperor that this vassal is not needed/);
    expect((await get(folder.url)).status).toBe(200);
    await vassal.untilBytes("22 again, after the request", (bytes) => count(bytes, 22) === 2);
    vassal.send(0);
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  });

  it(`${kind}: stops by itself when it is idle without an Emperor`, async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", PID);
    folder.ini(`node-app = app.mjs\nidle = 0.5\ndie-on-idle = true\n${lines}`);
    const vassal = folder.start({ emperor: false });
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
    expect(vassal.log).toMatch(/no request for 0\.5 s \(die-on-idle\): stopping/);
  });

  it(`${kind}: asks for reinforcements while it is busy (vassal-sos)`, async () => {
    await using folder = await VassalFolder.create();
    folder.write(
      "app.mjs",
      `export default (q, s) => { const end = Date.now() + 100; while (Date.now() < end); s.end("x"); };`,
    );
    folder.ini(`node-app = app.mjs\nvassal-sos = 0.5\n${lines}`);
    const vassal = folder.start();
    await vassal.accepting();
    let busy = true;
    const load = (async () => {
      while (busy) await get(folder.url);
    })();
    await vassal.untilBytes("30", (bytes) => bytes.includes(30));
    busy = false;
    await load;
    expect(vassal.log).toMatch(/asking Emperor for reinforcements \(all workers were busy/);
  });

  it(`${kind}: asks for reinforcements while others wait for a busy app (vassal-sos-backlog)`, async () => {
    await using folder = await VassalFolder.create();
    folder.write(
      "app.mjs",
      `export default (q, s) => { const end = Date.now() + 50; while (Date.now() < end); s.end("x"); };`,
    );
    folder.ini(`node-app = app.mjs\nvassal-sos-backlog = 3\n${lines}`);
    const vassal = folder.start();
    await vassal.accepting();
    let busy = true;
    const load = Array.from({ length: 8 }, async () => {
      while (busy) await get(folder.url);
    });
    await vassal.untilBytes("30", (bytes) => bytes.includes(30));
    busy = false;
    await Promise.all(load);
    expect(vassal.log).toMatch(/asking Emperor for reinforcements \(backlog: [3-8]\)/);
  });

  it(`${kind}: reloads when its file is touched`, async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", PID);
    const touched = folder.file("touch-me");
    folder.ini(`node-app = app.mjs\ntouch-reload = ${touched}\n${lines}`);
    const vassal = folder.start();
    await vassal.accepting();
    folder.write("touch-me", "");
    await vassal.accepting(2);
    expect(vassal.log).toMatch(/touch-reload: \S*touch-me was touched/);
    utimesSync(touched, 1, 1); // an older time is a change as well
    await vassal.accepting(3);
    expect((await get(folder.url)).status).toBe(200);
  });

  it(`${kind}: reloads brutally on SIGQUIT: a request that never ends is cut`, async () => {
    await using folder = await VassalFolder.create();
    folder.write(
      "app.mjs",
      `export default (q, s) => { if (q.url === "/never") console.log("asked"); else s.end("x"); };`,
    );
    folder.ini(`node-app = app.mjs\n${lines}`);
    const vassal = folder.start();
    await vassal.accepting();
    const cut = get(`${folder.url}never`).then(
      () => "answered",
      () => "cut",
    );
    await vassal.untilLog(/asked/);
    vassal.child.kill("SIGQUIT");
    await vassal.accepting(2);
    expect(await cut).toBe("cut");
    expect((await get(folder.url)).status).toBe(200);
  });
}

it("asks for reinforcements while connections wait (vassal-sos-backlog)", async () => {
  await using folder = await VassalFolder.create();
  // The only worker hangs, so what connects stays in the queue.
  folder.write("app.mjs", `export default (q, s) => { console.log("hangs"); for (;;); };`);
  folder.ini("node-app = app.mjs\nmaster = true\nvassal-sos-backlog = 3");
  const vassal = folder.start();
  await vassal.accepting();
  const clients: Socket[] = [];
  const connect = (): void => {
    const socket = new Socket();
    socket.on("error", () => undefined);
    socket.connect(folder.port, "127.0.0.1", () => {
      socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    });
    clients.push(socket);
  };
  try {
    connect();
    await vassal.untilLog(/hangs/);
    for (let i = 0; i < 5; i++) connect();
    await vassal.untilBytes("30, at each look", (bytes) => count(bytes, 30) >= 2);
    expect(vassal.log).toMatch(/asking Emperor for reinforcements \(backlog: [3-5]\)/);
  } finally {
    for (const socket of clients) socket.destroy();
  }
});

it("is cheap: no worker until a connection comes, and none again when it is idle", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", PID);
  folder.ini("node-app = app.mjs\ncheap = true\nidle = 0.5\nheartbeat = 0.2");
  const vassal = folder.start();
  await vassal.untilBytes("spawned", (bytes) => bytes.includes(1));
  expect(folder.processes()).toEqual([vassal.pid]);
  const first = await get(folder.url);
  expect(first.status).toBe(200);
  expect(first.body).not.toBe(String(vassal.pid));
  await vassal.untilLog(/the workers are stopped, as there was no request for 0\.5 s \(idle\)/);
  await waitFor("the worker to go", () => folder.processes().length === 1, { witness: vassal });
  const beats = count(vassal.bytes, 26);
  await vassal.untilBytes("beats while it sleeps", (bytes) => count(bytes, 26) > beats + 2);
  const second = await get(folder.url);
  expect(second.status).toBe(200);
  expect(second.body).not.toBe(first.body);
});

it("replaces its workers one at a time by touch-chain-reload, and stops when a new one fails", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", PID);
  folder.ini(
    `node-app = app.mjs\nprocesses = 3\nforkbomb-delay = 0\ntouch-chain-reload = ${folder.file("chain")}`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  const before = folder.processes();
  folder.write("chain", "1");
  await vassal.untilLog(/chain reload: worker 3 .* is replaced, 0 to go/);
  await waitFor(
    "three new workers",
    () => {
      const now = folder.processes();
      return now.length === 4 && now.filter((pid) => before.includes(pid)).length === 1;
    },
    { witness: vassal },
  );
  expect(vassal.log.match(/worker 1 .* is replaced, 2 to go/g)).toHaveLength(1);

  const running = folder.processes();
  folder.write("app.mjs", `throw new Error("broken on purpose");`);
  folder.write("chain", "22");
  await vassal.untilLog(/before it accepted; worker 1 .* goes on/);
  expect((await get(folder.url)).status).toBe(200);
  expect(folder.processes()).toEqual(running);
});

it("names its processes and writes its pid", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", `export default (q, s) => s.end(process.title);`);
  folder.ini(
    `node-app = app.mjs\nmaster = true\nauto-procname = true\nprocname-prefix-spaced = shop\nprocname-master = boss\numask = 027\npidfile = %d/a.pid\npidfile2 = %d/b.pid\nsafe-pidfile = %d/c.pid`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  expect((await get(folder.url)).body).toBe("shop vassal worker 1");
  expect(readFileSync(`/proc/${vassal.pid}/cmdline`, "utf8").replaceAll("\0", " ").trim()).toBe(
    "shop boss",
  );
  for (const name of ["a.pid", "b.pid", "c.pid"]) {
    expect(readFileSync(folder.file(name), "utf8")).toBe(`${vassal.pid}\n`);
    expect(statSync(folder.file(name)).mode & 0o777).toBe(0o640);
  }
});

it("refuses daemonize with the reason", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", PID);
  folder.ini("node-app = app.mjs\ndaemonize = /dev/null");
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  await vassal.untilLog(/"daemonize" is not served: a vassal stays in the foreground/);
});
