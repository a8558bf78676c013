/** Lines about requests, loggers, and log files that are opened anew while the vassal runs. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { expect, it } from "vitest";
import { VassalFolder, get } from "./vassal-harness.ts";

const APP = `export default (request, response) => {
  if (request.url === "/say") console.log("the app speaks");
  if (request.url.startsWith("/fail")) response.statusCode = 500;
  response.setHeader("content-type", "text/plain");
  response.end("hello");
};`;
const TIMEOUT = { timeout: 15_000 };

function reader(folder: VassalFolder, name: string): () => string {
  return () => (existsSync(folder.file(name)) ? readFileSync(folder.file(name), "utf8") : "");
}

it.each(["processes = 1", "processes = 2"])(
  "writes a line for each request, in the form that is wanted, to a file of its own: %s",
  async (processes) => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", APP);
    folder.ini(
      `node-app = app.mjs\n${processes}\nreq-logger = file:requests\n` +
        'log-format = %(method) %(uri) %(status) %(rsize) %(var.HTTP_X_ID) "%(uagent)" 100%% %(nonsense) %(wid)',
    );
    const vassal = folder.start();
    await vassal.accepting();
    const requests = reader(folder, "requests");
    await get(folder.url);
    await get(`${folder.url}fail?a=b`);
    await new Promise<void>((resolve, reject) => {
      const headers = { "user-agent": 'a "quoted\\ \u00e4 one', "x-id": "77" };
      request(folder.url, { headers, agent: false }, (response) => {
        response.resume().once("end", resolve);
      })
        .once("error", reject)
        .end();
    });
    await expect.poll(requests, TIMEOUT).toMatch(/^(.*\n){3}$/);
    const lines = requests().split("\n").toSorted();
    expect(lines.map((line) => line.replace(/[12]$/, "W"))).toEqual([
      "",
      String.raw`GET / 200 5 - "-" 100% - W`,
      String.raw`GET / 200 5 77 "a \"quoted\\ ä one" 100% - W`,
      String.raw`GET /fail?a=b 500 5 - "-" 100% - W`,
    ]);
    expect(vassal.log).toContain('log-format: %(nonsense) has no meaning here and gives "-"');
    // Not one is lost by a reload or at the end.
    vassal.send(1);
    await vassal.accepting(2);
    await get(`${folder.url}last`);
    vassal.send(2);
    await vassal.ended();
    expect(requests()).toMatch(/GET \/last 200 5 .*\n$/);
    await folder.untilAlone();
  },
);

it("has uWSGI's form in the log itself, and can tell of failures only", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini("node-app = app.mjs\ndisable-logging = false\nlog-date = %%Y\nlog-prefix = [shop]");
  const all = folder.start();
  await all.accepting();
  await get(folder.url);
  await all.untilLog(
    /\[pid: \d+\|app: 0\|req: 1\/1\] 127\.0\.0\.1 \(\) \{\d+ vars in \d+ bytes\} \[\w{3} \w{3} +\d+ [\d:]{8} \d{4}\] GET \/ => generated 5 bytes in \d+ msecs \(HTTP\/1\.1 200\) \d+ headers in \d+ bytes \(1 switches on core 0\)\n/,
  );
  expect(all.log).toMatch(/^\d{4} - \[shop\]\[vassal app\.ini\] process \d+ accepts/m);
  all.send(0);
  await all.ended();
  folder.ini("node-app = app.mjs\ndisable-logging = true\nlog-5xx = true");
  const some = folder.start();
  await some.accepting();
  await get(folder.url);
  await get(`${folder.url}fail`);
  await some.untilLog(/GET \/fail => generated/);
  expect(some.log).not.toContain("GET / =>");
});

it.each(["processes = 1", "processes = 2", "command"])(
  "opens log files again and rotates them by order, file and size: %s",
  async (kind) => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", APP);
    const app =
      kind === "command"
        ? `command = node -e 'require("http").createServer(require("./app.cjs")).listen({fd:3})'`
        : `node-app = app.mjs\n${kind}`;
    folder.write("app.cjs", APP.replace("export default", "module.exports ="));
    folder.ini(
      `${app}\nlogto = log\nlog-backupname = ${folder.file("rotated")}\ntouch-logreopen = reopen\ntouch-logrotate = rotate\nlog-maxsize = 20000\nmaster-fifo = fifo\ncommand-ready = http://127.0.0.1:${folder.port}/`,
    );
    const vassal = folder.start();
    const log = reader(folder, "log");
    await vassal.accepting();
    await expect.poll(log, TIMEOUT).toContain("fifo is open");
    // One line at a time, each seen before the next: a late one would be taken for the next one's.
    await get(`${folder.url}say`);
    await expect.poll(log, TIMEOUT).toContain("the app speaks");
    const moved = async (how: () => void): Promise<void> => {
      how();
      // The new file begins with the news; without them it may just not be there yet.
      await expect
        .poll(() => /opened again|was moved to/.test(log()) && !log().includes("speaks"), TIMEOUT)
        .toBe(true);
      await get(`${folder.url}say`);
      await expect.poll(log, TIMEOUT).toContain("the app speaks");
      expect(reader(folder, "rotated")()).toContain("the app speaks");
    };
    const move = (): void => renameSync(folder.file("log"), folder.file("rotated"));
    const order = (character: string): void => writeFileSync(folder.file("fifo"), character);
    await moved(() => (move(), order("l")));
    await moved(() => order("L"));
    await moved(() => (move(), folder.write("reopen", "1")));
    await moved(() => void folder.write("rotate", "1"));
    await moved(() => writeFileSync(folder.file("log"), "x".repeat(20_001), { flag: "a" }));
    order("q");
    await vassal.ended();
    expect(log()).toContain("master FIFO: command q");
    await folder.untilAlone();
  },
);

it("sends everything to several loggers, to the last line", async () => {
  await using folder = await VassalFolder.create();
  const receiver = createSocket("udp4");
  const packets: string[] = [];
  receiver.on("message", (packet) => packets.push(packet.toString()));
  receiver.bind(0, "127.0.0.1");
  await once(receiver, "listening");
  const { port } = receiver.address();
  try {
    folder.write("app.mjs", `${APP}\nprocess.on("exit", () => console.error("last words"));`);
    folder.ini(
      `node-app = app.mjs\nlogger = main file:first\nlogger = stdio\nlogger = rsyslog:127.0.0.1:${port},shop,local6\nlogger = file:second\nlogfile-chmod = 600`,
    );
    const vassal = folder.start();
    await vassal.accepting();
    await get(`${folder.url}say`);
    await expect
      .poll(() => packets.join("\n"), TIMEOUT)
      .toMatch(/^<181>\w{3} [ \d]\d [\d:]{8} \S+ shop: the app speaks$/m);
    vassal.send(2);
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
    for (const text of [reader(folder, "first")(), reader(folder, "second")(), vassal.log]) {
      expect(text).toContain("the app speaks\n");
      expect(text).toContain("last words\n");
    }
    expect(readdirSync(folder.path)).toContain("second");
    await folder.untilAlone();
  } finally {
    receiver.close();
  }
});

it("goes on when nobody reads the log", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini("node-app = app.mjs\nprocesses = 2\nlog-format = %(uri)\nreq-logger = file:/dev/full");
  const vassal = folder.start();
  await vassal.accepting();
  for (let count = 0; count < 20; count++)
    expect((await get(folder.url + "x".repeat(3000))).status).toBe(200);
});

it.each([
  ["logger = nonsense:x", /option "logger": "nonsense:x" is no logger; there are file:PATH/],
  ["req-logger = fd:x", /option "req-logger": "x" is no descriptor/],
  ["logger = rsyslog:nowhere", /"nowhere" is no HOST:PORT/],
  ["req-logger = file:/no/such/folder/log", /req-logger = .* cannot be opened: .*ENOENT/],
  ["logger = stdio\nlogger = syslog:a,b", /syslog has no facility "b"/],
])("ends with 1 for what cannot be: %s", async (lines, message) => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini(`node-app = app.mjs\n${lines}`);
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(vassal.log).toMatch(message);
});
