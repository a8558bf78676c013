/** Vassals that start with their first connection: what their clients see. */
import { once } from "node:events";
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect, createServer, Socket } from "node:net";
import { join } from "node:path";
import * as linux from "@emperor/linux";
import { expect, onTestFinished, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, Run, StartOptions } from "../harness/emperor.ts";
import { otherUserTest, programTest, realUwsgi, uwsgiTest } from "../harness/privileges.ts";
import { connectTo, exchange, freePort } from "../harness/sockets.ts";

const EXTENSION = ["--emperor-on-demand-extension", ".socket"];
const SERVES = vassalConfig("serves");

interface Site {
  readonly emperor: EmperorUnderTest;
  readonly address: string;
}

/** One vassal `a.ini` with a unix socket, waiting for connections. */
async function site(config = SERVES, options: StartOptions = {}): Promise<Site> {
  let address = "";
  const emperor = await startEmperor({
    ...options,
    args: [...EXTENSION, ...(options.args ?? [])],
    prepare: (run) => {
      address = join(run.path, "a.sock");
      run.put("a.ini.socket", `${address}\n`);
      run.put("a.ini", config);
      options.prepare?.(run);
    },
  });
  await emperor.vassalWith("a.ini", { state: "dormant" });
  return { emperor, address };
}

async function servedBy(address: string): Promise<number> {
  const [, pid] = /^\S+ (\d+)\n$/.exec(await exchange(address, undefined, 30_000)) ?? [];
  return Number(pid);
}

async function isRefused(address: string): Promise<boolean> {
  try {
    await exchange(address);
    return false;
  } catch {
    return true;
  }
}

test("the first connection is served, and a burst of a hundred starts one process", async () => {
  const { emperor, address } = await site();
  expect(emperor.starts("a.ini")).toBe(0);
  const pids = await Promise.all(Array.from({ length: 100 }, () => servedBy(address)));
  const { pid } = await emperor.started("a.ini");
  expect(new Set(pids)).toEqual(new Set([pid]));
  expect(emperor.starts("a.ini")).toBe(1);
  const stats = await emperor.vassalWith("a.ini", { loyal: 1 });
  expect(stats).toMatchObject({ on_demand: address, state: "running", starts: 1 });
});

test("byte 22 puts it back to sleep, again and again, and no connection is lost in between", async () => {
  const { emperor, address } = await site(vassalConfig("serves", { count: 1 }));
  const pids = new Set<number>();
  for (let round = 1; round <= 3; round++) {
    pids.add(await servedBy(address));
    await emperor.received("a.ini", 0, round);
    await emperor.vassalWith("a.ini", { state: "dormant", pid: -1 });
  }
  expect(pids.size).toBe(3);
  expect((await emperor.vassal("a.ini"))?.crashes).toBe(0);
  // While it goes to sleep as well.
  for (let round = 0; round < 5; round++) expect(await servedBy(address)).toBeGreaterThan(0);
});

test("a program that never says a word is put to sleep when nobody is connected, not before", async () => {
  const { emperor, address } = await site(vassalConfig("serves-silently"), {
    args: ["--emperor-on-demand-idle", "1", "--emperor-curse-tolerance", "1"],
  });
  const client = connect({ path: address, allowHalfOpen: true });
  onTestFinished(() => void client.destroy());
  client.resume();
  await once(client, "end");
  const { pid } = await emperor.started("a.ini");
  // Another vassal's whole life fits into the time in which this one is not put to sleep.
  writeFileSync(emperor.run.at("b.ini.socket"), join(emperor.run.path, "b.sock"));
  emperor.put("b.ini", vassalConfig("serves-silently"));
  await emperor.vassalWith("b.ini", { state: "dormant" });
  await servedBy(join(emperor.run.path, "b.sock"));
  await emperor.vassalWith("b.ini", { state: "dormant", starts: 1 });
  expect(await emperor.vassal("a.ini")).toMatchObject({ state: "running", pid });
  client.destroy();
  await emperor.vassalWith("a.ini", { state: "dormant", crashes: 0 });
  expect(await servedBy(address)).not.toBe(pid);
});

test("who dies while a connection waits is started again for it", async () => {
  const { emperor, address } = await site(vassalConfig("crashes-at-once"), {
    args: ["--emperor-throttle", "100"],
  });
  const answer = servedBy(address);
  await emperor.report("configured", "a.ini", {}, 2);
  emperor.put("a.ini", SERVES);
  expect(await answer).toBeGreaterThan(0);
});

