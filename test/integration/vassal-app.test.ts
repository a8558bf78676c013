/** The `vassal` command with Node apps: what it serves, and what it tells its Emperor. */
import { statSync } from "node:fs";
import { request } from "node:http";
import { close, listen } from "@emperor/linux";
import { expect, it } from "vitest";
import { VassalFolder, get } from "./vassal-harness.ts";

const LISTENER = `export default (request, response) => response.end("hello " + request.url + " from " + process.pid);`;

it("serves a request listener in its own process and says spawned, accepting, loyal", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  expect(vassal.bytes).toEqual([1, 5]);
  expect(await get(`${folder.url}x`)).toMatchObject({
    status: 200,
    body: `hello /x from ${vassal.pid}`,
  });
  await vassal.untilBytes("loyal", (bytes) => bytes.includes(17));
  await get(folder.url);
  expect(vassal.bytes).toEqual([1, 5, 17]);
  expect(folder.processes()).toEqual([vassal.pid]);
});

it("serves an object with fetch(Request), bodies in both directions", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `export default { async fetch(request) {
       const headers = new Headers({ "x-method": request.method, "x-path": new URL(request.url).pathname });
       headers.append("set-cookie", "a=1"); headers.append("set-cookie", "b=2");
       if (request.url.endsWith("/throw")) throw new Error("on purpose");
       return new Response(request.body, { status: 201, headers });
     } };`,
  );
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  const body = "x".repeat(300_000);
  const answer = await fetch(`${folder.url}a/b`, { method: "POST", body });
  expect(answer.status).toBe(201);
  expect(answer.headers.get("x-method")).toBe("POST");
  expect(answer.headers.get("x-path")).toBe("/a/b");
  expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  expect((await answer.text()).length).toBe(body.length);
  expect((await get(`${folder.url}throw`)).status).toBe(500);
  await vassal.untilLog(/fetch\(\) failed.*on purpose/);
});

it.each([
  [
    "CommonJS, as main module",
    "app.cjs",
    `const server = require("node:http").createServer((q, s) => s.end(process.argv[1])); if (require.main === module) server.listen(1, () => console.log("listening"));`,
  ],
  [
    "an ES module that listens later",
    "app.mjs",
    `import http from "node:http"; setTimeout(() => http.createServer((q, s) => s.end(process.argv[1])).listen({ port: 1 }), 50);`,
  ],
  [
    "a script with a callback server on a path",
    "app.mjs",
    `import http from "node:http"; http.createServer((q, s) => s.end(process.argv[1])).listen("/nowhere/x.sock");`,
  ],
])("gives the vassal's socket to an unmodified script: %s", async (_, name, text) => {
  await using folder = await VassalFolder.create();
  folder.write(name, text);
  folder.ini(`node-app = ${name}`);
  const vassal = folder.start();
  await vassal.accepting();
  expect((await get(folder.url)).body).toBe(folder.file(name));
  await vassal.untilBytes("loyal", (bytes) => bytes.includes(17));
  expect(vassal.bytes).toEqual([1, 5, 17]);
});

it("lets the second server of a script listen where it says", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `import http from "node:http";
     http.createServer((q, s) => s.end("first")).listen(1);
     http.createServer((q, s) => s.end("second")).listen(${JSON.stringify(folder.file("second.sock"))}, () => console.log("second listens"));`,
  );
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  await vassal.untilLog(/second listens/);
  expect((await get(folder.url)).body).toBe("first");
  expect((await get({ socketPath: folder.file("second.sock"), path: "/" })).body).toBe("second");
});

it("serves several sockets: TCP and unix, mode as asked", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  folder.ini(
    `http-socket = 127.0.0.1:${folder.port}\nhttp-socket = ${folder.file("app.sock")}\nchmod-socket = 600\nnode-app = app.mjs`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  const expected = { status: 200, body: `hello / from ${vassal.pid}` };
  expect(await get(folder.url)).toMatchObject(expected);
  expect(await get({ socketPath: folder.file("app.sock"), path: "/" })).toMatchObject(expected);
  expect(statSync(folder.file("app.sock")).mode & 0o777).toBe(0o600);
});

it("sets environment and directory, takes the Emperor's extra arguments, hides its own variables", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.cjs",
    `module.exports = (q, s) => s.end(JSON.stringify({ cwd: process.cwd(), A: process.env.A, B: process.env.B ?? null, C: process.env.C, own: Object.keys(process.env).filter((n) => n.startsWith("VASSAL_") && n !== "VASSAL_TEST") }));`,
  );
  folder.write("base.ini", "[uwsgi]\nenv = A=%(letter)\nnode-app = %dapp.cjs\n");
  folder.ini("env = C=from %n\nunenv = B\nchdir = /");
  const vassal = folder.start({
    argv: ["--include", "base.ini", "--set", "letter=a", "--ini", "app.ini"],
    env: { B: "inherited" },
  });
  await vassal.accepting();
  expect(JSON.parse((await get(folder.url)).body)).toEqual({
    cwd: "/",
    A: "a",
    B: null,
    C: "from app",
    own: [],
  });
});

