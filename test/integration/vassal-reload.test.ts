/** Reloads of the `vassal` command: nothing is lost, and nothing that runs is given up for something broken. */
import { Agent } from "node:http";
import { expect, it } from "vitest";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, get, load } from "./vassal-harness.ts";

/** Under a master the old workers may still take a connection for a moment after the new ones accept. */
async function answers(url: string, text: string): Promise<void> {
  let seen = "";
  await waitFor(
    `${JSON.stringify(text)} from ${url}`,
    async () => (seen = (await get(url)).body).includes(text),
    {
      witness: { onChange: () => () => undefined, account: () => `last answer: ${seen}` },
    },
  );
}

const app = (version: string): string =>
  `export default (q, s) => setTimeout(() => s.end("${version} " + process.pid), 2);`;

for (const [kind, lines, times] of [
  ["one process", "", 4],
  ["a master with two workers", "processes = 2", 6],
] as const) {
  it(`${kind}: no request fails while it is reloaded again and again`, async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", app("v0"));
    folder.ini(`node-app = app.mjs\n${lines}`);
    const vassal = folder.start();
    await vassal.accepting();
    await get(folder.url);
    const clients = load(folder.url, 6);
    for (let i = 1; i <= times; i++) {
      folder.write("app.mjs", app(`v${i}`));
      vassal.send(1);
      await vassal.accepting(i + 1);
    }
    const result = await clients.stop();
    expect(result.failures).toEqual([]);
    expect(result.answers).toBeGreaterThan(0);
    await answers(folder.url, `v${times} `);
    expect(vassal.exit).toBeUndefined();
    expect(vassal.bytes.filter((byte) => byte === 1)).toHaveLength(1);
    vassal.send(2);
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
    await folder.untilAlone();
  });

  it(`${kind}: a request that runs is answered by the old version, over the reload`, async () => {
    await using folder = await VassalFolder.create();
    folder.write(
      "app.mjs",
      `export default (q, s) => { console.log("asked"); setTimeout(() => s.end("old"), 600); };`,
    );
    folder.ini(`node-app = app.mjs\n${lines}`);
    const vassal = folder.start();
    await vassal.accepting();
    const agent = new Agent({ keepAlive: true });
    const answer = get(folder.url, agent);
    await vassal.untilLog(/asked/);
    folder.write("app.mjs", app("new"));
    vassal.child.kill("SIGHUP");
    expect(await answer).toMatchObject({ status: 200, body: "old" });
    await vassal.accepting(2);
    await answers(folder.url, "new");
    agent.destroy();
  });

  it(`${kind}: a broken app or config is refused and the old one goes on`, async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", app("good"));
    folder.ini(`node-app = app.mjs\n${lines}`);
    const vassal = folder.start();
    await vassal.accepting();
    folder.write("app.mjs", `throw new Error("broken on purpose");`);
    vassal.send(1);
    await vassal.untilLog(/reload (refused|abandoned)/);
    expect(vassal.log).toContain("broken on purpose");
    expect((await get(folder.url)).body).toContain("good");
    folder.write("app.mjs", app("better"));
    folder.ini(`node-app = app.mjs\nheartbeat = soon\n${lines}`);
    const before = vassal.log.length;
    vassal.send(1);
    await vassal.untilLog(/app\.ini:4: option "heartbeat" needs a number of seconds/);
    expect(vassal.log.length).toBeGreaterThan(before);
    expect((await get(folder.url)).body).toContain("good");
    folder.ini(`node-app = app.mjs\n${lines}`);
    vassal.send(1);
    await vassal.accepting(2);
    await answers(folder.url, "better");
  });
}

it("keeps its pid with one process, and takes a new address", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", app("v"));
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  expect((await get(folder.url)).body).toBe(`v ${vassal.pid}`);
  folder.ini(`http-socket = ${folder.file("new.sock")}\nnode-app = app.mjs`);
  vassal.send(1);
  await vassal.accepting(2);
  expect((await get({ socketPath: folder.file("new.sock"), path: "/" })).body).toBe(
    `v ${vassal.pid}`,
  );
  await expect(get(folder.url)).rejects.toThrow(/ECONNREFUSED/);
});

it("replaces a worker that dies, and reports generations to the Emperor", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `export default (q, s) => { if (q.url === "/die") process.exit(7); s.end(String(process.pid)); };`,
  );
  folder.ini("node-app = app.mjs\nprocesses = 2");
  const vassal = folder.start();
  await vassal.accepting();
  expect(vassal.bytes).toEqual([1, 5]);
  await expect(get(`${folder.url}die`)).rejects.toThrow(/hang up|ECONNRESET/);
  await vassal.untilLog(/exited with 7: starting another one/);
  expect((await get(folder.url)).status).toBe(200);
  expect(vassal.exit).toBeUndefined();
});

it("ends all workers with the master, however it ends", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", app("v"));
  folder.ini("node-app = app.mjs\nprocesses = 2");
  for (const order of ["stop", "lost", "SIGKILL"] as const) {
    const vassal = folder.start();
    await vassal.accepting();
    expect(folder.processes()).toHaveLength(3);
    if (order === "stop") vassal.send(0);
    else if (order === "lost") vassal.channel.destroy();
    else vassal.child.kill("SIGKILL");
    const exit = await vassal.ended();
    if (order !== "SIGKILL") expect(exit).toEqual({ code: order === "stop" ? 0 : 1, signal: null });
    await folder.untilAlone();
  }
});

it("under a master stops the beat when one worker hangs", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `export default (q, s) => s.end(() => { if (q.url === "/hang") for (;;); });`,
  );
  folder.ini("node-app = app.mjs\nmaster = true\nheartbeat = 0.2");
  const vassal = folder.start();
  await vassal.accepting();
  await vassal.untilBytes("beats", (bytes) => bytes.filter((byte) => byte === 26).length >= 3);
  await get(`${folder.url}hang`);
  // The beat ends within three intervals; then two looks, far apart, must see the same count.
  const beats = (): number => vassal.bytes.filter((byte) => byte === 26).length;
  let last = { count: -1, at: 0 };
  await waitFor("the beat to end", () => {
    const now = performance.now();
    if (beats() !== last.count) last = { count: beats(), at: now };
    return now - last.at > 1500;
  });
});