test("a change of config while it sleeps costs no start, and is told to its hook", async () => {
  const { emperor, address } = await site(SERVES, {
    args: [
      "--hook-as-on-demand-vassal",
      "exec:echo waits:$UWSGI_HOOK_CONTEXT",
      "--hook-as-on-config-vassal",
      "exec:echo changed:$UWSGI_HOOK_CONTEXT",
    ],
  });
  await emperor.logged(/^waits:a\.ini$/);
  emperor.put("a.ini", vassalConfig("serves", { note: "two" }));
  await emperor.logged('updated configuration for "on demand" instance a.ini');
  await emperor.logged(/^changed:a\.ini$/);
  await emperor.fence();
  expect(emperor.starts("a.ini")).toBe(0);
  await servedBy(address);
  await emperor.report("configured", "a.ini", { note: "two" });
});

test("a socket that comes or goes moves the vassal to and from on demand", async () => {
  const { emperor, address } = await site();
  emperor.remove("a.ini.socket");
  const { pid } = await emperor.started("a.ini");
  expect(await isRefused(address)).toBe(true);
  const other = join(emperor.run.path, "other.sock");
  emperor.put("a.ini.socket", other);
  await emperor.gone(pid);
  await emperor.vassalWith("a.ini", { state: "dormant", on_demand: other });
  expect(await servedBy(other)).not.toBe(pid);
  emperor.write("a.ini.socket", address);
  await emperor.vassalWith("a.ini", { state: "dormant", on_demand: address });
  expect(await isRefused(other)).toBe(true);
  expect(await servedBy(address)).toBeGreaterThan(0);
});

test("several sockets: IPv4, IPv6, a path and an abstract name, all given to one process", async () => {
  const [v4, v6] = [await freePort(), await freePort()];
  const { emperor, address } = await site(SERVES, {
    prepare: (run) => {
      const lines = [`127.0.0.1:${v4}`, `[::1]:${v6}`, join(run.path, "a.sock"), `@${run.path}`];
      run.put("a.ini.socket", lines.join("\n"));
    },
  });
  const socket = connect({ host: "::1", port: v6 });
  await once(socket.resume(), "close");
  const pid = await servedBy(address);
  expect(await servedBy(`127.0.0.1:${v4}`)).toBe(pid);
  // Node 20 pads abstract names; the kernel takes that for another name.
  const abstract = linux.connect({ family: "unix", path: `\0${emperor.run.path}` });
  await once(new Socket({ fd: abstract.fd }).resume(), "close");
  const { env, fds } = await emperor.started("a.ini");
  expect(env).toMatchObject({ LISTEN_FDS: "3", LISTEN_PID: String(pid), UWSGI_EMPEROR_FD: "6" });
  expect(Object.keys(fds ?? {})).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
  for (const byte of [0, 1, 2, 3]) await emperor.report("served", "a.ini", { byte });
  expect(emperor.starts("a.ini")).toBe(1);
});

test("its socket has mode and owner, and is gone with the vassal", async () => {
  const { emperor, address } = await site(SERVES, { args: ["--emperor-on-demand-mode", "600"] });
  expect(lstatSync(address).mode & 0o777).toBe(0o600);
  emperor.remove("a.ini");
  await emperor.forgotten("a.ini");
  expect(lstatSync(address, { throwIfNoEntry: false })).toBeUndefined();
});

test("addresses by directory and by attribute", async () => {
  const emperor = await startEmperor({
    args: ["--emperor-on-demand-directory", "{dir}/sockets", "--emperor-on-demand-attr", "wakes"],
    prepare: (run) => {
      mkdirSync(join(run.path, "sockets"));
      run.put("a.ini", SERVES);
      run.put(
        "b.ini",
        `${SERVES}[emperor]\nwakes = ${run.path}/1.sock\nwakes = ${run.path}/2.sock\n`,
      );
    },
  });
  const { path } = emperor.run;
  await emperor.vassalWith("b.ini", { state: "dormant" });
  expect(await servedBy(join(path, "sockets/a.socket"))).toBeGreaterThan(0);
  expect(await servedBy(join(path, "2.sock"))).toBe(await servedBy(join(path, "1.sock")));
});

