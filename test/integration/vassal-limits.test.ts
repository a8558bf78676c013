/** Limits of workers under a master: what takes too long, lives too long or grows too much is replaced. */
import { expect, it } from "vitest";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, get } from "./vassal-harness.ts";
import type { RunningVassal } from "./vassal-harness.ts";

const PID = `export default (q, s) => s.end(String(process.pid));`;

/** Asks until another process than `before` answers. */
async function successor(vassal: RunningVassal, url: string, before: string): Promise<string> {
  return waitFor(
    `an answer of another process than ${before}`,
    async () => {
      const { body } = await get(url);
      return body === before ? undefined : body;
    },
    { witness: vassal },
  );
}

const HANGING = `export default (q, s) => {
  if (q.url.startsWith("/never")) return;
  if (q.url.startsWith("/loop")) for (;;);
  s.end(String(process.pid));
};`;

it.each(["/never?answers=1", "/loop"])(
  "harakiri kills the worker whose request takes too long and says which one: %s",
  async (path) => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", HANGING);
    folder.ini("node-app = app.mjs\nharakiri = 0.4\nforkbomb-delay = 0");
    const vassal = folder.start();
    await vassal.accepting();
    const before = (await get(folder.url)).body;
    expect(before).not.toBe(String(vassal.pid));
    await expect(get(`${folder.url}${path.slice(1)}`)).rejects.toThrow(/hang up|ECONNRESET/);
    await vassal.untilLog(/harakiri: worker 1 \(process \d+\) is killed, as/);
    expect(vassal.log).toContain(`GET ${path}`);
    expect(vassal.log).toMatch(/runs for 0\.\d s \(limit 0\.4 s\)/);
    await vassal.untilLog(/was ended by SIGKILL: starting another one/);
    await successor(vassal, folder.url, before);
    expect(vassal.exit).toBeUndefined();
    expect(vassal.bytes.filter((byte) => byte === 5)).toHaveLength(1);
  },
);

it("replaces a worker after max-requests, and no request is lost by it", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", PID);
  folder.ini("node-app = app.mjs\nmax-requests = 5\nmin-worker-lifetime = 0");
  const vassal = folder.start();
  await vassal.accepting();
  const pids = new Set<string>();
  for (let i = 0; pids.size < 3 && i < 2000; i++) {
    const answer = await get(folder.url);
    expect(answer.status).toBe(200);
    pids.add(answer.body);
  }
  expect(pids.size).toBe(3);
  expect(vassal.log).toMatch(/worker 1 .* is replaced, as it served 5 requests \(max-requests\)/);
});

it("replaces a worker that lived long enough, and one that uses too much memory", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", PID);
  folder.ini("node-app = app.mjs\nmax-worker-lifetime = 1");
  const vassal = folder.start();
  await vassal.accepting();
  await successor(vassal, folder.url, (await get(folder.url)).body);
  expect(vassal.log).toMatch(/is replaced, as it lived 1 s \(max-worker-lifetime\)/);
});

it("replaces a worker that leaks past reload-on-rss", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `const kept = []; export default (q, s) => { if (q.url === "/leak") kept.push(Buffer.alloc(200e6, 1)); s.end(String(process.pid)); };`,
  );
  folder.ini("node-app = app.mjs\nreload-on-rss = 200\nmin-worker-lifetime = 0");
  const vassal = folder.start();
  await vassal.accepting();
  const before = (await get(`${folder.url}leak`)).body;
  await successor(vassal, folder.url, before);
  expect(vassal.log).toMatch(/is replaced, as it uses \d+ MB of memory \(reload-on-rss = 200\)/);
});

it("waits between the deaths of a worker that dies too quickly, and goes on without it", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `export default (q, s) => { if (q.url === "/die") process.exit(3); s.end(String(process.pid)); };`,
  );
  // Longer than any machine takes from its start to the request.
  folder.ini("node-app = app.mjs\nprocesses = 2\nforkbomb-delay = 60");
  const vassal = folder.start();
  await vassal.accepting();
  await expect(get(`${folder.url}die`)).rejects.toThrow(/hang up|ECONNRESET/);
  await vassal.untilLog(/worker \d .*exited with 3: starting another one in 60 s/);
  expect((await get(folder.url)).status).toBe(200);
});

it("keeps few workers, starts more while they are busy, and lets them go", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `export default (q, s) => { const end = Date.now() + 80; while (Date.now() < end); s.end("x"); };`,
  );
  folder.ini("node-app = app.mjs\nprocesses = 2\ncheaper = 1\ncheaper-overload = 1");
  const vassal = folder.start();
  await vassal.accepting();
  expect(folder.processes()).toHaveLength(2); // the master and one worker
  let busy = true;
  const load = (async () => {
    while (busy) await get(folder.url);
  })();
  await vassal.untilLog(/cheaper: 2 worker\(s\) instead of 1, 1 of them busy/);
  busy = false;
  await load;
  await vassal.untilLog(/cheaper: 1 worker\(s\) instead of 2, 0 of them busy/);
  await waitFor("the second worker to go", () => folder.processes().length === 2, {
    witness: vassal,
  });
  expect((await get(folder.url)).status).toBe(200);
});
