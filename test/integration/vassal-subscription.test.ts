/**
 * Vassals that announce themselves: to the http router and the fastrouter of the real uWSGI, and to a router
 * that only listens, or answers what it likes.
 */
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdirSync, unlinkSync } from "node:fs";
import * as linux from "@emperor/linux";
import { decodeSubscription, encodeDictionary, encodePacket } from "@emperor/protocol";
import type { Subscription } from "@emperor/protocol";
import { expect, it } from "vitest";
import { realUwsgi, uwsgiTest } from "../harness/privileges.ts";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, freePort, get } from "./vassal-harness.ts";
import { exchange } from "./vassal-uwsgi-client.ts";

const APP = `export default (q, s) => s.end("by " + process.pid);`;

/** A real uWSGI in the folder; it is ended with it. */
function startUwsgi(folder: VassalFolder, ...args: readonly string[]): void {
  spawn(realUwsgi ?? "", ["--master", "--no-orphans", ...args], {
    cwd: folder.path,
    env: { ...process.env, VASSAL_TEST: folder.path },
    stdio: "ignore",
  });
}

/** A router that notes what it is told. */
class Ears implements AsyncDisposable {
  readonly heard: Subscription[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (bytes) => {
      const told = decodeSubscription({
        modifier1: bytes[0] ?? 0,
        modifier2: bytes[3] ?? 0,
        body: bytes.subarray(4),
      });
      if (told !== undefined) this.heard.push(told);
    });
  }

  static async open(): Promise<Ears> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return new Ears(socket);
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  async until(what: string, check: (heard: readonly Subscription[]) => boolean): Promise<void> {
    await waitFor(what, () => check(this.heard), {
      witness: { onChange: () => () => undefined, account: () => JSON.stringify(this.heard) },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, "close");
  }
}

/** A vassal that serves the uwsgi protocol, announced by these lines. */
function ini(folder: VassalFolder, lines: string, name = "app.ini"): void {
  folder.write("app.mjs", APP);
  folder.write(name, `[uwsgi]\nnode-app = app.mjs\nsocket = 127.0.0.1:0\n${lines}\n`);
}

async function untilServed(url: string): Promise<string> {
  return waitFor("an answer through the router", async () =>
    get(url).then(
      ({ body, status }) => (status === 200 ? body : undefined),
      () => undefined,
    ),
  );
}

uwsgiTest(
  "the real http router sends requests to vassals that announced themselves, and none to one that stops",
  async () => {
    await using folder = await VassalFolder.create();
    const port = await freePort();
    const key = `127.0.0.1:${folder.port}`;
    startUwsgi(
      folder,
      "--plugin",
      "http",
      "--http",
      key,
      "--http-subscription-server",
      `127.0.0.1:${port}`,
    );
    ini(folder, `subscribe-to = 127.0.0.1:${port}:${key}\nsubscribe-freq = 0.2`);
    const [one, two] = [folder.start(), folder.start()];
    await Promise.all([one.accepting(), two.accepting()]);
    const seen = new Set<string>();
    await waitFor("answers of both", async () => {
      seen.add(await untilServed(folder.url));
      return seen.has(`by ${one.pid}`) && seen.has(`by ${two.pid}`);
    });
    one.send(0);
    await one.ended();
    // The router may read the datagram a moment after the vassal is gone.
    await waitFor("ten answers in a row of the other", async () => {
      for (let count = 0; count < 10; count++) {
        const body = await get(folder.url).then((answer) => answer.body, String);
        if (body !== `by ${two.pid}`) return false;
      }
      return true;
    });
  },
);

uwsgiTest(
  "the real fastrouter, with subscribe2, a unix socket, a weight and a signature",
  async () => {
    await using folder = await VassalFolder.create();
    mkdirSync(folder.file("certs"));
    const keys = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    folder.write("key.pem", keys.privateKey);
    folder.write("certs/site.test.pem", keys.publicKey);
    const [router, server] = [folder.file("router.sock"), folder.file("announce.sock")];
    startUwsgi(
      folder,
      "--plugin",
      "fastrouter",
      "--fastrouter",
      router,
      "--fastrouter-subscription-server",
      server,
      "--subscriptions-sign-check",
      `SHA1:${folder.file("certs")}`,
    );
    await waitFor("the router", () => existsSync(router) && existsSync(server));
    ini(
      folder,
      `subscribe2 = server=${server},key=site.test,weight=3,sign=SHA1:${folder.file("key.pem")}\nsubscribe-freq = 1.1`,
    );
    ini(
      folder,
      `subscribe2 = server=${server},key=site.test,weight=3\nsubscribe-freq = 0.2`,
      "forged.ini",
    );
    const forged = folder.start({ argv: ["--ini", "forged.ini"] });
    await forged.accepting();
    const vassal = folder.start();
    await vassal.accepting();
    const request = packetFor("site.test");
    await waitFor("an answer through the router", async () =>
      (await exchange(router, request)).includes(`by ${vassal.pid}`),
    );
    // Whoever has no key is never believed.
    for (let count = 0; count < 10; count++)
      expect(await exchange(router, request)).toContain(`by ${vassal.pid}`);
  },
);

