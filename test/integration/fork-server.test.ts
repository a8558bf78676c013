/** Vassals that a fork server starts, and fork servers that are not what they should be. */
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { newRun, startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, Run } from "../harness/emperor.ts";
import { programTest } from "../harness/privileges.ts";
import { processInfo, signalTo } from "../harness/processes.ts";
import { connectTo } from "../harness/sockets.ts";

const LOYAL = "[uwsgi]\nbehaviour = loyal\n";
const SERVER = join(import.meta.dirname, "../fixtures/fork-server.py");
const pythonTest = programTest(["python3"]);

function quoted(...words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(" ");
}

/** Puts a config into place that belongs to `owner` from the first moment. */
function putOwned(run: Run, name: string, owner: number | undefined): void {
  const aside = join(run.path, `owned-${name}`);
  writeFileSync(aside, LOYAL);
  if (owner !== undefined) chownSync(aside, owner, owner);
  renameSync(aside, run.at(name));
}

/** An Emperor whose base.ini is a fork server of this kind. */
function governForkServer(
  mode: "good" | "stranger" | "twice",
  args: readonly string[] = [],
  run: Run = newRun(),
  owner?: number,
): Promise<EmperorUnderTest> {
  // The server may be another user's.
  const folder = join(run.path, "server");
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  const path = join(folder, "fork.sock");
  const fixture = inject("fixtureVassal");
  const wrapper = join(run.path, "start.sh");
  const server = quoted("python3", SERVER, path, fixture, mode);
  writeFileSync(
    wrapper,
    `#!/bin/sh\ncase "$2" in *base.ini) exec ${server};; esac\nexec ${quoted(fixture)} "$@"\n`,
  );
  chmodSync(wrapper, 0o755);
  putOwned(run, "base.ini", owner);
  return startEmperor(
    {
      wrapper,
      args: ["--emperor-use-fork-server", path, "--vassal-fork-base", "base.ini", ...args],
    },
    run,
  );
}

pythonTest("adopts, reloads, respawns and stops what a fork server starts", async () => {
  const run = newRun();
  // There before its base: that is waited for, and not held against it.
  run.put("one.ini", LOYAL);
  const emperor = await governForkServer("good", [], run);
  await emperor.vassalWith("base.ini", { loyal: 1, adopted: 0 });
  const started = await emperor.started("one.ini");
  expect(started.argv?.slice(1)).toEqual(["--ini", "one.ini"]);
  const first = await emperor.vassalWith("one.ini", { loyal: 1, adopted: 1, crashes: 0 });
  expect(first.pid).toBe(started.pid);
  expect(processInfo(first.pid)?.parent).toBe(emperor.pid);
  emperor.touch("one.ini");
  await emperor.received("one.ini", 1);
  expect(first.pid).toBeGreaterThan(1);
  signalTo(first.pid, "SIGKILL");
  const second = await emperor.started("one.ini", 2);
  await emperor.vassalWith("one.ini", { pid: second.pid, loyal: 1, adopted: 1, crashes: 1 });
  emperor.remove("one.ini");
  await emperor.received("one.ini", 0);
  await emperor.gone(second.pid);
  await emperor.forgotten("one.ini");
});

pythonTest("hands an on-demand socket and a config over", async () => {
  const run = newRun();
  const socket = join(run.path, "app.sock");
  const emperor = await governForkServer(
    "good",
    ["--emperor-force-config-pipe", "--emperor-on-demand-extension", ".on"],
    run,
  );
  await emperor.vassalWith("base.ini", { loyal: 1 });
  run.put("app.ini.on", socket);
  run.put("app.ini", "[uwsgi]\nbehaviour = serves\n");
  await emperor.vassalWith("app.ini", { state: "dormant" });
  const client = connectTo(socket);
  onTestFinished(() => void client.destroy());
  client.on("error", () => undefined);
  const started = await emperor.started("emperor://app.ini");
  expect(started.argv?.slice(1)).toEqual(["--ini", "emperor://app.ini"]);
  expect(Object.keys(started.env ?? {})).toContain("UWSGI_EMPEROR_FD_CONFIG");
  await emperor.vassalWith("app.ini", { adopted: 1, pid: started.pid });
});