/** A program that prints what its script says. */
function script(run: Run, text: string): void {
  writeFileSync(join(run.path, "address.sh"), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

test("addresses by a command, which gets the name as one argument and no shell", async () => {
  const name = "a b; touch $(echo x).ini";
  const emperor = await startEmperor({
    args: ["--emperor-on-demand-exec", "{dir}/address.sh"],
    prepare: (run) => {
      script(run, `[ $# = 1 ] && [ "$1" = '${name}' ] && echo ${run.path}/x.sock`);
      run.put(name, SERVES);
    },
  });
  await emperor.vassalWith(name, { state: "dormant" });
  expect(await exchange(join(emperor.run.path, "x.sock"))).toContain(name);
  expect(readdirSync(emperor.run.vassals)).toEqual([name]);
});

test.each([
  ["fails", "exit 3", /address\.sh" failed: it ended with status 3/],
  ["prints a megabyte", "head -c 1000000 /dev/zero", /printed more than \d+ bytes/],
  ["hangs", "exec sleep 1000", /took longer than 1000 ms and was killed/],
])("a command that %s is said so and asked again; nobody else waits", async (_what, text, why) => {
  const emperor = await startEmperor({
    args: ["--emperor-on-demand-exec", "{dir}/address.sh", "--hook-timeout", "1"],
    prepare: (run) => {
      script(
        run,
        `[ "$1" = plain.ini ] && exit 0\n[ -e ${run.path}/mended ] || { ${text}; exit; }\necho ${run.path}/x.sock`,
      );
      run.put("a.ini", SERVES);
      run.put("plain.ini", vassalConfig("loyal"));
    },
  });
  await emperor.vassalWith("plain.ini", { loyal: 1 });
  await emperor.logged(why);
  writeFileSync(join(emperor.run.path, "mended"), "");
  await emperor.vassalWith("a.ini", { state: "dormant" });
  expect(await servedBy(join(emperor.run.path, "x.sock"))).toBeGreaterThan(0);
});

test("what is at its path is left alone, unless it is a socket that nobody serves", async () => {
  const { emperor, address } = await site();
  const other = join(emperor.run.path, "file");
  writeFileSync(other, "precious");
  emperor.put("b.ini.socket", other);
  emperor.put("b.ini", SERVES);
  await emperor.logged(/b\.ini cannot wait for connections: .*no socket; it is left alone/);
  // Another vassal's, and another program's.
  emperor.put("c.ini.socket", address);
  emperor.put("c.ini", SERVES);
  await emperor.logged(/c\.ini cannot wait for connections: .*belongs to another vassal already/);
  const served = join(emperor.run.path, "served");
  const server = createServer((socket) => {
    // The Emperor asks whether somebody is there, and is gone before the answer.
    socket.on("error", () => undefined);
    socket.end("theirs");
  });
  onTestFinished(() => void server.close());
  await once(server.listen(served), "listening");
  emperor.put("d.ini.socket", served);
  emperor.put("d.ini", SERVES);
  await emperor.logged(/d\.ini cannot wait for connections: .*another program listens there/);
  expect(await exchange(served)).toBe("theirs");
  // It was killed and left its socket behind: that one may go.
  await new Promise((resolve) => server.close(resolve));
  await emperor.vassalWith("d.ini", { state: "dormant" });
  expect(lstatSync(other).isFile()).toBe(true);
  expect(emperor.starts("a.ini")).toBe(0);
});

test("a socket that a killed Emperor left behind is taken over", async () => {
  const { emperor, address } = await site();
  emperor.signal("SIGKILL");
  await emperor.ended();
  expect(lstatSync(address).isSocket()).toBe(true);
  const next = await startEmperor({ args: EXTENSION }, emperor.run);
  await next.vassalWith("a.ini", { state: "dormant" });
  expect(await servedBy(address)).toBeGreaterThan(0);
});

test.each([
  ["localhost:80", /names are not looked up; not tried again/],
  [`/run/${"x".repeat(150)}`, /too long.*not tried again/],
  ["/nowhere/at/all/a.sock", /its directory does not exist \(ENOENT\); trying again soon/],
  ["192.0.2.1:9", /EADDRNOTAVAIL\); trying again soon/],
])("the address %s is answered with the reason; another one helps", async (text, why) => {
  const emperor = await startEmperor({
    args: EXTENSION,
    prepare: (run) => {
      run.put("a.ini.socket", text);
      run.put("a.ini", SERVES);
    },
  });
  await emperor.logged(why);
  const address = join(emperor.run.path, "good.sock");
  emperor.put("a.ini.socket", address);
  await emperor.vassalWith("a.ini", { state: "dormant", on_demand: address });
  expect(await servedBy(address)).toBeGreaterThan(0);
  expect(emperor.starts("a.ini")).toBe(1);
});

test("clients that hang up at once, dozens of them, start one process; the next one is served", async () => {
  const { emperor, address } = await site();
  // Fewer than fit into the queue: the last client must find a place in it.
  for (let count = 0; count < 80; count++) {
    const socket = connectTo(address);
    socket.on("error", () => undefined);
    socket.once("connect", () => void socket.destroy());
    await new Promise((resolve) => socket.once("close", resolve));
  }
  const pid = await servedBy(address);
  expect(emperor.starts("a.ini")).toBe(1);
  expect((await emperor.started("a.ini")).pid).toBe(pid);
});

programTest(["prlimit"])(
  "more sockets than descriptors: the rest waits, and the Emperor goes on",
  async () => {
    const names = Array.from({ length: 160 }, (_, n) => `v${n}.ini`);
    const emperor = await startEmperor({
      launcher: ["prlimit", "--nofile=128:128"],
      args: ["--emperor-on-demand-directory", "{dir}/s"],
      prepare: (run) => {
        mkdirSync(join(run.path, "s"));
        for (const name of names) run.put(name, SERVES);
      },
    });
    await emperor.logged(/cannot wait for connections: .*EMFILE\); trying again soon/);
    const asleep = (await emperor.stats()).vassals.filter(({ state }) => state === "dormant");
    expect(asleep.length).toBeGreaterThan(40);
    // What leaves makes room for what waits.
    for (const { id } of asleep.slice(0, 40)) emperor.remove(id);
    for (const name of names.filter((each) => !asleep.some(({ id }) => id === each)).slice(0, 45))
      emperor.remove(name);
    await emperor.wait("the rest to wait at their sockets", async () =>
      (await emperor.stats()).vassals.every(({ state }) => state === "dormant"),
    );
  },
);

test("SIGHUP wakes nobody, and who only waits holds up no end", async () => {
  const { emperor } = await site();
  emperor.signal("SIGHUP");
  await emperor.fence();
  expect(emperor.starts("a.ini")).toBe(0);
  emperor.signal("SIGTERM");
  expect(await emperor.ended()).toEqual({ code: 0, signal: null });
});

otherUserTest(
  "in tyrant mode the socket is the tenant's, and only where the tenant may make it",
  async () => {
    const emperor = await startEmperor({
      args: [...EXTENSION, "--emperor-tyrant"],
      prepare: (run) => {
        mkdirSync(join(run.path, "roots"));
        mkdirSync(join(run.path, "theirs"), { mode: 0o777 });
      },
    });
    const { run } = emperor;
    chmodSync(join(run.path, "theirs"), 0o777);
    const theirs = (name: string, text: string): void => {
      run.put(name, text);
      chownSync(run.at(name), 65_534, 65_534);
    };
    theirs("good.ini.socket", join(run.path, "theirs/good.sock"));
    theirs("bad.ini.socket", join(run.path, "roots/bad.sock"));
    theirs("port.ini.socket", "127.0.0.1:999");
    run.put("root.ini.socket", join(run.path, "roots/root.sock"));
    for (const name of ["good.ini", "bad.ini", "port.ini", "root.ini"]) theirs(name, SERVES);
    await emperor.vassalWith("good.ini", { state: "dormant" });
    await emperor.logged(/bad\.ini cannot wait.*not allowed \(EACCES\)/);
    await emperor.logged(/port\.ini cannot wait.*below 1024, which a tenant may not ask for/);
    await emperor.vassalWith("root.ini", { state: "dormant" });
    for (const path of ["theirs/good.sock", "roots/root.sock"]) {
      const { uid, gid, mode } = lstatSync(join(run.path, path));
      expect({ uid, gid, mode: mode & 0o777 }).toEqual({ uid: 65_534, gid: 65_534, mode: 0o660 });
    }
    expect(readdirSync(join(run.path, "roots"))).toEqual(["root.sock"]);
    expect((await exchange(join(run.path, "theirs/good.sock"))).startsWith("good.ini ")).toBe(true);
  },
);

/** The status of one HTTP request through a unix socket. */
function statusOf(socketPath: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path: "/", timeout: 30_000, agent: false }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode));
    });
    call.once("timeout", () => call.destroy(new Error("no answer")));
    call.once("error", reject);
    call.end();
  });
}

