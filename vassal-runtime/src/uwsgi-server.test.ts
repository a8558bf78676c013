import { createServer as createHttpServer } from "node:http";
import type { RequestListener } from "node:http";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { once } from "node:events";
import { encodeDictionary, encodePacket } from "@emperor/protocol";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { UwsgiRequest } from "./uwsgi-connection.ts";
import { UwsgiServer } from "./uwsgi-server.ts";

/** A request packet; `pairs` come after, and may override, method and target. */
function packet(pairs: Readonly<Record<string, string>> = {}, modifier1 = 0): Buffer {
  const all = { REQUEST_METHOD: "GET", REQUEST_URI: "/", HTTP_HOST: "app", ...pairs };
  const body = encodeDictionary(Object.entries(all));
  if (!body.ok) throw new Error(body.reason);
  const result = encodePacket(modifier1, 0, body.bytes);
  if (!result.ok) throw new Error(result.reason);
  return Buffer.from(result.bytes);
}

/** Ended after each test. */
const fixtures: Fixture[] = [];

afterEach(async () => {
  for (const fixture of fixtures.splice(0)) await fixture.end();
});

class Fixture {
  readonly http = createHttpServer();
  readonly uwsgi = new UwsgiServer(this.http);
  readonly listener = createServer({ allowHalfOpen: true }, (socket) => {
    this.accepted.push(socket);
    this.uwsgi.serve(socket);
  });
  readonly accepted: Socket[] = [];
  readonly clients: Socket[] = [];

  static async with(listener: RequestListener): Promise<Fixture> {
    const fixture = new Fixture();
    fixtures.push(fixture);
    fixture.http.on("request", listener);
    fixture.listener.listen(0, "127.0.0.1");
    await once(fixture.listener, "listening");
    return fixture;
  }

  client(): Socket {
    const { port } = this.listener.address() as AddressInfo;
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    this.clients.push(socket);
    return socket;
  }

  /** Sends the chunks, each when the one before is written; all that comes back until the end. */
  async exchange(...chunks: readonly Uint8Array[]): Promise<string> {
    const socket = this.client();
    const answer: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => answer.push(chunk));
    const closed = closing(socket);
    for (const chunk of chunks)
      await new Promise<void>((resolve) => socket.write(chunk, () => resolve()));
    await closed;
    return Buffer.concat(answer).toString("latin1");
  }

  async end(): Promise<void> {
    for (const socket of [...this.clients, ...this.accepted]) socket.destroy();
    this.listener.close();
    await once(this.listener, "close");
  }
}

const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () =>
    response.end(`${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`),
  );
};

