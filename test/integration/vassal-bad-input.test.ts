/** What a tenant can do wrong: a clear message, the right exit code, and nothing of others touched. */
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { expect, it } from "vitest";
import { otherUserTest, rootTest } from "../harness/privileges.ts";
import { VassalFolder, get } from "./vassal-harness.ts";

const LISTENER = `export default (q, s) => s.end([process.getuid(), process.getgid(), process.getgroups()].join(" "));`;

const APPS: readonly (readonly [string, string, number, RegExp])[] = [
  [
    "throws at import",
    `throw new Error("on purpose")`,
    1,
    /app\.ini:3: node-app .*app\.mjs threw while it was loaded: Error: on purpose\n.*app\.mjs:1/,
  ],
  ["throws no error", `throw "a text"`, 1, /threw while it was loaded: a text/],
  [
    "has a syntax error",
    `const a = 1;\nexport default ((;`,
    1,
    /threw while it was loaded: \n\S*app\.mjs:2\nexport default \(\(;\n +\^\nSyntaxError/,
  ],
  [
    "imports what is not there",
    `import "./nowhere.mjs"; export default () => {}`,
    1,
    /Cannot find module/,
  ],
  [
    "exports nothing and ends",
    `1;`,
    22,
    /offers nothing to serve: it has no default export, it called no listen\(\)/,
  ],
  ["exports a number", `export default 42`, 22, /offers nothing to serve: .* is a number/],
  ["exports a class", `export default class {}`, 22, /is a class/],
  [
    "exits with 0 at once",
    `process.exit(0)`,
    0,
    /app\.mjs: the process exits with 0 before it accepted a request/,
  ],
  ["exits with 3 at once", `process.exit(3)`, 3, /exits with 3 before it accepted a request/],
  [
    "listens twice",
    `import http from "node:http"; const server = http.createServer(); server.listen(1); server.listen(2);`,
    1,
    /ERR_SERVER_ALREADY_LISTEN/,
  ],
  [
    "throws later",
    `setTimeout(() => { throw new Error("later") }, 10); export default () => {}`,
    1,
    /Error: later/,
  ],
];

it.each(APPS)("an app that %s", async (_, text, code, message) => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", text);
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code, signal: null });
  await vassal.untilLog(message);
});

it.each(APPS.filter(([, , code]) => code !== 0))(
  "under a master: an app that %s",
  async (_, text, code, message) => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", text);
    folder.ini("node-app = app.mjs\nprocesses = 2");
    const vassal = folder.start();
    if (text.includes("later")) {
      // It accepted before it died: the master goes on and starts another one.
      await vassal.untilLog(/Error: later[^]*exited with 1/);
      vassal.send(0);
      expect(await vassal.ended()).toEqual({ code: 0, signal: null });
    } else {
      expect(await vassal.ended()).toEqual({ code, signal: null });
      await vassal.untilLog(message);
    }
    await folder.untilAlone();
  },
);

const CONFIGS: readonly (readonly [string, string, RegExp])[] = [
  ["no app", "", /names nothing to run/],
  [
    "a missing app",
    "node-app = nowhere.mjs",
    /app\.ini:3: node-app "nowhere\.mjs" cannot be loaded.*relative paths start at the working directory/,
  ],
  [
    "an option that is not served",
    "fastcgi-socket = :9000\nnode-app = app.mjs",
    /app\.ini:3: option "fastcgi-socket" is not served: .* does not speak FastCGI; use http-socket/,
  ],
  [
    "an address without a port",
    "http-socket = 127.0.0.1:http\nnode-app = app.mjs",
    /"http" is no port/,
  ],
  ["a port alone", "http-socket = 8080\nnode-app = app.mjs", /write ":8080"/],
  [
    "an address that is not ours",
    "http-socket = 192.0.2.1:8080\nnode-app = app.mjs",
    /app\.ini:2: cannot listen on "192\.0\.2\.1:8080": .*EADDRNOTAVAIL/,
  ],
  [
    "a host without an address",
    "http-socket = no-such-host.invalid:80\nnode-app = app.mjs",
    /the host has no address/,
  ],
  [
    "a directory that is not there",
    "chdir = /no/where\nnode-app = /dev/null",
    /chdir = "\/no\/where" is not possible: ENOENT/,
  ],
  [
    "text for a number",
    "processes = many\nnode-app = app.mjs",
    /option "processes" needs a whole number/,
  ],
];

it.each(CONFIGS)("a config with %s", async (_, lines, message) => {
  await expectRefused(lines, message);
});

// Anyone else could not take it, so there it is a warning.
rootTest("a config with a user that is not there", () =>
  expectRefused("uid = nobody-of-that-name\nnode-app = app.mjs", /there is no such user/),
);

async function expectRefused(lines: string, message: RegExp): Promise<void> {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  folder.ini(lines);
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  await vassal.untilLog(message);
}

it("names the nearest option for an unknown key, and goes on", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  folder.ini("node-app = app.mjs\nproceses = 4");
  const vassal = folder.start();
  await vassal.accepting();
  expect(vassal.log).toMatch(/app\.ini:4: .*"proceses".*did you mean "processes"/);
});

