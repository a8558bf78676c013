/** Where the output of a vassal goes. */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { rootTest } from "../harness/privileges.ts";
import { VassalFolder } from "./vassal-harness.ts";

const APP = `console.log("the app speaks"); console.error("and complains");
export default (_request, response) => response.end("ok");`;

it.each([
  "node-app = app.mjs\nlogto = log",
  "node-app = app.mjs\nmaster = true\nlogto2 = log",
  "command = sh -c 'echo the app speaks; echo and complains >&2; exec sleep 1000'\nlogto = log",
])("appends everything to the file, over reloads as well: %s", async (lines) => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("log", "what was there\n");
  folder.ini(lines);
  const vassal = folder.start();
  const log = (): string => readFileSync(folder.file("log"), "utf8");
  await vassal.accepting();
  await expect.poll(log).toMatch(/^what was there\n[^]*the app speaks\n[^]*and complains/);
  vassal.send(1);
  await vassal.accepting(2);
  await expect.poll(log).toMatch(/and complains[^]*the app speaks\n[^]*and complains/);
  vassal.send(2);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  expect(log()).toContain("stopping when the running requests are done");
  expect(vassal.log).not.toContain("the app speaks");
});

rootTest("gives a file that it creates to the user of the vassal", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini("node-app = app.mjs\nuid = daemon\nlogto = log");
  const vassal = folder.start();
  await vassal.accepting();
  const stat = statSync(folder.file("log"));
  expect([stat.uid > 0, stat.mode & 0o777]).toEqual([true, 0o640]);
  writeFileSync(folder.file("log"), "");
  vassal.send(1);
  await vassal.accepting(2);
  expect(readFileSync(folder.file("log"), "utf8")).toContain("the app speaks");
});

it("ends with 1 when the file cannot be opened", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini("node-app = app.mjs\nlogto = /no/such/folder/log");
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(vassal.log).toMatch(/logto = "\/no\/such\/folder\/log" cannot be opened: .*ENOENT/);
});
