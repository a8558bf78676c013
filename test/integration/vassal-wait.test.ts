/** A vassal that waits for what it needs. */
import { createServer } from "node:net";
import { mkdirSync } from "node:fs";
import { expect, it } from "vitest";
import { VassalFolder, freePort } from "./vassal-harness.ts";

const APP = "export default (_request, response) => response.end('ok');";

it("starts when file, directory, socket, interface and mount are there, in turn", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  const port = await freePort();
  folder.ini(`node-app = app.mjs
wait-for-interface = lo
wait-for-mountpoint = /proc/
wait-for-fs = ${folder.file("file")}
wait-for-file = ${folder.file("file")}
wait-for-dir = ${folder.file("folder")}
wait-for-socket = 127.0.0.1:${port}`);
  const vassal = folder.start();
  await vassal.untilLog(/waiting for fs/);
  expect(vassal.bytes).toEqual([]);
  folder.write("file", "");
  await vassal.untilLog(/waiting for dir/);
  mkdirSync(folder.file("folder"));
  await vassal.untilLog(/waiting for socket/);
  const server = createServer((socket) => socket.destroy()).listen(port, "127.0.0.1");
  await vassal.accepting();
  server.close();
  expect(vassal.log).not.toMatch(/waiting for (interface|mountpoint)/);
});

it.each([
  ["wait-for-fs = /no/such/path\nwait-for-fs-timeout = 0.2", /not there within 0.2 s/],
  [
    "wait-for-dir = /etc/passwd\nwait-for-fs-timeout = 0.2",
    /wait-for-dir: \/etc\/passwd was not there/,
  ],
  ["wait-for-mountpoint = /etc/\nwait-for-fs-timeout = 0.2", /wait-for-mountpoint/],
  ["wait-for-interface = nope0\nwait-for-interface-timeout = 0.2", /nope0 was not there/],
  ["wait-for-interface = ../x", /cannot be an interface/],
  ["wait-for-socket = 80", /a port alone/],
])("ends with 1 when it is not there in time: %s", async (lines, message) => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini(`node-app = app.mjs\n${lines}`);
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(vassal.log).toMatch(message);
});

it("hears the Emperor while it waits", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini("node-app = app.mjs\nwait-for-fs = /no/such/path\nwait-for-fs-timeout = 0");
  const vassal = folder.start();
  await vassal.untilLog(/waiting for fs/);
  vassal.send(0);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
});