describe("answers that are not believed", () => {
  pythonTest("a pid that does not hold the channel: nobody is adopted or signalled", async () => {
    const emperor = await governForkServer("stranger");
    const base = await emperor.vassalWith("base.ini", { loyal: 1 });
    emperor.put("one.ini", LOYAL);
    await emperor.logged(
      new RegExp(`names process ${base.pid}, which does not hold the channel of this vassal`),
    );
    emperor.remove("one.ini");
    await emperor.forgotten("one.ini");
    await emperor.vassalWith("base.ini", { pid: base.pid, loyal: 1 });
  });

  pythonTest("the pid of another vassal", async () => {
    const emperor = await governForkServer("twice");
    await emperor.vassalWith("base.ini", { loyal: 1 });
    emperor.put("one.ini", LOYAL);
    const one = await emperor.vassalWith("one.ini", { loyal: 1, adopted: 1 });
    emperor.put("two.ini", LOYAL);
    await emperor.logged(new RegExp(`names process ${one.pid}, which does not hold the channel`));
    emperor.remove("two.ini");
    await emperor.forgotten("two.ini");
    await emperor.vassalWith("one.ini", { pid: one.pid, loyal: 1 });
  });
});

programTest(["python3"], true)(
  "in tyrant mode only processes of the vassal's owner are taken",
  async () => {
    const run = newRun();
    const emperor = await governForkServer("good", ["--emperor-tyrant"], run, 20_001);
    await emperor.vassalWith("base.ini", { loyal: 1, uid: 20_001 });
    putOwned(run, "own.ini", 20_001);
    await emperor.vassalWith("own.ini", { loyal: 1, adopted: 1 });
    putOwned(run, "other.ini", 20_002);
    await emperor.logged(/vassal other\.ini: .*as another user than its owner 20002/);
    await emperor.vassalWith("other.ini", { pid: -1, reason: "exiled" });
  },
);

interface BadServer {
  readonly what: string;
  readonly behave: (socket: Socket) => void;
  readonly message: RegExp;
}

const BAD: readonly BadServer[] = [
  { what: "hangs", behave: () => undefined, message: /gave no answer within 1000 ms/ },
  { what: "hangs up", behave: (socket) => socket.end(), message: /without an answer|broke off/ },
  {
    what: "answers garbage",
    behave: (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
    message: /something that is no pid/,
  },
  {
    what: "answers half a packet",
    behave: (socket) => socket.end(Buffer.from([35, 9, 0, 0, 3, 0])),
    message: /without an answer/,
  },
  {
    what: "names no process at all",
    behave: (socket) => socket.end(Buffer.from("#\u000b\0\0\u0003\0pid\u0004\0-001", "latin1")),
    message: /something that is no pid/,
  },
];

test.each(BAD)("a fork server that $what holds up nobody else", async ({ behave, message }) => {
  const run = newRun();
  const path = join(run.path, "bad.sock");
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => behave(socket));
  }).listen(path);
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const emperor = await startEmperor(
    {
      vassals: { "one.ini": LOYAL, "plain.ini": LOYAL },
      args: [
        ...["--emperor-use-fork-server", path, "--vassal-fork-base", "plain.ini"],
        ...["--emperor-fork-server-timeout", "1"],
      ],
    },
    run,
  );
  await emperor.vassalWith("plain.ini", { loyal: 1 });
  await emperor.logged(message);
  await emperor.vassalWith("one.ini", { pid: -1, adopted: 0 });
  expect(emperor.starts("one.ini")).toBe(0);
});

test("a fork server that is not there is waited for, and the vassal keeps a clean record", async () => {
  const emperor = await startEmperor({
    vassals: { "one.ini": LOYAL },
    args: ["--emperor-use-fork-server", "{dir}/nobody.sock"],
  });
  await emperor.logged(/the fork server .*nobody\.sock cannot be reached: ENOENT/);
  await emperor.vassalWith("one.ini", { state: "queued", reason: "system", crashes: 0 });
  expect(await emperor.blacklisted("one.ini")).toBeUndefined();
});

test("orphans of vassals are adopted, and their corpses taken away", async () => {
  const run = newRun();
  const wrapper = join(run.path, "leaves-orphan.sh");
  // The middle shell ends at once, so that the sleeper loses its parent.
  writeFileSync(
    wrapper,
    `#!/bin/sh\n(setsid sh -c 'echo $$ > "${run.path}/orphan"; read line < "${run.path}/go"' &)\nexec ${quoted(inject("fixtureVassal"))} "$@"\n`,
  );
  chmodSync(wrapper, 0o755);
  execFileSync("mkfifo", [join(run.path, "go")]);
  const emperor = await startEmperor(
    { vassals: { "a.ini": LOYAL }, wrapper, args: ["--emperor-subreaper"] },
    run,
  );
  await emperor.vassalWith("a.ini", { loyal: 1 });
  const pid = await emperor.wait("the orphan to be ours", () => {
    const found = Number(readFileSync(join(run.path, "orphan"), "utf8"));
    return found > 1 && processInfo(found)?.parent === emperor.pid && found;
  });
  writeFileSync(join(run.path, "go"), "on\n");
  await emperor.wait("the corpse to be taken", () => processInfo(pid) === undefined && true);
});
