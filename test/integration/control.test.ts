/** The control socket and emperorctl: what operators, scripts and hostile clients get. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { chownSync, lstatSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { emperorCommand, newRun, startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, StartOptions } from "../harness/emperor.ts";
import { otherUserTest } from "../harness/privileges.ts";

const CTL = join(import.meta.dirname, "../../bin/emperorctl");
const SOCKET = "{dir}/control.sock";

function govern(options: StartOptions = {}): Promise<EmperorUnderTest> {
  return startEmperor({
    ...options,
    args: ["--emperor-control", SOCKET, ...(options.args ?? [])],
  });
}

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function ctl(emperor: EmperorUnderTest, ...args: readonly string[]): Promise<Said> {
  const path = join(emperor.run.path, "control.sock");
  return new Promise((resolve) => {
    const options = { env: emperor.run.environment({ EMPEROR_CONTROL: path }), timeout: 60_000 };
    execFile(CTL, args, options, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
  });
}

interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

function http(emperor: EmperorUnderTest, method: string, path: string, body = ""): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const socketPath = join(emperor.run.path, "control.sock");
    const call = request({ socketPath, method, path, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.once("end", () => {
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Reply["body"] });
      });
      response.once("error", reject);
    });
    call.once("error", reject);
    call.end(body);
  });
}

/** A connection that speaks for itself; everything it is told is kept. */
function raw(emperor: EmperorUnderTest): { readonly socket: Socket; text: string } {
  const socket = connect({ path: join(emperor.run.path, "control.sock") });
  const client = { socket, text: "" };
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  socket.on("data", (chunk) => (client.text += String(chunk)));
  return client;
}

const ended = (socket: Socket): Promise<unknown> =>
  socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once("close", resolve));

test("emperorctl lists, shows, stops, starts and reloads, with exit codes for scripts", async () => {
  const emperor = await govern({
    vassals: { "a.ini": vassalConfig("loyal"), "bad.ini": vassalConfig("crashes-at-once") },
  });
  await emperor.vassalWith("a.ini", { loyal: 1 });
  expect((await ctl(emperor, "list")).out).toMatch(/^a\.ini +running +loyal +\d+/m);
  const { pid } = await emperor.started("a.ini");
  expect(await ctl(emperor, "reload", "--wait", "a.ini")).toMatchObject({
    code: 0,
    out: `a.ini: it accepts requests (pid ${pid})\n`,
  });
  await emperor.received("a.ini", 1);
  expect(await ctl(emperor, "stop", "--wait", "a.ini")).toMatchObject({ code: 0 });
  await emperor.gone(pid);
  // Stopped is stopped, whatever its file does.
  emperor.touch("a.ini");
  await emperor.fence();
  expect(emperor.starts("a.ini")).toBe(1);
  const refused = await ctl(emperor, "reload", "a.ini");
  expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/stopped-by-command/) });
  expect(await ctl(emperor, "start", "--wait", "a.ini")).toMatchObject({ code: 0 });
  expect(emperor.starts("a.ini")).toBe(2);
  const bad = await ctl(emperor, "start", "--wait", "bad.ini");
  expect(bad).toMatchObject({ code: 1, err: expect.stringMatching(/it died: exit status 1/) });
  expect((await ctl(emperor, "show", "bad.ini")).out).toMatch(/^ {2}\d+ \S+ bad\.ini exited/m);
  expect(await ctl(emperor, "show", "nobody.ini")).toMatchObject({ code: 4 });
  expect(await ctl(emperor, "nonsense")).toMatchObject({ code: 100 });
  expect(await ctl(emperor, "list", "--socket", "/nowhere")).toMatchObject({ code: 111 });
  for (const order of ["freeze", "thaw"])
    expect(await ctl(emperor, order, "a.ini")).toMatchObject({ code: 1 });
  expect(await ctl(emperor, "pardon", "bad.ini")).toMatchObject({ code: 0 });
  expect(await ctl(emperor, "pardon")).toMatchObject({ code: 0 });
  expect(await ctl(emperor, "rescan")).toMatchObject({ code: 0 });
});

test("show has the merged config with the place of each value, and --json everything", async () => {
  const emperor = await govern({
    prepare: (run) => {
      writeFileSync(join(run.path, "common.ini"), "[uwsgi]\nprocesses = 2\n");
      run.put("a.ini", `${vassalConfig("loyal")}include = ${join(run.path, "common.ini")}\n`);
    },
  });
  await emperor.vassalWith("a.ini", { loyal: 1 });
  const shown = await ctl(emperor, "show", "a.ini", "--json");
  const body = JSON.parse(shown.out) as Readonly<Record<string, unknown>>;
  const places = [join(emperor.run.path, "common.ini:2"), emperor.run.at("a.ini:3")];
  expect(body["merged"]).toContain(`${places.join(", by ")}\tprocesses = 2`);
  expect(body).toMatchObject({ ok: true, vassal: { id: "a.ini", loyal: 1 }, sockets: [] });
});