const UWSGI_SITES: readonly (readonly [string, string, string | undefined])[] = [
  ["takes descriptor 0 and sleeps when it is idle", "protocol = http", undefined],
  [
    "binds the same path for itself and is put right when it sleeps",
    "protocol = http\nhttp-socket = {address}",
    "was removed or replaced, binding it anew",
  ],
];
for (const [what, line, warning] of UWSGI_SITES)
  uwsgiTest(`a real uWSGI as the vassal ${what}`, async () => {
    const app = `def application(e, s):\n    s("200 OK", [])\n    return [b"fine"]\n`;
    const { emperor, address } = await site("", {
      wrapper: null,
      args: ["--binary-path", realUwsgi ?? ""],
      prepare: (run) => {
        writeFileSync(join(run.path, "app.py"), app);
        const lines = ["plugin = python3", "master = true", "idle = 1", "die-on-idle = true"];
        const own = line.replace("{address}", join(run.path, "a.sock"));
        run.put(
          "a.ini",
          ["[uwsgi]", ...lines, own, `wsgi-file = ${join(run.path, "app.py")}`, ""].join("\n"),
        );
      },
    });
    for (const starts of [1, 2]) {
      expect(await statusOf(address)).toBe(200);
      await emperor.vassalWith("a.ini", { state: "dormant", starts, crashes: 0 });
    }
    if (warning !== undefined) await emperor.logged(warning);
    else expect(emperor.log()).not.toContain("was removed or replaced");
  });