function packetFor(host: string): Buffer {
  const body = encodeDictionary([
    ["REQUEST_METHOD", "GET"],
    ["REQUEST_URI", "/"],
    ["HTTP_HOST", host],
  ]);
  const bytes = body.ok ? encodePacket(0, 0, body.bytes) : body;
  if (!bytes.ok) throw new Error(bytes.reason);
  return Buffer.from(bytes.bytes);
}

for (const [kind, lines] of [
  ["one process", ""],
  ["a master", "master = true"],
] as const) {
  it(`${kind}: announces itself when it accepts, again and again, and takes it back when it stops`, async () => {
    await using folder = await VassalFolder.create();
    await using ears = await Ears.open();
    ini(
      folder,
      `subscribe-to = ${ears.address}:one.test,7\nsubscribe2 = server=${ears.address},key=two.test,addr=10.0.0.1:80,modifier1=1,modifier2=2,weight=9,backup=1\nsubscribe-freq = 0.2\nweight = 4\n${lines}`,
    );
    const vassal = folder.start();
    await vassal.accepting();
    await ears.until("three announcements", (heard) => heard.length >= 6);
    const [one, two] = ears.heard;
    expect(one).toMatchObject({ action: "subscribe", key: "one.test", modifier1: 7 });
    expect(one?.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    expect(one?.fields).toEqual([
      ["cores", "1"],
      ["load", "0"],
      ["weight", "4"],
    ]);
    expect(two).toMatchObject({
      key: "two.test",
      address: "10.0.0.1:80",
      modifier1: 1,
      modifier2: 2,
    });
    expect(two?.fields).toContainEqual(["weight", "9"]);
    expect(two?.fields).toContainEqual(["backup", "1"]);
    vassal.send(0);
    await vassal.ended();
    await ears.until("both to be taken back", (heard) => {
      const last = heard.slice(-2);
      return (
        last.every(({ action }) => action === "unsubscribe") &&
        new Set(last.map(({ key }) => key)).size === 2
      );
    });
  });

  it(`${kind}: unsubscribe-on-graceful-reload takes it back before the reload`, async () => {
    await using folder = await VassalFolder.create();
    await using ears = await Ears.open();
    ini(
      folder,
      `subscribe-to = ${ears.address}:one.test\nunsubscribe-on-graceful-reload = true\n${lines}`,
    );
    const vassal = folder.start();
    await vassal.accepting();
    await ears.until("an announcement", (heard) => heard.length === 1);
    vassal.send(1);
    await vassal.accepting(2);
    await ears.until("the end and the next beginning", (heard) => {
      const actions = heard.map(({ action }) => action);
      return actions.includes("unsubscribe") && actions.at(-1) === "subscribe";
    });
  });
}

it("a command is announced with the address that it is given", async () => {
  await using folder = await VassalFolder.create();
  await using ears = await Ears.open();
  folder.write(
    "app.ini",
    `[uwsgi]\ncommand = sleep 1000\nsubscribe2 = server=${ears.address},key=c.test,addr=127.0.0.1:99\n`,
  );
  const vassal = folder.start();
  await ears.until("an announcement", ([first]) => first?.address === "127.0.0.1:99");
  vassal.child.kill("SIGTERM");
  await ears.until("its end", (heard) => heard.at(-1)?.action === "unsubscribe");
  await vassal.ended();
});

it("keys come from a file, and check= is a file that has to be there", async () => {
  await using folder = await VassalFolder.create();
  await using ears = await Ears.open();
  const check = folder.write("up", "");
  folder.write("keys", "# sites\na.test\nb.test,5\n\n");
  ini(
    folder,
    `subscribe-to = ${ears.address}:@${folder.file("keys")}\nsubscribe2 = server=${ears.address},key=c.test,check=${check}\nsubscribe-freq = 0.1`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  await ears.until("three keys", (heard) => new Set(heard.map(({ key }) => key)).size === 3);
  expect(ears.heard.find(({ key }) => key === "b.test")?.modifier1).toBe(5);
  unlinkSync(check);
  const last = (key: string): string | undefined =>
    ears.heard.findLast((told) => told.key === key)?.action;
  await ears.until("c.test to be taken back", () => last("c.test") === "unsubscribe");
  expect(last("a.test")).toBe("subscribe");
});

it("start-unsubscribed waits for S in the master-fifo, and S takes it back again", async () => {
  await using folder = await VassalFolder.create();
  await using ears = await Ears.open();
  ini(
    folder,
    `subscribe-to = ${ears.address}:one.test\nstart-unsubscribed = true\nmaster-fifo = fifo\nmaster = true\nsubscribe-freq = 0.1`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  await waitFor("the fifo", () => existsSync(folder.file("fifo")));
  expect(ears.heard).toEqual([]);
  folder.write("fifo", "S");
  await ears.until("an announcement", (heard) => heard.length > 0);
  folder.write("fifo", "S");
  await ears.until("its end", (heard) => heard.at(-1)?.action === "unsubscribe");
});

it("a router that is not there, or has no name, or a key that cannot be read: said once, and the app serves", async () => {
  await using folder = await VassalFolder.create();
  const dead = await freePort();
  folder.write("app.mjs", APP);
  folder.ini(
    `node-app = app.mjs\nsubscribe-freq = 0.05\nsubscribe-to = 127.0.0.1:${dead}:a.test\nsubscribe-to = no-such-host.invalid:1:a.test\nsubscribe-to = ${folder.file("nobody.sock")}:a.test\nsubscribe2 = server=127.0.0.1:${dead},key=a.test,sign=SHA1:missing.pem`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  for (const pattern of [
    /missing\.pem.*ENOENT|ENOENT.*missing\.pem/,
    /no-such-host\.invalid/,
    /nobody\.sock/,
  ])
    await vassal.untilLog(pattern);
  for (let count = 0; count < 20; count++) expect((await get(folder.url)).status).toBe(200);
  expect(vassal.log.match(/missing\.pem/g)?.length).toBeLessThanOrEqual(2);
  vassal.send(0);
  expect((await vassal.ended()).code).toBe(0);
});

it("what comes back at the notify socket is logged within limits and obeyed by nobody", async () => {
  await using folder = await VassalFolder.create();
  await using ears = await Ears.open();
  const path = folder.file("notify.sock");
  folder.write("app.mjs", APP);
  folder.ini(
    `node-app = app.mjs\nsubscribe-to = ${ears.address}:a.test\nsubscription-notify-socket = ${path}`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  await ears.until("an announcement", ([first]) =>
    (first?.fields ?? []).some(([key, value]) => key === "notify" && value === path),
  );
  linux.sendDatagram(path, new TextEncoder().encode("welcome\n\u001b[2J"));
  await vassal.untilLog(/a router says: "welcome\\n\\u001b\[2J"/);
  // An unsubscribe packet of somebody else, repeated: the vassal is no router.
  const forged = encodePacket(224, 1, new TextEncoder().encode("x".repeat(400)));
  for (let count = 0; count < 500 && forged.ok; count++) {
    try {
      linux.sendDatagram(path, forged.bytes);
    } catch (error) {
      // Its queue is full.
      expect(String(error)).toMatch(/EAGAIN/);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  await vassal.untilLog(/more of this minute is left out/);
  expect((await get(folder.url)).status).toBe(200);
  expect(vassal.log.match(/a router says/g)?.length).toBeLessThanOrEqual(20);
});

it.each([
  ["subscribe-to = 127.0.0.1:1", /needs SERVER:KEY/],
  ["subscribe-to = 127.0.0.1:1:k,300", /modifier1, 0 to 255/],
  ["subscribe2 = server=127.0.0.1:1", /needs server= and key=/],
  ["subscribe2 = server=127.0.0.1:1,key=a,colour=red", /no key "colour"/],
  ["subscribe2 = server=127.0.0.1:1,key=a,sign=nonsense", /DIGEST:FILE/],
  ["subscribe2 = server=127.0.0.1:1,key=a,weight=many", /weight is a number/],
])("%s is refused with its place", async (line, why) => {
  await using folder = await VassalFolder.create();
  ini(folder, line);
  const vassal = folder.start();
  expect((await vassal.ended()).code).toBe(1);
  expect(vassal.log).toMatch(why);
  expect(vassal.log).toMatch(/app\.ini:4/);
});