it("tells how it is used", async () => {
  await using folder = await VassalFolder.create();
  const help = folder.start({ argv: ["--help"] });
  expect((await help.ended()).code).toBe(0);
  await help.untilLog(/--node-app FILE/);
  const version = folder.start({ argv: ["--version"] });
  expect((await version.ended()).code).toBe(0);
  await version.untilLog(/^vassal \d+\.\d+\.\d+$/m);
  const wrong = folder.start({ argv: ["--http-scoket", ":80"] });
  expect((await wrong.ended()).code).toBe(1);
  await wrong.untilLog(/http-scoket.*did you mean.*http-socket/);
  const missing = folder.start({ argv: ["--ini", "nowhere.ini"] });
  expect((await missing.ended()).code).toBe(1);
  await missing.untilLog(/nowhere\.ini/);
});

it("says that a port is in use", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  folder.ini("node-app = app.mjs");
  const server = createServer().listen(folder.port, "127.0.0.1");
  try {
    const vassal = folder.start();
    expect((await vassal.ended()).code).toBe(1);
    await vassal.untilLog(/cannot listen on "127\.0\.0\.1:\d+": .*EADDRINUSE/);
  } finally {
    server.close();
  }
});

it("never removes what it finds at the path of a unix socket, unless it is a dead socket", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  const path = folder.write("precious", "do not touch");
  folder.ini(`http-socket = ${path}\nnode-app = app.mjs`);
  const refused = folder.start();
  expect((await refused.ended()).code).toBe(1);
  await refused.untilLog(/something else than a socket at that path; it is left alone/);
  expect(readFileSync(path, "utf8")).toBe("do not touch");

  const socketPath = folder.file("a.sock");
  folder.ini(`http-socket = ${socketPath}\nnode-app = app.mjs`);
  const server = createServer().listen(socketPath);
  const busy = folder.start();
  expect((await busy.ended()).code).toBe(1);
  await busy.untilLog(/another process serves that socket/);
  await new Promise((resolve) => server.close(resolve));

  const first = folder.start();
  await first.accepting();
  first.child.kill("SIGKILL");
  await first.ended();
  expect(existsSync(socketPath)).toBe(true);
  const second = folder.start();
  await second.accepting();
  expect((await get({ socketPath, path: "/" })).status).toBe(200);
});

otherUserTest("drops root for uid and gid, before it binds; a reload still works", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  chmodSync(folder.path, 0o777);
  folder.ini(
    `http-socket = ${folder.file("a.sock")}\nnode-app = ${folder.file("app.mjs")}\nuid = daemon\ngid = 12345`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  const ask = async (): Promise<string> =>
    (await get({ socketPath: folder.file("a.sock"), path: "/" })).body;
  expect(await ask()).toMatch(/^1 12345 [\d,]+$/);
  vassal.send(1);
  await vassal.accepting(2);
  expect(await ask()).toMatch(/^1 12345 /);
});

it("counts bytes without a meaning from the Emperor and goes on", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  vassal.send(3, 99, 255, 17);
  expect((await get(folder.url)).status).toBe(200);
  vassal.send(2);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
});

it("under a master: an app that exits with 0 at once ends the vassal with 1", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", "process.exit(0)");
  folder.ini("node-app = app.mjs\nmaster = true");
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  await vassal.untilLog(/worker 1 .* exited with 0 before it accepted: stopping/);
});

it("mentions a script that keeps running but never listens", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", "setInterval(() => {}, 1000)");
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.untilBytes("spawned", (bytes) => bytes.includes(1));
  await vassal.untilLog(
    /neither exports a handler nor called listen\(\) yet; still waiting for it/,
  );
  expect(vassal.bytes).toEqual([1]);
  vassal.send(0);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
});

const MISHAPS: readonly (readonly [string, string, RegExp])[] = [
  [
    "sends its headers twice",
    `s.writeHead(200); s.end("x"); setImmediate(() => s.writeHead(500));`,
    /ERR_HTTP_HEADERS_SENT/,
  ],
  ["dies in the middle of a response", `s.write("half", () => process.exit(9));`, /^/],
];

it.each(MISHAPS)("an app that %s ends alone, with Node's code", async (_, text, message) => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", `export default (q, s) => { ${text} };`);
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  await get(folder.url).catch(() => undefined);
  expect(await vassal.ended()).toEqual({ code: text.includes("exit(9)") ? 9 : 1, signal: null });
  await vassal.untilLog(message);
});

it.each(MISHAPS)("under a master an app that %s costs a worker", async (_, text, message) => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `export default (q, s) => { if (q.url === "/bad") { ${text} } else s.end("ok"); };`,
  );
  folder.ini("node-app = app.mjs\nprocesses = 2\nforkbomb-delay = 0");
  const vassal = folder.start();
  await vassal.accepting();
  await get(`${folder.url}bad`).catch(() => undefined);
  await vassal.untilLog(/worker \d .* exited with [19]: starting another one/);
  expect(vassal.log).toMatch(message);
  expect((await get(folder.url)).body).toBe("ok");
  expect(vassal.exit).toBeUndefined();
});
