/** nginx in front of `vassal`: `uwsgi_pass` and `proxy_pass` reach the same app, and nothing is lost. */
import { connect } from "node:net";
import { Agent, request } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { waitFor } from "../harness/wait.ts";
import { Nginx, hasNginx } from "./vassal-nginx.ts";
import { VassalFolder, get, load } from "./vassal-harness.ts";

const PARAMS = `uwsgi_param REQUEST_METHOD $request_method; uwsgi_param REQUEST_URI $request_uri;
  uwsgi_param QUERY_STRING $query_string; uwsgi_param PATH_INFO $document_uri;
  uwsgi_param CONTENT_TYPE $content_type; uwsgi_param CONTENT_LENGTH $content_length;
  uwsgi_param SERVER_PROTOCOL $server_protocol; uwsgi_param REQUEST_SCHEME $scheme;
  uwsgi_param REMOTE_ADDR $remote_addr; uwsgi_param REMOTE_PORT $remote_port;
  uwsgi_param SERVER_NAME $server_name; uwsgi_param SERVER_PORT $server_port;
  uwsgi_param MY_PARAM mine;`;

/** Tells what it was asked, with the length of the body. */
const TELL = `export default async (q, s) => {
  let n = 0; for await (const c of q) n += c.length;
  s.setHeader("x-app", "tell"); s.statusCode = q.url.startsWith("/made") ? 201 : 200;
  s.end(JSON.stringify({ method: q.method, url: q.url, host: q.headers.host, type: q.headers["content-type"],
    cookie: q.headers.cookie, from: q.socket.remoteAddress, mine: q.uwsgi?.MY_PARAM, n }));
};`;

/** Waits for what the app says on its standard output. */
const SLOW = `export default (q, s) => {
  console.log("asked"); q.once("aborted", () => console.log("request aborted"));
  s.once("close", () => console.log("response closed, finished: " + s.writableFinished));
  q.once("data", (c) => { console.log("first piece: " + c); s.write("begun "); });
  q.once("end", () => { if (q.method !== "GET") s.end("ended"); });
  if (q.method === "GET") s.write("begun ");
};`;

async function answerOf(outgoing: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  return response;
}

const there = hasNginx();

