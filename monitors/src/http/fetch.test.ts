import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { fetchConfig, type FetchAnswer, type FetchRules, type Validators } from "./fetch.ts";

const RULES: FetchRules = { timeoutMs: 10_000, maxBytes: 1000 };

async function serve(
  listener: RequestListener,
): Promise<{ readonly url: URL; readonly server: Server }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { url: new URL(`http://127.0.0.1:${port}/a.ini`), server };
}

async function get(
  listener: RequestListener,
  rules: Partial<FetchRules> = {},
  validators: Validators = {},
): Promise<FetchAnswer> {
  const { url } = await serve(listener);
  return fetchConfig(url, validators, { ...RULES, ...rules });
}

describe("an answer", () => {
  test("of 200 is the content, with what identifies its version", async () => {
    const answer = await get((_, response) => {
      response.setHeader("etag", '"1"');
      response.setHeader("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT");
      response.end("[uwsgi]");
    });
    expect(answer).toMatchObject({
      kind: "content",
      body: new TextEncoder().encode("[uwsgi]"),
      validators: { etag: '"1"', lastModified: "Mon, 01 Jan 2024 00:00:00 GMT" },
    });
  });

  test("of 304 to what is known already changes nothing", async () => {
    const asked: unknown[] = [];
    const validators = { etag: '"1"', lastModified: "Mon, 01 Jan 2024 00:00:00 GMT" };
    const answer = await get(
      ({ headers }, response) => {
        asked.push(headers["if-none-match"], headers["if-modified-since"]);
        response.writeHead(304).end();
      },
      {},
      validators,
    );
    expect(answer).toEqual({ kind: "unchanged" });
    expect(asked).toEqual([validators.etag, validators.lastModified]);
  });

  test.each([400, 401, 403, 404, 410, 204])("of %i is a refusal", async (status) => {
    expect(await get((_, response) => response.writeHead(status).end("x"))).toEqual({
      kind: "refused",
      status,
    });
  });

  test.each([500, 502, 503, 408, 425, 429])("of %i says nothing of the config", async (status) => {
    expect(await get((_, response) => response.writeHead(status).end("x"))).toEqual({
      kind: "unavailable",
      why: `it answers with status ${status}`,
    });
  });

  test("that is too long, or ends early, is none", async () => {
    expect(await get((_, response) => response.end("x".repeat(1001)))).toMatchObject({
      why: "its answer has more than 1000 bytes",
    });
    const short = await get((_, response) => {
      response.writeHead(200, { "content-length": 500 });
      response.write("x");
      response.flushHeaders();
      setImmediate(() => response.destroy());
    });
    expect(short.kind).toBe("unavailable");
  });

  test("that never comes, or never ends, is given up", async () => {
    const silent = await get(() => undefined, { timeoutMs: 100 });
    expect(silent).toEqual({ kind: "unavailable", why: "it did not answer within 0.1 s" });
    const endless = await get((_, response) => response.write("x"), { timeoutMs: 100 });
    expect(endless).toEqual({ kind: "unavailable", why: "it did not answer within 0.1 s" });
  });
});

describe("a redirect", () => {
  test("is followed, and to the same server with the login", async () => {
    const seen: (string | undefined)[] = [];
    const { url } = await serve(({ url: path, headers }, response) => {
      seen.push(headers.authorization);
      if (path === "/a.ini") response.writeHead(302, { location: "/b.ini" }).end();
      else response.end("b");
    });
    url.username = "deploy";
    url.password = "hunter2";
    expect(await fetchConfig(url, {}, RULES)).toMatchObject({ kind: "content" });
    const basic = `Basic ${Buffer.from("deploy:hunter2").toString("base64")}`;
    expect(seen).toEqual([basic, basic]);
  });

  test("to another server goes without the login", async () => {
    const seen: (string | undefined)[] = [];
    const other = await serve(({ headers }, response) => {
      seen.push(headers.authorization);
      response.end("other");
    });
    const { url } = await serve((_, response) =>
      response.writeHead(307, { location: other.url.href }).end(),
    );
    url.username = "deploy";
    url.password = "hunter2";
    expect(await fetchConfig(url, {}, RULES)).toMatchObject({ kind: "content" });
    expect(seen).toEqual([undefined]);
  });

  test.each([
    ["/a.ini", "more than 5 times"],
    ["file:///etc/passwd", "which is not followed"],
    ["http://[", "no URL"],
  ])("to %s is not followed for ever, nor anywhere", async (location, why) => {
    expect(await get((_, response) => response.writeHead(302, { location }).end())).toEqual({
      kind: "unavailable",
      why: expect.stringContaining(why),
    });
  });
});

test("no server there is a reason, not an error", async () => {
  const { url, server } = await serve(() => undefined);
  await new Promise((resolve) => server.close(resolve));
  expect(await fetchConfig(url, {}, RULES)).toEqual({
    kind: "unavailable",
    why: expect.stringContaining("ECONNREFUSED"),
  });
});