test("one order for many, a few at a time", async () => {
  const names = Array.from({ length: 8 }, (_, n) => `v${n}.ini`);
  const emperor = await govern({
    vassals: Object.fromEntries(names.map((name) => [name, vassalConfig("loyal")])),
  });
  for (const name of names) await emperor.vassalWith(name, { loyal: 1 });
  const said = await ctl(emperor, "reload", "--wait", "--all", "--concurrency", "3");
  expect(said.code).toBe(0);
  expect(said.out.trim().split("\n")).toHaveLength(8);
  for (const name of names) await emperor.received(name, 1);
});

test("check says whether a config would start, without an Emperor", async () => {
  const emperor = await govern();
  const good = join(emperor.run.path, "good.ini");
  writeFileSync(
    join(emperor.run.path, "app.mjs"),
    "export default (request, response) => response.end();\n",
  );
  writeFileSync(good, "[uwsgi]\nhttp-socket = :0\nnode-app = app.mjs\n");
  const bad = join(emperor.run.path, "bad.ini");
  writeFileSync(bad, "[uwsgi]\nhttp-socket = :0\nnode-app = missing.js\n");
  expect(await ctl(emperor, "check", bad)).toMatchObject({ code: 1 });
  const checked = await ctl(emperor, "check", good);
  expect(checked, checked.err).toMatchObject({ code: 0 });
});

test("events: every transition with its reason, followed, and resumed by id", async () => {
  const emperor = await govern({ vassals: { "a.ini": vassalConfig("loyal") } });
  await emperor.vassalWith("a.ini", { loyal: 1 });
  const { out } = await ctl(emperor, "events", "--json");
  const events = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(events.map(({ event }) => event)).toEqual(
    expect.arrayContaining(["queued", "spawning", "started", "ready", "accepting", "loyal"]),
  );
  const last = Number(events.at(-1)?.["id"]);
  const path = `/v1/events?follow=1&since=${last}`;
  const socketPath = join(emperor.run.path, "control.sock");
  const call = request({ socketPath, path, agent: false }).end();
  const [response] = (await once(call, "response")) as [IncomingMessage];
  onTestFinished(() => void response.destroy());
  let text = "";
  response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  response.on("error", () => undefined);
  await ctl(emperor, "stop", "a.ini");
  await emperor.wait("the stop among the events", () => text.includes('"event":"stopping"'));
  const [first = "{}"] = text.split("\n");
  expect(JSON.parse(first)).toMatchObject({ id: last + 1, vassal: "a.ini", reason: "command" });
});

