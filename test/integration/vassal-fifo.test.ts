/** Orders through the master FIFO. */
import { statSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { VassalFolder, get } from "./vassal-harness.ts";

const APP = "export default (_request, response) => response.end(String(process.pid));";

it("is a private FIFO, obeys, switches slots, and ignores what it does not know", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini("node-app = app.mjs\nprocesses = 2\nmaster-fifo = zero\nmaster-fifo = one");
  const vassal = folder.start();
  await vassal.accepting();
  await vassal.untilLog(/master FIFO \S*zero is open/);
  const stat = statSync(folder.file("zero"));
  expect([stat.isFIFO(), stat.mode & 0o777]).toEqual([true, 0o600]);
  writeFileSync(folder.file("zero"), "r\n");
  await vassal.accepting(2);
  writeFileSync(folder.file("zero"), "Sx!\n7B");
  await vassal.untilLog(/there are no subscriptions/);
  await vassal.untilLog(/there is no slot 7/);
  await vassal.untilBytes("reinforcements", (bytes) => bytes.includes(30));
  writeFileSync(folder.file("zero"), "1");
  await vassal.untilLog(/master FIFO \S*one is open/);
  writeFileSync(folder.file("one"), "s");
  await vassal.untilLog(/\{"version":"0.1.0","listen_queue":0/);
  writeFileSync(folder.file("one"), "q");
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  expect(vassal.log).toContain("master FIFO: command q");
});

it("reloads and stops one process and a command, also brutally", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  for (const app of [
    "node-app = app.mjs",
    "command = sleep 1000",
    "command = sleep 1000\nprocesses = 2",
  ]) {
    folder.ini(`${app}\nmaster-fifo = fifo`);
    const vassal = folder.start();
    await vassal.untilLog(/fifo is open/);
    writeFileSync(folder.file("fifo"), "r");
    await vassal.untilLog(/fifo is open[^]*fifo is open/);
    writeFileSync(folder.file("fifo"), "R");
    await vassal.untilLog(/fifo is open[^]*fifo is open[^]*fifo is open/);
    writeFileSync(folder.file("fifo"), "Q");
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
    await folder.untilAlone();
  }
});

it("renews the copies of a command, all of them or one after the other", async () => {
  await using folder = await VassalFolder.create();
  folder.ini(
    "command = sh -c 'echo here is $$; exec sleep 1000'\nprocesses = 2\nmaster-fifo = fifo",
  );
  const vassal = folder.start();
  await vassal.untilLog(/fifo is open/);
  const starts = (): number => vassal.log.match(/here is \d+/g)?.length ?? 0;
  // A copy that is ended before it spoke would be missing in the count.
  await expect.poll(starts).toBe(2);
  for (const [order, expected] of [
    ["w", 4],
    ["W", 6],
    ["c", 8],
  ] as const) {
    writeFileSync(folder.file("fifo"), order);
    await expect.poll(starts, { timeout: 30_000 }).toBe(expected);
  }
  expect(vassal.exit).toBeUndefined();
});

it("leaves a file alone that is no FIFO", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("fifo", "precious");
  folder.ini("node-app = app.mjs\nmaster-fifo = fifo");
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(vassal.log).toContain("that is no FIFO; it is left alone");
  expect(statSync(folder.file("fifo")).isFile()).toBe(true);
  await expect(get(folder.url)).rejects.toThrow(/ECONNREFUSED/);
});
