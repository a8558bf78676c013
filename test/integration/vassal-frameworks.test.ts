/** The frameworks as their documentation shows them, with the real packages, and other ways to hand over an app. */
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { otherNode, otherNodeTest } from "../harness/privileges.ts";
import { VassalFolder, get } from "./vassal-harness.ts";
import { waitFor } from "../harness/wait.ts";

const MODULES = join(import.meta.dirname, "../node_modules");

const FRAMEWORKS: readonly (readonly [string, string, string])[] = [
  [
    "Express",
    "app.mjs",
    `import express from "express";
     const app = express();
     app.use(express.json());
     app.get("/hello/:name", (q, s) => s.send("hello " + q.params.name));
     app.post("/echo", (q, s) => s.json(q.body));
     export default app;`,
  ],
  [
    "Express in CommonJS",
    "app.cjs",
    `const express = require("express");
     const app = express();
     app.use(express.json());
     app.get("/hello/:name", (q, s) => s.send("hello " + q.params.name));
     app.post("/echo", (q, s) => s.json(q.body));
     module.exports = app;`,
  ],
  [
    "Express that listens itself",
    "app.mjs",
    `import express from "express";
     const app = express();
     app.use(express.json());
     app.get("/hello/:name", (q, s) => s.send("hello " + q.params.name));
     app.post("/echo", (q, s) => s.json(q.body));
     app.listen(3000);`,
  ],
  [
    "Koa",
    "app.mjs",
    `import Koa from "koa";
     const app = new Koa();
     app.use(async (c) => {
       if (c.method === "GET") { c.body = "hello " + c.path.split("/").at(-1); return; }
       let text = "";
       for await (const chunk of c.req) text += chunk;
       c.body = JSON.parse(text);
     });
     export default app;`,
  ],
  [
    "Fastify",
    "app.mjs",
    `import fastify from "fastify";
     const app = fastify();
     app.register(async (scope) => {
       scope.get("/hello/:name", async (q) => "hello " + q.params.name);
       scope.post("/echo", async (q) => q.body);
     });
     export default app;`,
  ],
  [
    "Fastify that listens itself",
    "app.mjs",
    `import fastify from "fastify";
     const app = fastify();
     app.get("/hello/:name", async (q) => "hello " + q.params.name);
     app.post("/echo", async (q) => q.body);
     await app.listen({ port: 3000, host: "127.0.0.1" });`,
  ],
  [
    "Hono",
    "app.mjs",
    `import { Hono } from "hono";
     const app = new Hono();
     app.get("/hello/:name", (c) => c.text("hello " + c.req.param("name")));
     app.post("/echo", async (c) => c.json(await c.req.json()));
     export default app;`,
  ],
];

for (const lines of ["", "processes = 2"]) {
  it.each(FRAMEWORKS)(`serves %s (${lines || "one process"})`, async (_, name, text) => {
    await using folder = await VassalFolder.create();
    symlinkSync(MODULES, folder.file("node_modules"));
    folder.write(name, text);
    folder.ini(`node-app = ${name}\n${lines}`);
    const vassal = folder.start();
    await vassal.accepting();
    expect(await get(`${folder.url}hello/world`)).toMatchObject({
      status: 200,
      body: "hello world",
    });
    const echo = await fetch(`${folder.url}echo`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ a: [1, "ü"] }),
    });
    expect(await echo.json()).toEqual({ a: [1, "ü"] });
    await vassal.untilBytes("loyal", (bytes) => bytes.includes(17));
    vassal.send(2);
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  });
}

it.each([
  ["an object with handle()", `export default { handle(q, s) { s.end(this.text); }, text: "ok" };`],
  [
    "an object with a server",
    `import http from "node:http"; export default { server: http.createServer((q, s) => s.end("ok")) };`,
  ],
  [
    "a server that does not listen",
    `import http from "node:http"; export default http.createServer((q, s) => s.end("ok"));`,
  ],
  ["a promise of a listener", `export default Promise.resolve((q, s) => s.end("ok"));`],
])("serves %s", async (_, text) => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", text);
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  expect((await get(folder.url)).body).toBe("ok");
});

it("tells why a Fastify application does not become ready", async () => {
  await using folder = await VassalFolder.create();
  symlinkSync(MODULES, folder.file("node_modules"));
  folder.write(
    "app.mjs",
    `import fastify from "fastify"; const app = fastify(); app.register(async () => { throw new Error("no database"); }); export default app;`,
  );
  folder.ini("node-app = app.mjs");
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  await vassal.untilLog(/threw while it was loaded: Error: no database/);
});

for (const [kind, lines] of [
  ["one process", ""],
  ["a worker", "master = true"],
] as const) {
  it(`gives node-options to ${kind}, over a reload too`, async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", `export default (q, s) => s.end(process.execArgv.join(" "));`);
    const ini = (flags: string): void =>
      folder.ini(`node-app = app.mjs\nnode-options = ${flags}\n${lines}`);
    ini("--stack-size=2000 --no-warnings");
    const vassal = folder.start();
    await vassal.accepting();
    expect((await get(folder.url)).body).toContain("--stack-size=2000 --no-warnings");
    vassal.send(1);
    await vassal.accepting(2);
    expect((await get(folder.url)).body.match(/--no-warnings/g)).toHaveLength(1);
    ini("--stack-size=1000");
    vassal.send(1);
    await vassal.accepting(3);
    // Workers of the old generation answer until the new one is known to accept, and a moment longer.
    const flags = await waitFor("an answer of the newest generation", async () => {
      const { body } = await get(folder.url);
      return body.includes("--stack-size=1000") ? body : undefined;
    });
    expect(flags).not.toContain("--no-warnings");
  });

  otherNodeTest(`runs ${kind} with another node-binary`, async () => {
    const { path, version } = otherNode ?? { path: "", version: "" };
    // TypeScript where that Node runs it without being told.
    const typed = Number(/^v(\d+)/.exec(version)?.[1]) > 22;
    const app = typed ? "app.mts" : "app.mjs";
    await using folder = await VassalFolder.create();
    folder.write(app, `export default (q, s${typed ? ": any" : ""}) => s.end(process.version);`);
    folder.ini(`node-app = ${app}\nnode-binary = ${path}\n${lines}`);
    const vassal = folder.start();
    await vassal.accepting();
    const { body } = await get(folder.url);
    expect(body).toBe(version);
    if (lines === "") expect(folder.processes()).toEqual([vassal.pid]);
    vassal.send(1);
    await vassal.accepting(2);
    expect((await get(folder.url)).body).toBe(body);
  });

  it(`says that a node-binary is not there, for ${kind}`, async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", `export default (q, s) => s.end("x");`);
    folder.ini(`node-app = app.mjs\nnode-binary = /no/such/node\n${lines}`);
    const vassal = folder.start();
    expect(await vassal.ended()).toEqual({ code: 1, signal: null });
    await vassal.untilLog(/\/no\/such\/node.*ENOENT/);
  });
}

// Newer ones run it, so there is nothing to say.
if (process.versions.node.startsWith("20.")) {
  it("says that this Node runs no TypeScript, and what to do", async () => {
    await using folder = await VassalFolder.create();
    folder.write(
      "app.ts",
      `const n: number = 1; module.exports = (q: unknown, s: any) => s.end(n);`,
    );
    folder.ini("node-app = app.ts");
    const vassal = folder.start();
    expect(await vassal.ended()).toEqual({ code: 1, signal: null });
    await vassal.untilLog(
      /is TypeScript, which Node 20\.\S+ does not run by itself\. Set "node-binary"/,
    );
  });
}
