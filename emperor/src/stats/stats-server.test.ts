/** The statistics' server against friendly and hostile clients, with a document of its own. */
import { existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StatsDocument } from "@emperor/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EmperorError } from "../errors.ts";
import { memoryLogger } from "../log/logger.ts";
import { parseStatsAddress } from "./address.ts";
import { startStatsServer, type StatsServer, type StatsServerOptions } from "./stats-server.ts";

const DOCUMENT: StatsDocument = {
  version: "0.1.0",
  pid: 42,
  uid: 0,
  gid: 0,
  cwd: "/etc/vassals",
  emperor: ["/etc/vassals"],
  emperor_tyrant: 0,
  throttle_level: 0,
  vassals: [],
  blacklist: [],
};

let directory: string;
const servers: StatsServer[] = [];
const sockets: Socket[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "stats-"));
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.close();
  rmSync(directory, { recursive: true });
});

async function serve(text: string, more: Partial<StatsServerOptions> = {}) {
  const logger = memoryLogger();
  const server = await startStatsServer({
    address: parseStatsAddress(text, { workingDirectory: directory, abstractSocket: false }),
    document: () => DOCUMENT,
    logger,
    http: false,
    minified: false,
    mode: undefined,
    backlog: 100,
    ...more,
  });
  servers.push(server);
  return { server, logger };
}

function dial(server: StatsServer): Socket {
  const { address } = server;
  const tcp = /^(.*):(\d+)$/.exec(address);
  const socket = tcp
    ? connect({ host: (tcp[1] || "127.0.0.1").replace(/[[\]]/g, ""), port: Number(tcp[2]) })
    : connect({
        path: address.startsWith("@") ? `\0${address.slice(1)}` : join(directory, address),
      });
  sockets.push(socket);
  // A server that hangs up on us is what some of these tests are about.
  socket.on("error", () => undefined);
  return socket;
}

/** Everything the server sends until it ends. */
function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => {
      text += part;
    });
    socket.on("close", () => resolve(text));
  });
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    socket.on("close", () => resolve());
  });
}

