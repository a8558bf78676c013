/** The stats server of a vassal, read as the tools of others read it. */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { VassalFolder, freePort, get } from "./vassal-harness.ts";

interface Document {
  readonly version: string;
  readonly pid: number;
  readonly listen_queue: number;
  readonly sockets: readonly { name: string; queue: number; max_queue: number }[];
  readonly workers: readonly Record<string, unknown>[];
}

const APP = `export default (request, response) => {
  if (request.url === "/fail") response.statusCode = 500;
  response.end("x".repeat(1000));
};`;

/** All that the server sends until it closes. */
async function read(where: { port: number } | { path: string }): Promise<Document> {
  const text = await new Promise<string>((resolve, reject) => {
    let received = "";
    const socket = connect({ host: "127.0.0.1", ...where });
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      received += chunk;
    });
    socket.once("end", () => resolve(received));
    socket.once("error", reject);
  });
  return JSON.parse(text) as Document;
}

it.each(["processes = 1", "processes = 2"])("counts requests: %s", async (processes) => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  const port = await freePort();
  folder.ini(`node-app = app.mjs\n${processes}\nstats = 127.0.0.1:${port}`);
  const vassal = folder.start();
  await vassal.accepting();
  for (const path of ["", "a", "fail"]) await get(folder.url + path);
  const document = await read({ port });
  expect(document).toMatchObject({
    version: "0.1.0",
    pid: vassal.pid,
    listen_queue: 0,
    sockets: [{ name: `127.0.0.1:${folder.port}`, queue: 0 }],
  });
  expect(document.sockets[0]?.max_queue).toBeGreaterThan(0);
  const { workers } = document;
  expect(workers.map(({ id }) => id)).toEqual(processes.endsWith("2") ? [1, 2] : [1]);
  const sum = (key: string): number => workers.reduce((total, row) => total + Number(row[key]), 0);
  expect([sum("requests"), sum("exceptions"), sum("respawn_count")]).toEqual([3, 1, 0]);
  expect(sum("tx")).toBeGreaterThan(3000);
  expect(sum("running_time")).toBeGreaterThan(0);
  for (const worker of workers) {
    expect(worker).toMatchObject({ accepting: 1, status: "idle", harakiri_count: 0, signals: 0 });
    expect(worker["rss"]).toBeGreaterThan(10_000_000);
    expect(worker["pid"]).toBeGreaterThan(1);
  }
});

it("counts a worker's new start, and shows one that hangs as busy", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `export default (request, response) => {
  response.end(String(process.pid));
  if (request.url === "/hang") setTimeout(() => { for (;;) ; }, 10);
};`,
  );
  folder.ini(`node-app = app.mjs\nmaster = true\nstats = stats.sock`);
  const vassal = folder.start();
  await vassal.accepting();
  const where = { path: folder.file("stats.sock") };
  const [first] = (await read(where)).workers;
  process.kill(Number(first?.["pid"]), "SIGKILL");
  await vassal.untilLog(/was ended by SIGKILL/);
  const { body } = await get(`${folder.url}hang`);
  expect(body).not.toBe(String(first?.["pid"]));
  await expect
    .poll(async () => (await read(where)).workers[0], { timeout: 10_000 })
    .toMatchObject({ respawn_count: 1, status: "busy", pid: Number(body) });
  vassal.send(0);
  await vassal.ended();
  await folder.untilAlone();
});

/**
 * What uWSGI 2.0 sends, in its order, but for `req_info` of a core: uwsgitop, telegraf, metricbeat and the
 * exporters read of these.
 */
const KEYS = {
  document:
    "version s,listen_queue n,listen_queue_errors n,signal_queue n,load n,pid n,uid n,gid n,cwd s,locks a,sockets a,workers a",
  socket: "name s,proto s,queue n,max_queue n,shared n,can_offload n",
  worker:
    "id n,pid n,accepting n,requests n,delta_requests n,exceptions n,harakiri_count n,signals n,signal_queue n,status s,rss n,vsz n,running_time n,last_spawn n,respawn_count n,tx n,avg_rt n,apps a,cores a",
  app: "id n,modifier1 n,mountpoint s,startup_time n,requests n,exceptions n,chdir s",
  core: "id n,requests n,static_requests n,routed_requests n,offloaded_requests n,write_errors n,read_errors n,in_request n,vars a",
} as const;

function shapeOf(value: unknown): string {
  return Object.entries(value as object)
    .map(([key, item]) => `${key} ${Array.isArray(item) ? "a" : (typeof item)[0]}`)
    .join(",");
}

