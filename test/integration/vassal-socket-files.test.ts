/** Files, owners and TCP options of the sockets of the `vassal` command: what is made, and what is removed. */
import { chmodSync, chownSync, existsSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { once } from "node:events";
import { close, listen } from "@emperor/linux";
import { describe, expect, it } from "vitest";
import { rootTest } from "../harness/privileges.ts";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, freePort, get } from "./vassal-harness.ts";
import { exchange, packet } from "./vassal-uwsgi-client.ts";

const LISTENER = `export default (q, s) => s.end("hello " + process.pid);`;

describe("files of unix sockets", () => {
  it.each([
    ["one process", ""],
    ["a master", "master = true"],
  ])("%s: vacuum removes its own, also after a reload, and nobody else's", async (_, lines) => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", LISTENER);
    const path = folder.file("app.sock");
    folder.write(
      "app.ini",
      `[uwsgi]\nsocket = app.sock\nvacuum = true\nchdir = /\nnode-app = %dapp.mjs\n${lines}\n`,
    );
    const first = folder.start();
    await first.accepting();
    first.send(1);
    await first.accepting(2);
    first.send(2);
    await first.ended();
    expect(existsSync(path)).toBe(false);
    const second = folder.start();
    await second.accepting();
    unlinkSync(path);
    const fd = listen({ family: "unix", path }, { backlog: 1 });
    try {
      second.send(2);
      expect(await second.ended()).toEqual({ code: 0, signal: null });
      expect(existsSync(path)).toBe(true);
    } finally {
      close(fd);
    }
  });

  it("stay without vacuum", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", LISTENER);
    folder.write("app.ini", "[uwsgi]\nsocket = app.sock\nnode-app = app.mjs\n");
    const vassal = folder.start();
    await vassal.accepting();
    vassal.send(2);
    await vassal.ended();
    expect(existsSync(folder.file("app.sock"))).toBe(true);
  });

  it("are never removed when they are something else, and no name is too long unnoticed", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", LISTENER);
    folder.write("app.sock", "a file");
    folder.write("app.ini", "[uwsgi]\nsocket = app.sock\nvacuum = true\nnode-app = app.mjs\n");
    const vassal = folder.start();
    expect(await vassal.ended()).toEqual({ code: 1, signal: null });
    await vassal.untilLog(/something else than a socket at that path; it is left alone/);
    expect(readFileSync(folder.file("app.sock"), "utf8")).toBe("a file");
    folder.write("app.ini", `[uwsgi]\nsocket = /${"x".repeat(120)}\nnode-app = app.mjs\n`);
    const second = folder.start();
    expect(await second.ended()).toEqual({ code: 1, signal: null });
    await second.untilLog(/app\.ini:2: option "socket" .*121 bytes, the system allows 107/);
  });

  rootTest("get owner and mode as root, although the vassal runs as another user", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", LISTENER);
    chmodSync(folder.path, 0o755); // only root may make anything here
    folder.write(
      "app.ini",
      "[uwsgi]\nsocket = app.sock\nchown-socket = 1234:4321\nchmod-socket = 620\nuid = 65534\ngid = 65534\nnode-app = app.mjs\n",
    );
    const vassal = folder.start();
    await vassal.accepting();
    const { uid, gid, mode } = statSync(folder.file("app.sock"));
    expect([uid, gid, (mode & 0o777).toString(8)]).toEqual([1234, 4321, "620"]);
    expect(await exchange(folder.file("app.sock"), packet())).toContain("hello");
    vassal.send(1);
    await vassal.accepting(2);
    expect(await exchange(folder.file("app.sock"), packet())).toContain("hello");
    folder.write(
      "app.ini",
      "[uwsgi]\nsocket = other.sock\nchown-socket = nobody-of-that-name\nnode-app = app.mjs\n",
    );
    const second = folder.start();
    expect(await second.ended()).toEqual({ code: 1, signal: null });
    await second.untilLog(/chown-socket: there is no user "nobody-of-that-name"/);
  });

  rootTest("shared-socket is bound before uid is taken, and survives reloads", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", LISTENER);
    chownSync(folder.path, 0, 0);
    folder.write(
      "app.ini",
      "[uwsgi]\nshared-socket = one.sock\nshared-socket = two.sock\nchmod-socket = 666\nsocket = =1\nhttp-socket = =0\nuid = 65534\ngid = 65534\nnode-app = app.mjs\n",
    );
    const vassal = folder.start();
    await vassal.accepting();
    for (let round = 1; round <= 2; round++) {
      expect((await get({ socketPath: folder.file("one.sock"), path: "/" })).body).toContain(
        "hello",
      );
      expect(await exchange(folder.file("two.sock"), packet())).toContain("hello");
      vassal.send(1);
      await vassal.accepting(round + 1);
    }
  });
});

describe("TCP", () => {
  it("reuse-port lets two vassals serve one port, IPv6 too", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", LISTENER);
    const port = await freePort();
    folder.write(
      "app.ini",
      `[uwsgi]\nhttp-socket = [::1]:${port}\nreuse-port = true\nso-keepalive = true\nnode-app = app.mjs\n`,
    );
    const [first, second] = [folder.start(), folder.start()];
    await first.accepting();
    await second.accepting();
    const seen = new Set<string>();
    await waitFor("an answer of each", async () => {
      seen.add((await get(`http://[::1]:${port}/`)).body);
      return seen.size === 2;
    });
  });

  it.each(["http-socket", "socket"])(
    "so-keepalive arms the timer of connections: %s",
    async (option) => {
      await using folder = await VassalFolder.create();
      folder.write("app.mjs", LISTENER);
      folder.write(
        "app.ini",
        `[uwsgi]\n${option} = 127.0.0.1:${folder.port}\nso-keepalive = true\nnode-app = app.mjs\n`,
      );
      const vassal = folder.start();
      await vassal.accepting();
      const client = connect(folder.port, "127.0.0.1");
      await once(client, "connect");
      // Columns: local, remote, state (01: established), queues, timer (02: keep-alive).
      const local = `0100007F:${folder.port.toString(16).toUpperCase().padStart(4, "0")}`;
      const pattern = new RegExp(` ${local} \\S+ 01 \\S+ 02:`);
      await waitFor("the timer", () => pattern.test(readFileSync("/proc/net/tcp", "utf8")));
      client.destroy();
    },
  );
});

it("a command gets sockets of every kind", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "command.mjs",
    `import http from "node:http";
     console.log("got", process.env.LISTEN_FDS, process.env.LISTEN_FDNAMES);
     http.createServer((q, s) => s.end("command")).listen({ fd: 5 });`,
  );
  folder.write(
    "app.ini",
    `[uwsgi]\nshared-socket = shared.sock\nsocket = a.sock\nhttp-socket = b.sock\ncommand = ${process.execPath} command.mjs\n`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  await vassal.untilLog(/got 3 a\.sock:b\.sock:shared\.sock/);
  expect((await get({ socketPath: folder.file("shared.sock"), path: "/" })).body).toBe("command");
});