describe.skipIf(!there)(`nginx${there ? "" : " [needs nginx]"}`, () => {
  const workers = [
    ["one process", ""],
    ["a master with two workers", "processes = 2"],
  ] as const;

  it.each([
    ["uwsgi_pass over TCP", "socket = 127.0.0.1:PORT", `uwsgi_pass 127.0.0.1:PORT;`],
    ["uwsgi_pass over a unix socket", "socket = app.sock", `uwsgi_pass unix:HERE/app.sock;`],
    ["proxy_pass over TCP", "http-socket = 127.0.0.1:PORT", `proxy_pass http://127.0.0.1:PORT;`],
    [
      "proxy_pass over a unix socket",
      "http-socket = app.sock",
      `proxy_pass http://unix:HERE/app.sock;`,
    ],
  ])("%s", async (name, socket, pass) => {
    await using folder = await VassalFolder.create();
    const fill = (text: string): string =>
      text.replace("PORT", String(folder.port)).replace("HERE", folder.path);
    folder.write("app.mjs", TELL);
    folder.write("app.ini", `[uwsgi]\n${fill(socket)}\nnode-app = app.mjs\n`);
    const vassal = folder.start();
    await vassal.accepting();
    const uwsgi = name.startsWith("uwsgi");
    const forward = "proxy_set_header Host $http_host;";
    await using nginx = await Nginx.start(folder, `${uwsgi ? PARAMS : forward} ${fill(pass)}`);
    const host = new URL(nginx.url).host;

    const plain = await get(`${nginx.url}a%20b?c=%C3%A9`);
    expect(plain.headers["x-app"]).toBe("tell");
    expect(JSON.parse(plain.body)).toMatchObject({
      method: "GET",
      url: "/a%20b?c=%C3%A9",
      host,
      n: 0,
      ...(uwsgi ? { from: "127.0.0.1", mine: "mine" } : {}),
    });
    const body = new Uint8Array(3_000_000).fill(120);
    const headers = { "content-type": "text/x", cookie: "a=1; b=2" };
    const posted = await fetch(`${nginx.url}made`, { method: "POST", body, headers });
    expect(posted.status).toBe(201);
    expect(await posted.json()).toMatchObject({
      method: "POST",
      type: "text/x",
      cookie: "a=1; b=2",
      n: body.length,
    });
    const head = await fetch(nginx.url, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    await vassal.untilBytes("loyal", (bytes) => bytes.includes(17));
  });

  it("reaches objects with fetch(Request) and unmodified scripts over uwsgi", async () => {
    for (const text of [
      `export default { fetch: async (q) => new Response("got " + await q.text() + " at " + q.url) };`,
      `import http from "node:http"; http.createServer(async (q, s) => {
         let t = ""; for await (const c of q) t += c; s.end("got " + t + " at http://" + q.headers.host + q.url);
       }).listen(1, function () { console.log("listens on", this.address().port ?? this.address()); });`,
    ]) {
      await using folder = await VassalFolder.create();
      folder.write("app.mjs", text);
      folder.write("app.ini", `[uwsgi]\nsocket = 127.0.0.1:${folder.port}\nnode-app = app.mjs\n`);
      const vassal = folder.start();
      await vassal.accepting();
      await using nginx = await Nginx.start(
        folder,
        `${PARAMS} uwsgi_pass 127.0.0.1:${folder.port};`,
      );
      const answer = await fetch(`${nginx.url}x?y`, { method: "POST", body: "some" });
      expect(await answer.text()).toBe(`got some at ${nginx.url}x?y`);
      if (text.includes("listens")) expect(vassal.log).toContain(`listens on ${folder.port}`);
    }
  });

  it("streams both ways", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", SLOW);
    folder.write("app.ini", `[uwsgi]\nsocket = app.sock\nnode-app = app.mjs\n`);
    const vassal = folder.start();
    await vassal.accepting();
    await using nginx = await Nginx.start(
      folder,
      `${PARAMS} uwsgi_buffering off; uwsgi_request_buffering off; uwsgi_pass unix:${folder.path}/app.sock;`,
    );
    const headers = { "content-length": 6 };
    const agent = new Agent({ keepAlive: false });
    const outgoing = request(nginx.url, { method: "POST", headers, agent });
    outgoing.write("abc");
    await vassal.untilLog(/first piece: abc/);
    const response = await answerOf(outgoing);
    // Before the first piece is waited for: the last one and the end may come in one turn.
    const ended = once(response, "end");
    let answer = "";
    response.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    await waitFor("the first piece of the answer", () => answer === "begun ");
    outgoing.end("def");
    await ended;
    expect(answer).toBe("begun ended");
    await vassal.untilLog(/response closed, finished: true/);
  });

  it("a client that goes away aborts its request and ends its response", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", SLOW);
    folder.write("app.ini", `[uwsgi]\nsocket = app.sock\nnode-app = app.mjs\n`);
    const vassal = folder.start();
    await vassal.accepting();
    await using nginx = await Nginx.start(
      folder,
      `${PARAMS} uwsgi_buffering off; uwsgi_request_buffering off; uwsgi_pass unix:${folder.path}/app.sock;`,
    );
    const agent = new Agent({ keepAlive: false });
    const asking = request(nginx.url, { agent });
    asking.on("error", () => undefined);
    asking.end();
    const response = await answerOf(asking);
    response.on("error", () => undefined);
    asking.destroy();
    await vassal.untilLog(/response closed, finished: false/);
    const headers = { "content-length": 6 };
    const sending = request(nginx.url, { method: "POST", headers, agent });
    sending.on("error", () => undefined);
    sending.write("abc");
    await vassal.untilLog(/first piece: abc/);
    sending.destroy();
    await vassal.untilLog(/request aborted/);
  });

  it("hands over an upgrade", async () => {
    await using folder = await VassalFolder.create();
    folder.write(
      "app.mjs",
      `import http from "node:http"; const server = http.createServer();
       server.on("upgrade", (q, socket) => {
         socket.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: x\\r\\nConnection: Upgrade\\r\\n\\r\\n");
         socket.on("data", (c) => socket.end("<" + c + ">"));
       });
       server.listen(1);`,
    );
    folder.write("app.ini", `[uwsgi]\nsocket = app.sock\nnode-app = app.mjs\n`);
    const vassal = folder.start();
    await vassal.accepting();
    await using nginx = await Nginx.start(
      folder,
      `${PARAMS} uwsgi_pass unix:${folder.path}/app.sock;`,
    );
    const { port } = new URL(nginx.url);
    const client = connect(Number(port), "127.0.0.1");
    client.write("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    let seen = "";
    client.on("data", (chunk: Buffer) => (seen += chunk.toString()));
    await waitFor("the upgrade", () => seen.includes("101 Switching Protocols"));
    client.write("ping");
    await waitFor("the echo", () => seen.endsWith("<ping>"));
    client.destroy();
  });

  it.each(workers)("%s: no request fails while it is reloaded under load", async (_, lines) => {
    await using folder = await VassalFolder.create();
    const app = (version: string): string =>
      `export default (q, s) => setTimeout(() => s.end("${version}"), 2);`;
    folder.write("app.mjs", app("v0"));
    folder.write("app.ini", `[uwsgi]\nsocket = app.sock\nnode-app = app.mjs\n${lines}\n`);
    const vassal = folder.start();
    await vassal.accepting();
    await using nginx = await Nginx.start(
      folder,
      `${PARAMS} uwsgi_pass unix:${folder.path}/app.sock;`,
    );
    const clients = load(nginx.url, 6);
    for (let i = 1; i <= 4; i++) {
      folder.write("app.mjs", app(`v${i}`));
      vassal.send(1);
      await vassal.accepting(i + 1);
    }
    const { answers, failures } = await clients.stop();
    expect(failures).toEqual([]);
    expect(answers).toBeGreaterThan(0);
    await waitFor("the newest version", async () => (await get(nginx.url)).body === "v4");
    expect(vassal.exit).toBeUndefined();
  });
});