it("has uWSGI's keys with their types, and counts harakiris", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    "export default (request, response) => { if (request.url === '/hang') for (;;) ; response.end(); };",
  );
  folder.ini("node-app = app.mjs\nharakiri = 1\nstats = stats.sock");
  const vassal = folder.start();
  await vassal.accepting();
  const where = { path: folder.file("stats.sock") };
  const document = await read(where);
  const [worker] = document.workers;
  const list = (key: string): readonly unknown[] => worker?.[key] as readonly unknown[];
  expect(shapeOf(document)).toBe(KEYS.document);
  expect(shapeOf(document.sockets[0])).toBe(KEYS.socket);
  expect(shapeOf(worker)).toBe(KEYS.worker);
  expect(shapeOf(list("apps")[0])).toBe(KEYS.app);
  expect(shapeOf(list("cores")[0])).toBe(KEYS.core);
  await expect(get(`${folder.url}hang`)).rejects.toThrow(/hang up|ECONNRESET/);
  await expect
    .poll(async () => (await read(where)).workers[0], { timeout: 15_000 })
    .toMatchObject({ harakiri_count: 1, respawn_count: 1 });
});

it("speaks HTTP, on a unix socket that goes with the vassal, for a command as well", async () => {
  await using folder = await VassalFolder.create();
  folder.ini(
    "command = sleep 1000\nprocesses = 2\nstats = stats.sock\nstats-http\nstats-minified = true",
  );
  const vassal = folder.start();
  await vassal.accepting();
  const socketPath = folder.file("stats.sock");
  const { status, headers, body } = await get({ socketPath, path: "/" });
  expect([status, headers["content-type"]]).toEqual([200, "application/json"]);
  expect(body).not.toContain("\n");
  expect((JSON.parse(body) as Document).workers).toMatchObject([
    { id: 1, status: "idle", requests: 0, apps: [] },
    { id: 2, status: "idle", requests: 0, apps: [] },
  ]);
  vassal.send(2);
  await vassal.ended();
  await expect(get({ socketPath, path: "/" })).rejects.toThrow(/ENOENT/);
});

it("ends with a clear message when the address is taken", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("stats.sock", "precious");
  folder.ini("node-app = app.mjs\nstats = stats.sock");
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(vassal.log).toMatch(/cannot listen on stats = "stats.sock": .*EADDRINUSE/);
});

/** Runs a program of curses until it has shown a text, then presses q. */
const TERMINAL = `
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="xterm", LINES="40", COLUMNS="200")
    os.execv(sys.argv[1], sys.argv[1:3])
seen, deadline = b"", time.time() + 20
while time.time() < deadline:
    if select.select([fd], [], [], 0.2)[0]:
        try: data = os.read(fd, 65536)
        except OSError: break
        seen += data
        if sys.argv[3].encode() in seen: os.write(fd, b"q")
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(status))
`;

const venv = mkdtempSync(join(tmpdir(), "uwsgitop-"));
let unavailable: string | undefined;

beforeAll(() => {
  try {
    execFileSync("python3", ["-m", "venv", venv], { stdio: "pipe" });
    execFileSync(join(venv, "bin/pip"), ["install", "-q", "uwsgitop==0.12"], {
      stdio: "pipe",
      timeout: 45_000,
    });
  } catch (error) {
    unavailable = error instanceof Error ? error.message : String(error);
    process.stderr.write(`uwsgitop cannot be installed, its test is skipped: ${unavailable}\n`);
  }
});

afterAll(() => rmSync(venv, { recursive: true, force: true }));

it("is read by uwsgitop", async ({ skip }) => {
  skip(unavailable !== undefined, `uwsgitop cannot be installed: ${unavailable}`);
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  const port = await freePort();
  folder.ini(`node-app = app.mjs\nprocesses = 2\nstats = 127.0.0.1:${port}`);
  const vassal = folder.start();
  await vassal.accepting();
  await get(folder.url);
  const { stdout } = await promisify(execFile)("python3", [
    "-c",
    TERMINAL,
    join(venv, "bin/uwsgitop"),
    `127.0.0.1:${port}`,
    "idle",
  ]);
  expect(stdout).toMatch(/uwsgi-0\.1\.0 - .*req: 1 - RPS: /);
  expect(stdout).toContain(`masterpid: ${vassal.pid}`);
  expect(stdout).toContain("100.0");
});