describe("UwsgiServer", () => {
  it("answers in the form of uWSGI, without chunked coding", async () => {
    const fixture = await Fixture.with((request, response) => {
      response.setHeader("Transfer-Encoding", "chunked");
      response.writeEarlyHints({ link: "</a.css>" });
      response.writeContinue();
      response.write("a");
      response.end(request.url);
    });
    const answer = await fixture.exchange(packet({ REQUEST_URI: "/x?y" }));
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).not.toMatch(/transfer-encoding|103 Early/i);
    expect(answer.slice(answer.indexOf("\r\n\r\n"))).toBe("\r\n\r\na/x?y");
  });

  it.each([
    ["an object", { "Transfer-Encoding": "chunked", "X-A": "1" }],
    ["an array", ["Transfer-Encoding", "chunked", "X-A", "1"]],
  ])("drops a coding that writeHead is given in %s", async (_, headers) => {
    const fixture = await Fixture.with((_request, response) => {
      response.writeHead(201, "Made", headers as Record<string, string>);
      response.write("b");
      response.end("c");
    });
    const answer = await fixture.exchange(packet());
    expect(answer).toMatch(/^HTTP\/1\.1 201 Made\r\nX-A: 1\r\n/);
    expect(answer).toMatch(/\r\n\r\nbc$/);
  });

  it("counts a body that it has as a whole, and sends none for HEAD", async () => {
    const fixture = await Fixture.with((_, response) => response.end("hello"));
    expect(await fixture.exchange(packet())).toMatch(/Content-Length: 5\r\n[^]*hello$/);
    expect(await fixture.exchange(packet({ REQUEST_METHOD: "HEAD" }))).toMatch(/\r\n\r\n$/);
  });

  it("tells the app who the client is, and what the proxy added", async () => {
    const fixture = await Fixture.with((request, response) => {
      const { remoteAddress, remotePort, remoteFamily } = request.socket;
      const encrypted = "encrypted" in request.socket;
      const added = (request as UwsgiRequest).uwsgi?.["MY_PARAM"];
      response.end(JSON.stringify({ remoteAddress, remotePort, remoteFamily, encrypted, added }));
    });
    const answer = await fixture.exchange(
      packet({ REMOTE_ADDR: "2001:db8::1", REMOTE_PORT: "99", HTTPS: "on", MY_PARAM: "x" }),
    );
    expect(JSON.parse(answer.slice(answer.indexOf("{")))).toEqual({
      remoteAddress: "2001:db8::1",
      remotePort: 99,
      remoteFamily: "IPv6",
      encrypted: true,
      added: "x",
    });
  });

  it("takes packet and body cut anywhere", async () => {
    const fixture = await Fixture.with(echo);
    const bytes = Buffer.concat([
      packet({ REQUEST_METHOD: "POST", CONTENT_LENGTH: "6" }),
      Buffer.from("abcdef"),
    ]);
    for (const cut of [1, 3, 4, 5, 20, bytes.length - 7, bytes.length - 6, bytes.length - 1]) {
      const answer = await fixture.exchange(bytes.subarray(0, cut), bytes.subarray(cut));
      expect(answer).toMatch(/POST \/ abcdef$/);
    }
  });

  it("ignores what is behind the body, and says so", async () => {
    const fixture = await Fixture.with(echo);
    const head = packet({ REQUEST_METHOD: "POST", CONTENT_LENGTH: "3" });
    // The fixture's client ends with the server, which lingers until then.
    const socket = fixture.client();
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    socket.write(Buffer.concat([head, Buffer.from("abcdef")]));
    await once(socket, "end");
    expect(answer).toMatch(/POST \/ abc$/);
    expect(fixture.uwsgi.faults).toEqual({ malformed: 0, shorter: 0, longer: 1 });
  });

  it("aborts a request whose client goes before its body is complete", async () => {
    let aborted: () => void = () => undefined;
    const seen = new Promise<void>((resolve) => (aborted = resolve));
    const fixture = await Fixture.with((request) => {
      request.resume();
      request.once("aborted", aborted);
    });
    fixture
      .client()
      .end(
        Buffer.concat([packet({ REQUEST_METHOD: "POST", CONTENT_LENGTH: "9" }), Buffer.from("ab")]),
      );
    await seen;
    expect(fixture.uwsgi.faults).toMatchObject({ shorter: 1 });
  });

  it("closes the response when its client goes", async () => {
    const { promise, resolve } = withResolvers<boolean>();
    const fixture = await Fixture.with((_, response) => {
      response.write("begun");
      response.once("close", () => resolve(response.writableFinished));
    });
    const socket = fixture.client();
    socket.write(packet());
    await once(socket, "data");
    socket.destroy();
    expect(await promise).toBe(false);
  });

  it("holds a body back while nobody reads it, and a response while its client does not", async () => {
    const { promise: request, resolve } = withResolvers<Parameters<RequestListener>>();
    const fixture = await Fixture.with((...both) => resolve(both));
    const bodyBytes = 8 * 1024 * 1024;
    const socket = fixture.client();
    socket.pause();
    socket.write(packet({ REQUEST_METHOD: "POST", CONTENT_LENGTH: String(bodyBytes) }));
    socket.write(Buffer.alloc(bodyBytes, 1));
    const [incoming, outgoing] = await request;
    await new Promise<void>((full) => {
      const look = (): void => void (incoming.socket.isPaused() ? full() : setImmediate(look));
      look();
    });
    expect(incoming.readableLength).toBeLessThan(1024 * 1024);
    let received = 0;
    incoming.on("data", (chunk: Buffer) => (received += chunk.length));
    await once(incoming, "end");
    expect(received).toBe(bodyBytes);
    let writes = 0;
    while (outgoing.write(Buffer.alloc(64 * 1024))) writes += 1;
    expect(writes).toBeLessThan(500);
    expect(outgoing.writableNeedDrain).toBe(true);
    const drained = once(outgoing, "drain");
    socket.resume();
    await drained;
    expect(outgoing.writableNeedDrain).toBe(false);
    outgoing.end();
    await closing(socket);
  });

  it("delivers the response to a request whose body nobody reads", async () => {
    const fixture = await Fixture.with((_, response) => response.writeHead(413).end("no"));
    const answer = await fixture.exchange(
      packet({ REQUEST_METHOD: "POST", CONTENT_LENGTH: "3000000" }),
      Buffer.alloc(3_000_000),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 [^]*no$/);
  });

  it("hands an upgrade over to the app", async () => {
    const fixture = await Fixture.with((_, response) => response.end());
    fixture.http.on("upgrade", (_request, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\n");
      socket.on("data", (chunk: Buffer) => socket.end(`<${chunk.toString()}>`));
    });
    const socket = fixture.client();
    socket.write(packet({ HTTP_UPGRADE: "x", HTTP_CONNECTION: "Upgrade" }));
    await once(socket, "data");
    socket.write("ping");
    expect(String((await once(socket, "data"))[0])).toBe("<ping>");
  });

  it.each([
    ["another modifier", packet({}, 5)],
    ["an empty packet", Buffer.alloc(4)],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
    ["a header with a line break", packet({ HTTP_X: "a\r\nb: c" })],
  ])("closes a connection with %s, and counts it", async (_, bytes) => {
    const fixture = await Fixture.with((__, response) => response.end("reached"));
    const socket = fixture.client();
    socket.end(bytes);
    socket.resume();
    await closing(socket);
    expect(fixture.uwsgi.faults).toMatchObject({ malformed: 1 });
  });

  it("closes a connection that sends no packet in time", async () => {
    const fixture = await Fixture.with((_, response) => response.end("reached"));
    fixture.http.headersTimeout = 1;
    expect(await fixture.exchange(packet().subarray(0, 6))).toBe("");
    expect(fixture.uwsgi.faults).toMatchObject({ malformed: 1 });
  });

  it("serves on after any bytes", async () => {
    const fixture = await Fixture.with(echo);
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 600 }),
        fc.nat({ max: 600 }),
        async (bytes, cut) => {
          const socket = fixture.client();
          socket.resume();
          const closed = closing(socket);
          socket.write(bytes.subarray(0, cut));
          socket.end(bytes.subarray(cut));
          await closed;
        },
      ),
      { numRuns: 60 },
    );
    expect(await fixture.exchange(packet())).toMatch(/GET \/ $/);
  });
});

/** Resolves when the socket is closed, by an end or by a reset: a server that hangs up on unread bytes resets. */
function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

function withResolvers<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => undefined;
  const promise = new Promise<Value>((done) => (resolve = done));
  return { promise, resolve };
}