test("clients that speak no HTTP, send too much, or ask for nonsense are answered and gone", async () => {
  const emperor = await govern({ vassals: { "a.ini": vassalConfig("loyal") } });
  const garbage = raw(emperor);
  garbage.socket.write("\u0000\u0001 nonsense \r\n\r\n");
  await ended(garbage.socket);
  expect(garbage.text).toMatch(/^HTTP\/1\.1 400/);
  const huge = raw(emperor);
  huge.socket.write("POST /v1/rescan HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
  const block = Buffer.alloc(1 << 20);
  const pour = (): void => {
    while (huge.socket.writable && huge.socket.write(block));
  };
  huge.socket.on("drain", pour);
  pour();
  await ended(huge.socket);
  const header = raw(emperor);
  header.socket.write(`GET / HTTP/1.1\r\nX: ${"x".repeat(100_000)}\r\n\r\n`);
  await ended(header.socket);
  for (const [method, path, status] of [
    ["GET", "/nowhere", 404],
    ["GET", "/v1/nowhere", 404],
    ["PUT", "/v1/vassals/a.ini/reload", 405],
    ["POST", "/v1/vassals/a.ini/explode", 404],
    ["GET", "/v1/vassals/%zz", 400],
    ["POST", "/v1/vassals/a.ini/reload?wait=1&timeout=-1", 400],
    ["GET", "/v1/events?since=x", 400],
    ["GET", "/v1/vassals/..%2f..%2fetc%2fpasswd", 404],
    ["POST", "/v1/vassals/a.ini/freeze", 501],
  ] as const)
    expect(await http(emperor, method, path), path).toMatchObject({ status, body: { ok: false } });
  expect((await http(emperor, "GET", "/")).body).toMatchObject({ ok: true });
});

test("clients that never read, and more than there are places for, hold up nobody", async () => {
  const emperor = await govern({ vassals: { "a.ini": vassalConfig("loyal") } });
  await emperor.vassalWith("a.ini", { loyal: 1 });
  const deaf = Array.from({ length: 100 }, () => raw(emperor).socket.pause());
  for (const socket of deaf)
    socket.write("GET /v1/vassals HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200));
  // The last of them find no place.
  await emperor.logged(/control socket: a connection of user \d+ is refused: too many/);
  expect((await emperor.stats()).vassals).toHaveLength(1);
  for (const socket of deaf) socket.destroy();
  await emperor.wait("a place", async () => {
    try {
      return (await http(emperor, "GET", "/")).status === 200;
    } catch {
      return false;
    }
  });
});

test("a follower that reads nothing is told what it lost, and costs nothing", async () => {
  const emperor = await govern({ vassals: { "a.ini": vassalConfig("loyal") } });
  await emperor.vassalWith("a.ini", { loyal: 1 });
  const slow = raw(emperor);
  slow.socket.pause();
  slow.socket.write("GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  // More events than the ring and the buffers in between have room for.
  for (let round = 0; round < 25; round++) {
    for (let count = 0; count < 400; count++)
      await http(emperor, "POST", "/v1/vassals/a.ini/reload");
  }
  slow.socket.resume();
  await emperor.wait("the loss to be told", () => /"event":"lost","count":\d+/.test(slow.text));
}, 120_000);

test("the socket: its mode, a stale one taken over, an occupied one respected", async () => {
  const emperor = await govern();
  const path = join(emperor.run.path, "control.sock");
  expect(lstatSync(path).mode & 0o777).toBe(0o600);
  const other = await emperorCommand(
    ["--emperor", emperor.run.vassals, "--emperor-control", path],
    {},
    newRun(),
  );
  expect(other).toMatchObject({
    code: 111,
    output: expect.stringMatching(/another process listens/),
  });
  emperor.signal("SIGKILL");
  await emperor.ended();
  const next = await startEmperor(
    { args: ["--emperor-control", path, "--emperor-control-mode", "640"] },
    emperor.run,
  );
  expect((await http(next, "GET", "/")).status).toBe(200);
  expect(lstatSync(path).mode & 0o777).toBe(0o640);
  next.signal("SIGTERM");
  await next.ended();
  expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
});

/** One request as another user; only Node itself is needed for it. */
function asNobody(emperor: EmperorUnderTest, method: string, path: string): Promise<string> {
  const socketPath = join(emperor.run.path, "control.sock");
  const code = `require("http").request(${JSON.stringify({ socketPath, method, path })},(r)=>{r.setEncoding("utf8");let t="";r.on("data",(c)=>t+=c);r.on("end",()=>console.log(r.statusCode,t))}).on("error",(e)=>console.log(e.code)).end()`;
  return new Promise((resolve) => {
    const options = { uid: 65_534, gid: 65_534, cwd: "/", env: {} };
    execFile(process.execPath, ["-e", code], options, (_error, out) => resolve(out));
  });
}

otherUserTest(
  "in tyrant mode a user sees and governs what is theirs, and nothing else",
  async () => {
    const emperor = await govern({
      args: ["--emperor-tyrant"],
      prepare: (run) => {
        for (const [name, id] of [
          ["mine.ini", 65_534],
          ["theirs.ini", 65_533],
        ] as const) {
          run.put(name, vassalConfig("loyal"));
          chownSync(run.at(name), id, id);
        }
      },
    });
    await emperor.vassalWith("mine.ini", { loyal: 1 });
    await emperor.vassalWith("theirs.ini", { loyal: 1 });
    const list = await asNobody(emperor, "GET", "/v1/vassals");
    expect(list).toContain("mine.ini");
    expect(list).not.toContain("theirs.ini");
    const events = await asNobody(emperor, "GET", "/v1/events");
    expect(events).toContain("mine.ini");
    expect(events).not.toContain("theirs.ini");
    expect(await asNobody(emperor, "GET", "/v1/vassals/theirs.ini")).toMatch(/^404/);
    expect(await asNobody(emperor, "POST", "/v1/vassals/theirs.ini/stop")).toMatch(/^404/);
    expect(await asNobody(emperor, "POST", "/v1/rescan")).toMatch(/^403/);
    expect(await asNobody(emperor, "POST", "/v1/pardon")).toMatch(/^403/);
    expect(await asNobody(emperor, "POST", "/v1/vassals/mine.ini/reload?wait=1")).toMatch(/^200/);
    expect(await emperor.vassal("theirs.ini")).toMatchObject({ state: "running", reloads: 0 });
  },
);

otherUserTest(
  "without tyrant mode other users get nothing, even where the mode lets them in",
  async () => {
    const emperor = await govern({ args: ["--emperor-control-mode", "666"] });
    expect(await asNobody(emperor, "GET", "/v1/vassals")).toMatch(/^403/);
    expect(await asNobody(emperor, "GET", "/v1/events?follow=1")).toMatch(/^403/);
  },
);
