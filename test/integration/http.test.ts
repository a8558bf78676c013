/** Vassals that a web server describes: one config, or a list. */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { certificateIn } from "../harness/certificate.ts";
import { vassalConfig } from "../harness/configs.ts";
import { newRun, startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest } from "../harness/emperor.ts";
import { programTest } from "../harness/privileges.ts";
import { freePort } from "../harness/sockets.ts";

const loyal = (note: string): string => vassalConfig("loyal", { note });
const reads = (note: string): string => vassalConfig("re-reads-config", { note });

/** A web server whose answer a test changes; it knows 304. */
class Web {
  status = 200;
  body = "";
  etag = 0;
  hangs = false;
  /** Statuses that were answered. */
  readonly answers: number[] = [];
  readonly #server: Server;

  constructor(
    make: (listener: typeof this.answer) => Server = (listener) => createServer(listener),
  ) {
    this.#server = make(this.answer);
  }

  readonly answer = ({ headers }: IncomingMessage, response: ServerResponse): void => {
    if (this.hangs) return;
    const etag = `"${this.etag}"`;
    const status = this.status === 200 && headers["if-none-match"] === etag ? 304 : this.status;
    this.answers.push(status);
    response.writeHead(status, { etag });
    response.end(status === 200 ? this.body : undefined);
  };

  put(body: string): void {
    this.body = body;
    this.etag += 1;
  }

  async listen(port = 0): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(port, "127.0.0.1", done));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

async function web(): Promise<Web> {
  const server = new Web();
  await server.listen();
  onTestFinished(() => server.close());
  return server;
}

const list = (...vassals: readonly unknown[]): string => JSON.stringify({ vassals });

/** Looks at once, again and again, until it is so: a pause after a failure is cut short. */
function until(emperor: EmperorUnderTest, what: string, check: () => boolean): Promise<true> {
  return emperor.wait(what, () => {
    emperor.signal("SIGWINCH");
    return check() && true;
  });
}

describe("the address of one config", () => {
  test("is a vassal named after it; changes reload, 304 does nothing, 404 stops", async () => {
    const server = await web();
    server.put(reads("one"));
    const emperor = await startEmperor({ monitors: [`http://127.0.0.1:${server.port}/x/app.ini`] });
    await emperor.report("config", "app.ini", { text: reads("one") });
    const { pid } = await emperor.vassalWith("app.ini", { loyal: 1 });
    await emperor.wait(
      "answers without a body",
      () => server.answers.filter((one) => one === 304).length > 2,
    );
    await emperor.vassalWith("app.ini", { pid, respawns: 0 });
    server.put(reads("two"));
    await emperor.report("config", "app.ini", { text: reads("two") });
    await emperor.vassalWith("app.ini", { pid, respawns: 1 });
    server.status = 404;
    await emperor.logged('it answers with status 404: vassal "app.ini" goes');
    await emperor.forgotten("app.ini");
    server.status = 200;
    await emperor.vassalWith("app.ini", { loyal: 1 });
  });

  test("may be given another name, and a wrong one is refused", async () => {
    const server = await web();
    server.put(loyal("one"));
    const emperor = await startEmperor({
      monitors: [
        `http://127.0.0.1:${server.port}/config?id=7#name=shop.ini`,
        `http://127.0.0.1:${server.port}/config`,
      ],
    });
    await emperor.vassalWith("shop.ini", { loyal: 1 });
    await emperor.logged('"config" is refused, no vassal: its name has no suffix of a config');
  });

  test("that fails, hangs, is gone or too large stops nothing and recovers", async () => {
    const server = await web();
    server.put(loyal("one"));
    const { port } = server;
    const emperor = await startEmperor({ monitors: [`http://127.0.0.1:${port}/a.ini#timeout=1`] });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    server.status = 503;
    await emperor.logged("it answers with status 503; its vassals stay as they are");
    server.status = 200;
    await until(emperor, "the source to be back", () =>
      emperor.log().includes("is available again"),
    );
    server.hangs = true;
    await until(emperor, "the time-out", () =>
      emperor.log().includes("it did not answer within 1 s"),
    );
    server.hangs = false;
    server.put("x".repeat(5_000_000));
    await until(emperor, "the refusal", () => emperor.log().includes("more than 4194304 bytes"));
    await server.close();
    await until(emperor, "the loss", () => emperor.log().includes("ECONNREFUSED"));
    await emperor.vassalWith("a.ini", { pid, respawns: 0 });
    const next = new Web();
    next.put(loyal("other"));
    next.etag = 77;
    await next.listen(port);
    onTestFinished(() => next.close());
    await emperor.wait("the reload", async () => {
      emperor.signal("SIGWINCH");
      return (await emperor.vassal("a.ini"))?.respawns === 1;
    });
  });

  test("keeps its password out of log and statistics", async () => {
    const port = await freePort();
    const emperor = await startEmperor({
      monitors: [`http://deploy:hunter2@127.0.0.1:${port}/a.ini`],
    });
    await emperor.logged("ECONNREFUSED");
    const seen = `${emperor.log()}${await emperor.rawStats()}`;
    expect(seen).toContain(`http://deploy@127.0.0.1:${port}/a.ini`);
    expect(seen).not.toContain("hunter2");
  });
});