describe("statistics server", () => {
  it.each(["127.0.0.1:0", "[::1]:0", ":0", "stats.sock", `@emperor-stats-test-${process.pid}`])(
    "gives one document per connection and the end of it: %s",
    async (text) => {
      const { server } = await serve(text);
      for (let round = 0; round < 3; round += 1) {
        expect(JSON.parse(await readAll(dial(server)))).toEqual(DOCUMENT);
      }
    },
  );

  it("announces itself with uWSGI's line", async () => {
    const { server, logger } = await serve("127.0.0.1:0");
    const [line] = logger.lines;
    expect(line?.dated).toBe(false);
    expect(line?.message).toMatch(
      /^\*\*\* Emperor stats server enabled on 127\.0\.0\.1:\d+ fd: \d+ \*\*\*$/,
    );
    expect(line?.message).toContain(server.address);
  });

  it("answers with an HTTP header after a request, without inviting other web pages", async () => {
    const { server } = await serve("127.0.0.1:0", { http: true, minified: true });
    const socket = dial(server);
    const answer = readAll(socket);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const [head = "", body = ""] = (await answer).split("\r\n\r\n");
    expect(head).toMatch(/^HTTP\/1\.0 200 OK\r\n/);
    expect(head).toContain("Content-Type: application/json");
    expect(head.toLowerCase()).not.toContain("access-control");
    expect(body).toBe(JSON.stringify(DOCUMENT));
  });

  it("drops a client that never sends its request", async () => {
    const { server } = await serve("127.0.0.1:0", { http: true, limits: { connectionMs: 50 } });
    const socket = dial(server);
    socket.resume();
    await closed(socket);
    await expect.poll(() => server.connections).toBe(0);
  });

  it("serves others while clients do not read a large document, and drops them in time", async () => {
    const large = { ...DOCUMENT, emperor: ["x".repeat(4_000_000)] };
    const { server } = await serve("127.0.0.1:0", {
      document: () => large,
      limits: { connectionMs: 300 },
    });
    const idle = Array.from({ length: 6 }, () => dial(server));
    for (const socket of idle) socket.pause();
    const text = await readAll(dial(server));
    expect(text.length).toBeGreaterThan(4_000_000);
    await expect.poll(() => server.connections).toBe(0);
  });

  it("closes the oldest connection when there are too many", async () => {
    const { server } = await serve("127.0.0.1:0", {
      http: true,
      limits: { connections: 3, connectionMs: 60_000 },
    });
    const first = dial(server);
    first.resume();
    await expect.poll(() => server.connections).toBe(1);
    for (let more = 0; more < 3; more += 1) dial(server);
    await closed(first);
    await expect.poll(() => server.connections).toBe(3);
  });

  it("survives clients that reset the connection or send what nobody asked for", async () => {
    const { server } = await serve("127.0.0.1:0");
    for (let round = 0; round < 10; round += 1) {
      const socket = dial(server);
      await new Promise<void>((resolve) => {
        socket.once("connect", () => resolve());
      });
      if (round % 2 === 0) socket.resetAndDestroy();
      else socket.write("x".repeat(100_000));
    }
    expect(JSON.parse(await readAll(dial(server)))).toEqual(DOCUMENT);
  });

  it("closes the connection and says so when the document cannot be made", async () => {
    const { server, logger } = await serve("127.0.0.1:0", {
      document: () => {
        throw new Error("no document today");
      },
    });
    expect(await readAll(dial(server))).toBe("");
    expect(logger.lines.at(-1)?.level).toBe("error");
    expect(logger.lines.at(-1)?.detail).toContain("no document today");
  });

  it("shares a document of a moment ago in a crowd only", async () => {
    let made = 0;
    const { server } = await serve("127.0.0.1:0", {
      document: () => ({ ...DOCUMENT, pid: (made += 1) }),
      limits: { crowd: 2, reuseMs: 60_000, connections: 100 },
    });
    await readAll(dial(server));
    await readAll(dial(server));
    expect(made).toBe(2);
    const crowd = Array.from({ length: 20 }, () => dial(server));
    await Promise.all(crowd.map((socket) => readAll(socket)));
    expect(made).toBeLessThan(22);
  });

  it("gives a unix socket the mode of chmod-socket and removes it at the end", async () => {
    const { server } = await serve("mode.sock", { mode: 0o640 });
    expect(statSync(join(directory, "mode.sock")).mode & 0o777).toBe(0o640);
    await server.close();
    servers.length = 0;
    expect(existsSync(join(directory, "mode.sock"))).toBe(false);
  });

  it("replaces a socket that a dead process left, and nothing else", async () => {
    const stale = join(directory, "stale.sock");
    const dead = createServer();
    await new Promise<void>((resolve) => {
      dead.listen(join(directory, "first.sock"), () => resolve());
    });
    renameSync(join(directory, "first.sock"), stale);
    await new Promise<void>((resolve) => {
      dead.close(() => resolve());
    });
    expect(existsSync(stale)).toBe(true);
    const { server } = await serve("stale.sock");
    expect(JSON.parse(await readAll(dial(server)))).toEqual(DOCUMENT);

    await expect(serve("stale.sock")).rejects.toThrow(/another process listens there/);
    expect(JSON.parse(await readAll(dial(server)))).toEqual(DOCUMENT);

    writeFileSync(join(directory, "file"), "precious");
    await expect(serve("file")).rejects.toThrow(/no socket/);
    expect(statSync(join(directory, "file")).size).toBe(8);
  });

  it("says where it cannot listen and why", async () => {
    await expect(serve("missing/dir/x.sock")).rejects.toMatchObject({
      code: "bind-failed",
      exitCode: 111,
      message: expect.stringContaining("missing/dir/x.sock") as string,
    });
    const { server } = await serve("127.0.0.1:0");
    await expect(serve(server.address)).rejects.toMatchObject({ code: "address-in-use" });
  });
});

describe("addresses", () => {
  const context = { workingDirectory: "/srv", abstractSocket: false };

  it("reads what uWSGI reads", () => {
    expect(parseStatsAddress("127.0.0.1:1717", context)).toMatchObject({
      kind: "tcp",
      host: "127.0.0.1",
      port: 1717,
    });
    expect(parseStatsAddress(":1717", context)).toMatchObject({ kind: "tcp", host: "0.0.0.0" });
    expect(parseStatsAddress("[::1]:1717", context)).toMatchObject({ kind: "tcp", host: "::1" });
    expect(parseStatsAddress("x.sock", context)).toMatchObject({
      kind: "unix",
      path: "/srv/x.sock",
    });
    expect(parseStatsAddress("/run/a:b.sock", context)).toMatchObject({
      kind: "unix",
      path: "/run/a:b.sock",
    });
    expect(parseStatsAddress("@name", context)).toMatchObject({ kind: "abstract", name: "name" });
    expect(parseStatsAddress("name", { ...context, abstractSocket: true })).toMatchObject({
      kind: "abstract",
    });
  });

  it.each([":x", "127.0.0.1:70000", "127.0.0.1:", "@", `/${"a".repeat(108)}`])(
    "refuses %s",
    (text) => {
      expect(() => parseStatsAddress(text, context)).toThrow(EmperorError);
    },
  );
});
