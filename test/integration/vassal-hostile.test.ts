/** Clients and neighbours that mean no good: nobody else notices, and the log says what it was. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { needing } from "../../linux/test/privileges.ts";
import { otherUserTest } from "../harness/privileges.ts";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, get } from "./vassal-harness.ts";
import { closing, exchange, packet } from "./vassal-uwsgi-client.ts";

const ECHO = `
export default async (request, response) => {
  let size = 0;
  try { for await (const chunk of request) size += chunk.length; } catch (error) { console.log("cut: " + error.code); }
  response.end(request.method + " " + size);
};
`;
const SLOW_CLIENTS = join(import.meta.dirname, "../fixtures/slow-clients.mjs");
const MANY = 10_000;

function hardLimitOfOpenFiles(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const hard = /^Max open files +\S+ +(\S+)/m.exec(limits)?.[1] ?? "0";
  return hard === "unlimited" ? Infinity : Number(hard);
}

/** A child's output, line by line, for waits. */
async function untilSaid(child: ChildProcess, line: string, seen: { text: string }): Promise<void> {
  await waitFor(`"${line}" of the slow clients`, () => seen.text.split("\n").includes(line), {
    deadlineMs: 60_000,
    witness: {
      onChange: (listener) => {
        child.stdout?.on("data", listener);
        return () => void child.stdout?.off("data", listener);
      },
      account: () => seen.text,
    },
  });
}

describe("slow clients", () => {
  for (const lines of ["", "processes = 2"]) {
    needing(
      hardLimitOfOpenFiles() >= MANY + 1000,
      `needs a hard limit of ${MANY + 1000} open files`,
    )(
      `10,000 of them keep nobody from being served, nor a reload: ${lines || "one process"}`,
      async () => {
        await using folder = await VassalFolder.create();
        folder.write("app.mjs", ECHO);
        folder.ini(`node-app = app.mjs\nlisten = 1024\nreload-mercy = 30\n${lines}`);
        const vassal = folder.start();
        await vassal.accepting();
        const clients = spawn(process.execPath, [SLOW_CLIENTS, String(folder.port), String(MANY)], {
          stdio: ["pipe", "pipe", "pipe"],
        });
        const seen = { text: "" };
        for (const stream of [clients.stdout, clients.stderr])
          stream.on("data", (text: Buffer) => (seen.text += text.toString()));
        const gone = new Promise((resolve) => clients.once("exit", resolve));
        try {
          await untilSaid(clients, `open ${MANY}`, seen);
          expect((await get(folder.url)).body).toBe("GET 0");
          vassal.send(1);
          await vassal.accepting(2);
          expect((await get(folder.url)).body).toBe("GET 0");
          // Who had not even asked is no reason to keep the old generation.
          await untilSaid(clients, "closed", seen);
          vassal.send(2);
          expect(await vassal.ended()).toEqual({ code: 0, signal: null });
        } finally {
          clients.stdin.end();
          await gone;
        }
      },
    );
  }
});

/** Everything that an HTTP server answers to these bytes. */
async function say(port: number, bytes: Uint8Array | string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  const closed = closing(socket);
  socket.end(bytes);
  await closed;
  return answer;
}

it("a body that is shorter or longer than it says ends with its connection", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", ECHO);
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n";
  await say(folder.port, `${head}ab`);
  await vassal.untilLog(/cut: ECONNRESET/);
  const longer = await say(folder.port, `${head}abcdefgh`);
  expect(longer).toMatch(/HTTP\/1\.1 400 Bad Request\r\nConnection: close/);
  expect((await get(folder.url)).body).toBe("GET 0");
  expect(vassal.exit).toBeUndefined();
});

it.each(["", "processes = 2"])(
  "any bytes, over both protocols, are survived: %j",
  async (lines) => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", ECHO);
    folder.ini(`socket = app.sock\nnode-app = app.mjs\n${lines}`);
    const vassal = folder.start();
    await vassal.accepting();
    const valid = packet();
    // A request with some bytes changed gets further than noise.
    const changed = fc
      .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
      .map((changes) => {
        const bytes = Buffer.from(valid);
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      });
    const cut = fc.nat(valid.length - 1).map((length) => valid.subarray(0, length));
    const noise = fc.uint8Array({ maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(noise, changed, cut), async (bytes) => {
        await Promise.all([
          say(folder.port, bytes),
          // A client that has said its part and goes.
          new Promise<void>((resolve) => {
            const socket = connect(folder.file("app.sock"));
            socket.on("error", () => undefined);
            socket.once("close", () => resolve());
            socket.resume();
            socket.end(bytes);
          }),
        ]);
      }),
      { numRuns: 150 },
    );
    expect(await exchange(folder.file("app.sock"), packet())).toMatch(/^HTTP\/1\.1 200 OK/);
    expect((await get(folder.url)).body).toBe("GET 0");
    expect(vassal.exit).toBeUndefined();
    expect(vassal.log).not.toMatch(/exited|internal error/);
  },
);

otherUserTest("the unix socket of somebody else is left alone, with the reason", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", ECHO);
  // As /tmp: everybody may create, only owners may remove.
  mkdirSync(folder.file("shared"));
  chmodSync(folder.file("shared"), 0o1777);
  const path = folder.file("shared/app.sock");
  // A socket that nobody serves any more: Node removes its own when it closes, a killed process does not.
  const maker = spawn(process.execPath, [
    "-e",
    `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`,
  ]);
  await new Promise((resolve) => maker.once("exit", resolve));
  chownSync(path, 1234, 1234);
  const { ino } = statSync(path);
  folder.ini(
    `http-socket = ${path}\nnode-app = ${folder.file("app.mjs")}\nuid = 65534\ngid = 65534`,
  );
  const refusals = [
    [0o755, /app\.ini:2: cannot listen on ".*app\.sock": .*belongs to another user \(EACCES\)/],
    [0o777, /app\.ini:2: cannot listen on ".*app\.sock": .*cannot be replaced: .*EPERM/],
  ] as const;
  for (const [mode, message] of refusals) {
    chmodSync(path, mode);
    const refused = folder.start();
    expect(await refused.ended()).toEqual({ code: 1, signal: null });
    await refused.untilLog(message);
  }
  expect(statSync(path).ino).toBe(ino);
});

it("with strict an unknown key is an error that names the nearest known one", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", ECHO);
  folder.ini("strict = true\nnode-app = app.mjs\nproceses = 4");
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  await vassal.untilLog(/app\.ini:5: .*"?proceses"?.*did you mean "processes"/);
});