describe("the address of a list", () => {
  test("gives its vassals; only what differs is touched", async () => {
    const server = await web();
    const a = { name: "a.ini", config: reads("1") };
    const b = { name: "b.ini", config: loyal("1") };
    server.put(list(a, b, { name: "elsewhere.ini", config: loyal("1"), node: "web2" }));
    const emperor = await startEmperor({
      monitors: [`http://127.0.0.1:${server.port}/\${node}/list.json`],
      args: ["--emperor-node", "web1"],
    });
    const first = await emperor.vassalWith("a.ini", { loyal: 1 });
    const other = await emperor.vassalWith("b.ini", { loyal: 1 });
    server.put(list({ ...a, config: reads("2") }, b, { name: "c.ini", config: loyal("1") }));
    await emperor.report("config", "a.ini", { text: reads("2") });
    await emperor.vassalWith("c.ini", { loyal: 1 });
    await emperor.vassalWith("a.ini", { pid: first.pid, respawns: 1 });
    await emperor.vassalWith("b.ini", { pid: other.pid, respawns: 0 });
    // Neither a missing list nor other text in its place says anything of the vassals.
    server.status = 404;
    await emperor.logged("it answers with status 404 instead of a list; its vassals stay");
    server.status = 200;
    server.put("<html>maintenance</html>");
    await until(emperor, "the broken list", () => emperor.log().includes("is no list of vassals"));
    expect((await emperor.stats()).vassals).toHaveLength(3);
    server.put(list());
    await emperor.wait("no vassals", async () => {
      emperor.signal("SIGWINCH");
      return (await emperor.stats()).vassals.length === 0;
    });
    expect(emperor.starts("emperor://elsewhere.ini")).toBe(0);
  });

  test("with bad entries gives the good ones and tells of the others", async () => {
    const server = await web();
    server.put(
      list(
        { name: "good.ini", config: loyal("1") },
        { name: "../up.ini", config: loyal("1") },
        { name: "a\nb.ini", config: loyal("1") },
        { name: "none.ini" },
        { name: "uid.ini", config: "x", uid: "root" },
        { name: "big.ini", config: "x".repeat(70_000) },
        { name: "good.ini", config: "twice" },
        { config: "nameless" },
        7,
      ),
    );
    const emperor = await startEmperor({ monitors: [`http://127.0.0.1:${server.port}/l.json`] });
    await emperor.vassalWith("good.ini", { loyal: 1 });
    for (const text of [
      "leads to another directory",
      "control characters",
      "its config is no text",
      "its uid is no number",
      "70000 bytes, 65535 are allowed",
      "entry 7 of the list has the name of an earlier one",
      "entry 8 of the list has no name",
      "entry 9 of the list is no object",
    ])
      await emperor.logged(text);
    expect((await emperor.stats()).vassals.map(({ id }) => id)).toEqual(["good.ini"]);
  });
});

describe("https", () => {
  programTest(["openssl"])(
    "is verified: an unknown authority is refused, a named one trusted",
    async () => {
      const run = newRun();
      const { key, cert } = certificateIn(run.path);
      const server = new Web((listener) =>
        createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, listener),
      );
      await server.listen();
      onTestFinished(() => server.close());
      server.put(loyal("tls"));
      const url = `https://127.0.0.1:${server.port}`;
      const emperor = await startEmperor(
        { monitors: [`${url}/strange.ini`, `${url}/known.ini#ca=${encodeURIComponent(cert)}`] },
        run,
      );
      await emperor.vassalWith("known.ini", { loyal: 1 });
      await emperor.logged(/strange\.ini: .*self.signed certificate/i);
      expect(await emperor.vassal("strange.ini")).toBeUndefined();
    },
  );
});
