/** The sockets of the `vassal` command: what is spoken on them, and what was open before it started. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { once } from "node:events";
import { close, listen } from "@emperor/linux";
import { describe, expect, it } from "vitest";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, get } from "./vassal-harness.ts";
import { closing, exchange, packet } from "./vassal-uwsgi-client.ts";

const LISTENER = `export default (q, s) => s.end("hello " + (q.socket.encrypted === true) + " " + process.pid);`;

function makeCertificate(folder: VassalFolder, name: string): void {
  const files = ["-keyout", folder.file("key.pem"), "-out", folder.file("cert.pem")];
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const kind = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
  ];
  execFileSync("openssl", ["req", "-x509", ...kind, ...subject, ...files], { stdio: "ignore" });
}

/** Body and name in the certificate of one HTTPS request on a connection of its own. */
async function getSecure(folder: VassalFolder): Promise<{ name: string; body: string }> {
  return new Promise((resolve, reject) => {
    const ca = readFileSync(folder.file("cert.pem"));
    const options = { host: "127.0.0.1", port: folder.port, ca, agent: false };
    const outgoing = request(options, (response) => {
      const name = String((response.socket as TLSSocket).getPeerCertificate().subject.CN);
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("end", () => resolve({ name, body }));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

describe("what is no request", () => {
  it.each(["", "processes = 2"])(
    "is closed and counted, and nobody else notices: %j",
    async (lines) => {
      await using folder = await VassalFolder.create();
      folder.write("app.mjs", LISTENER);
      folder.write("app.ini", `[uwsgi]\nsocket = app.sock\nnode-app = app.mjs\n${lines}\n`);
      const vassal = folder.start();
      await vassal.accepting();
      const path = folder.file("app.sock");
      const bad = [
        Buffer.from([5, 0, 0, 0]),
        Buffer.from([0, 2, 0, 0, 255, 255]),
        Buffer.from([0, 4, 0, 0, 1, 0, 65, 9]),
        Buffer.concat([Buffer.from([0, 0, 1, 0]), Buffer.alloc(256, 0xff)]),
      ];
      for (const bytes of bad) expect(await exchange(path, bytes)).toBe("");
      await vassal.untilLog(
        /uwsgi: 1 connection\(s\) sent no request; such connections are closed/,
      );
      expect(await exchange(path, packet())).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*hello/);
      expect(vassal.exit).toBeUndefined();
    },
  );

  it("does not keep others from being served: 500 clients that send a byte and wait", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", LISTENER);
    folder.ini(`socket = app.sock\nlisten = 600\nnode-app = app.mjs\nreload-mercy = 5`);
    const vassal = folder.start();
    await vassal.accepting();
    const slow: Socket[] = [];
    try {
      for (let i = 0; i < 500; i++) {
        const socket = connect(
          i % 2 === 0 ? { path: folder.file("app.sock") } : { port: folder.port },
        );
        socket.on("error", () => undefined);
        slow.push(socket);
        await once(socket, "connect");
        socket.write(packet().subarray(0, 1 + (i % 8)));
      }
      expect(await exchange(folder.file("app.sock"), packet())).toContain("hello");
      expect((await get(folder.url)).status).toBe(200);
      vassal.send(1);
      await vassal.accepting(2);
      expect(await exchange(folder.file("app.sock"), packet())).toContain("hello");
      await Promise.all(
        slow.map(async (socket) => socket.closed || (socket.resume(), closing(socket))),
      );
    } finally {
      for (const socket of slow) socket.destroy();
    }
  });
});

describe("https-socket", () => {
  it.each([
    ["one process", ""],
    ["a master", "processes = 2"],
  ])(
    "%s: takes a new certificate by a reload, and refuses one that is broken",
    async (_, lines) => {
      await using folder = await VassalFolder.create();
      folder.write("app.mjs", LISTENER);
      makeCertificate(folder, "first");
      folder.write(
        "app.ini",
        `[uwsgi]\nhttps-socket = 127.0.0.1:${folder.port},cert.pem,key.pem\nnode-app = app.mjs\nchdir = /\n${lines}\n`.replace(
          "node-app = ",
          "node-app = %d",
        ),
      );
      const vassal = folder.start();
      await vassal.accepting();
      expect(await getSecure(folder)).toMatchObject({
        name: "first",
        body: expect.stringContaining("hello true"),
      });
      makeCertificate(folder, "second");
      vassal.send(1);
      await vassal.accepting(2);
      await waitFor("the new certificate", async () => (await getSecure(folder)).name === "second");
      const good = readFileSync(folder.file("cert.pem"), "utf8");
      folder.write("cert.pem", "no certificate");
      vassal.send(1);
      await vassal.untilLog(/cannot use certificate[^]*reload (refused|abandoned)/);
      folder.write("cert.pem", good);
      expect(await getSecure(folder)).toMatchObject({ name: "second" });
    },
  );

  it("serves beside other sockets, and ends with 1 and the reason when there is no key", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", LISTENER);
    makeCertificate(folder, "name");
    const socket = `https-socket = 127.0.0.1:${folder.port},cert.pem,key.pem`;
    folder.write(
      "app.ini",
      `[uwsgi]\n${socket}\nsocket = @${folder.port}-uwsgi\nhttp-socket = @${folder.port}-http\nnode-app = app.mjs\n`,
    );
    const vassal = folder.start();
    await vassal.accepting();
    expect((await getSecure(folder)).body).toContain("hello true");
    expect(await exchange(`\0${folder.port}-uwsgi`, packet())).toContain("hello false");
    const http = Buffer.from("GET / HTTP/1.0\r\n\r\n");
    expect(await exchange(`\0${folder.port}-http`, http)).toContain("hello false");
    unlinkSync(folder.file("key.pem"));
    vassal.send(0);
    await vassal.ended();
    const second = folder.start();
    expect(await second.ended()).toEqual({ code: 1, signal: null });
    await second.untilLog(/cannot use certificate "\/.*cert\.pem" and key "\/.*key\.pem": ENOENT/);
  });
});

describe("sockets that were there before", () => {
  it.each([
    ["one process", ""],
    ["a master", "master = true"],
  ])("%s: LISTEN_FDS, by address or as HTTP, over a reload", async (_, lines) => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", `${LISTENER}; console.log("fds", process.env.LISTEN_FDS ?? "none");`);
    const [named, unnamed] = [folder.file("named.sock"), folder.file("unnamed.sock")];
    const fds = [named, unnamed].map((path) => listen({ family: "unix", path }, { backlog: 9 }));
    try {
      folder.write(
        "app.ini",
        `[uwsgi]\nsocket = ${named}\nnode-app = app.mjs\nvacuum = true\n${lines}\n`,
      );
      const vassal = folder.start({ emperor: false, activated: fds });
      await vassal.untilLog(/accepts? on/);
      expect(vassal.log).toContain("fds none");
      for (let round = 1; round <= 2; round++) {
        expect(await exchange(named, packet())).toContain("hello");
        expect((await get({ socketPath: unnamed, path: "/" })).body).toContain("hello");
        vassal.child.kill("SIGHUP");
        await waitFor("the reload", () => vassal.log.match(/accepts? on/g)?.length === round + 1, {
          witness: vassal,
        });
      }
      vassal.child.kill("SIGTERM");
      expect(await vassal.ended()).toEqual({ code: 0, signal: null });
      // They belong to whoever made them.
      expect([existsSync(named), existsSync(unnamed)]).toEqual([true, true]);
    } finally {
      for (const fd of fds) close(fd);
    }
  });

  it("descriptor 0 speaks what `protocol` says", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", LISTENER);
    const path = folder.file("zero.sock");
    const fd = listen({ family: "unix", path }, { backlog: 9 });
    try {
      folder.write("app.ini", "[uwsgi]\nprotocol = uwsgi\nnode-app = app.mjs\n");
      const vassal = folder.start({ stdin: fd });
      await vassal.accepting();
      expect(await exchange(path, packet())).toContain("hello");
      vassal.send(1);
      await vassal.accepting(2);
      expect(await exchange(path, packet())).toContain("hello");
    } finally {
      close(fd);
    }
  });

  it.each([
    ["one process", ""],
    ["a master", "master = true"],
  ])("%s: an address that changes its protocol by a reload stays bound", async (_, lines) => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", LISTENER);
    const path = folder.file("app.sock");
    const ini = (option: string): void =>
      void folder.write(
        "app.ini",
        `[uwsgi]\n${option} = ${path}\nvacuum = true\nnode-app = app.mjs\n${lines}\n`,
      );
    ini("http-socket");
    const vassal = folder.start();
    await vassal.accepting();
    const { ino } = statSync(path);
    expect((await get({ socketPath: path, path: "/" })).body).toContain("hello");
    ini("socket");
    vassal.send(1);
    await vassal.accepting(2);
    await waitFor("the other protocol", async () =>
      (await exchange(path, packet())).includes("hello"),
    );
    expect(statSync(path).ino).toBe(ino);
    vassal.send(2);
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
    expect(existsSync(path)).toBe(false);
  });
});
