/** `fallback-config`, reloads that never come up, workers that are paused, pidfiles that are written again. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { VassalFolder, get } from "./vassal-harness.ts";

const APP = "export default (_request, response) => response.end(String(process.pid));";

it.each([
  ["an app that is not there", "node-app = none.mjs"],
  ["a value that makes no sense", "node-app = app.mjs\nprocesses = many"],
  ["workers that do not come up", "node-app = none.mjs\nprocesses = 2"],
])("a start that fails goes on with another configuration, once: %s", async (_what, lines) => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini(`${lines}\nfallback-config = good.ini`);
  folder.write("good.ini", `[uwsgi]\nhttp-socket = 127.0.0.1:${folder.port}\nnode-app = app.mjs\n`);
  const vassal = folder.start();
  await vassal.accepting();
  expect((await get(folder.url)).body).toBe(String(vassal.pid));
  expect(vassal.log).toContain("falling back to the configuration good.ini");
  vassal.send(2);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  folder.write("good.ini", "[uwsgi]\nnode-app = none.mjs\nfallback-config = good.ini\n");
  const again = folder.start();
  expect(await again.ended()).toEqual({ code: 1, signal: null });
  expect(again.log.match(/falling back/g)).toHaveLength(1);
});

it("abandons a generation that does not come up in time", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini("node-app = app.mjs\nmaster = true\nreload-timeout = 1");
  const vassal = folder.start();
  await vassal.accepting();
  const { body } = await get(folder.url);
  folder.write("app.mjs", "await new Promise(() => setInterval(() => {}, 1000));");
  vassal.send(1);
  await vassal.untilLog(
    /generation 2 does not accept after 1 s \(reload-timeout\): reload abandoned, generation 1 goes on/,
  );
  expect((await get(folder.url)).body).toBe(body);
  folder.write("app.mjs", APP);
  // How long a worker takes to start is the machine's affair.
  folder.ini("node-app = app.mjs\nmaster = true\nreload-timeout = 0");
  vassal.send(1);
  await vassal.accepting(2);
});

it("pauses workers and lets them go on, and writes pidfiles again", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini("node-app = app.mjs\nprocesses = 2\nmaster-fifo = fifo\nsafe-pidfile = pid");
  const vassal = folder.start();
  await vassal.untilLog(/fifo is open/);
  await vassal.accepting();
  const order = (character: string): void => writeFileSync(folder.file("fifo"), character);
  const { body } = await get(folder.url);
  const state = (): string =>
    /^State:\s+(\S)/m.exec(readFileSync(`/proc/${body}/status`, "utf8"))?.[1] ?? "";
  order("p");
  await expect.poll(state, { timeout: 10_000 }).toBe("T");
  order("p");
  await expect.poll(state, { timeout: 10_000 }).not.toBe("T");
  await get(folder.url);
  order("p");
  await expect.poll(state, { timeout: 10_000 }).toBe("T");
  // A reload is for workers that hear it.
  order("r");
  await vassal.accepting(2);
  rmSync(folder.file("pid"));
  order("P");
  const pid = (): string => {
    try {
      return readFileSync(folder.file("pid"), "utf8");
    } catch {
      return "";
    }
  };
  await expect.poll(pid, { timeout: 10_000 }).toBe(`${vassal.pid}\n`);
  order("p");
  await vassal.untilLog(
    /the workers are paused[^]*the workers are paused[^]*the workers are paused/,
  );
  vassal.send(2);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  await folder.untilAlone();
});