it("beats", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  folder.ini("node-app = app.mjs\nheartbeat = 0.1");
  const vassal = folder.start();
  await vassal.untilBytes(
    "three beats",
    (bytes) => bytes.filter((byte) => byte === 26).length >= 3,
  );
});

it("shares its connection to the Emperor with the app", async () => {
  await using folder = await VassalFolder.create();
  const client = new URL("../../vassal-runtime/dist/client.js", import.meta.url).href;
  folder.write(
    "app.mjs",
    `import { connectEmperor } from ${JSON.stringify(client)};
     const emperor = connectEmperor();
     export default (q, s) => s.end(String(q.url === "/bye" ? emperor.bye() : emperor.reinforcements()));`,
  );
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  expect((await get(`${folder.url}bye`)).body).toBe("true");
  expect((await get(`${folder.url}help`)).body).toBe("true");
  await vassal.untilBytes("22 and 30", (bytes) => bytes.includes(22) && bytes.includes(30));
});

it("reads a pushed config, the last of several packets", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  const packet = (text: string): Buffer => {
    const body = Buffer.from(text);
    return Buffer.concat([Buffer.from([115, body.length & 255, body.length >> 8, 0]), body]);
  };
  const vassal = folder.start({ argv: ["--ini", "emperor://app.ini"], configPipe: true });
  vassal.configPipe.write(packet("[uwsgi]\nnode-app = nowhere.mjs\n"));
  vassal.configPipe.write(
    packet(`[uwsgi]\nhttp-socket = 127.0.0.1:${folder.port}\nnode-app = app.mjs\n`),
  );
  await vassal.accepting();
  expect((await get(folder.url)).status).toBe(200);
  vassal.send(1);
  await vassal.untilBytes("the config to be wanted", (bytes) => bytes.includes(2));
  folder.write("second.mjs", LISTENER.replace("hello", "second"));
  vassal.configPipe.write(
    packet(`[uwsgi]\nhttp-socket = 127.0.0.1:${folder.port}\nnode-app = second.mjs\n`),
  );
  await vassal.accepting(2);
  expect((await get(folder.url)).body).toContain("second");
  vassal.send(1);
  await vassal.untilBytes(
    "the config to be wanted again",
    (bytes) => bytes.filter((byte) => byte === 2).length === 2,
  );
  vassal.configPipe.write(packet("[uwsgi]\nnode-app = nowhere.mjs\n"));
  await vassal.untilLog(/nowhere\.mjs[^]*reload refused/);
  expect((await get(folder.url)).body).toContain("second");
});

it("works without an Emperor, and stops on SIGTERM after the running request", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `export default (q, s) => { console.log("asked"); setTimeout(() => s.end("slow"), 300); };`,
  );
  folder.ini("node-app = app.mjs");
  const vassal = folder.start({ emperor: false });
  await vassal.untilLog(/accepts on/);
  const answer = get(folder.url);
  await vassal.untilLog(/asked/);
  vassal.child.kill("SIGTERM");
  expect((await answer).body).toBe("slow");
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
});

it("stops at once on byte 0, gracefully on byte 2, with 1 when the Emperor is lost", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `export default (q, s) => { console.log("asked"); setTimeout(() => s.end("slow"), 300); };`,
  );
  folder.ini("node-app = app.mjs");
  for (const [order, outcome] of [
    ["stop", "fails"],
    ["graceful", "slow"],
    ["lost", "fails"],
  ] as const) {
    const vassal = folder.start();
    await vassal.accepting();
    const answer = get(folder.url).then(
      ({ body }) => body,
      () => "fails",
    );
    await vassal.untilLog(/asked/);
    if (order === "lost") vassal.channel.destroy();
    else vassal.send(order === "stop" ? 0 : 2);
    expect(await answer).toBe(outcome);
    expect(await vassal.ended()).toEqual({ code: order === "lost" ? 1 : 0, signal: null });
    if (order === "lost") expect(vassal.log).toContain("lost connection with my emperor !!!");
  }
});

it("takes the listening socket that it gets as descriptor 0", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", LISTENER);
  const fd = listen({ family: "ipv4", host: "127.0.0.1", port: folder.port }, { backlog: 10 });
  try {
    folder.ini("node-app = app.mjs"); // with the same address as http-socket
    const vassal = folder.start({ stdin: fd });
    await vassal.accepting();
    expect((await get(folder.url)).status).toBe(200);
    vassal.send(1);
    await vassal.accepting(2);
    expect((await get(folder.url)).status).toBe(200);
  } finally {
    close(fd);
  }
});

it("answers a client that sends its request in pieces", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "app.mjs",
    `export default async (q, s) => { let n = 0; for await (const c of q) n += c.length; s.end(String(n)); };`,
  );
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  const body = await new Promise<string>((resolve, reject) => {
    const outgoing = request(folder.url, { method: "POST" }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.once("end", () => resolve(text));
    });
    outgoing.once("error", reject);
    outgoing.write("abc");
    setTimeout(() => outgoing.end("def"), 20);
  });
  expect(body).toBe("6");
});
