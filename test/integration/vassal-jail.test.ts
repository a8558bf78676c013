/**
 * Walls that a vassal builds around itself: namespaces, cgroups, capabilities, groups, limits. What is seen
 * is what its app sees of itself.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmdirSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { isRoot, otherUserTest, realUwsgi, rootTest, uwsgiTest } from "../harness/privileges.ts";
import { needing } from "../../linux/test/privileges.ts";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, get } from "./vassal-harness.ts";
import { APP, look, start, stop } from "./vassal-jail-harness.ts";
import type { Seen } from "./vassal-jail-harness.ts";

otherUserTest(
  "unshares in one process with one pid, and only then runs the post-jail hooks",
  async () => {
    await using folder = await VassalFolder.create();
    const name = hostname();
    folder.write("trace", "");
    const phases = ["asap", "pre-jail", "in-jail", "post-jail", "as-root", "as-user", "pre-app"];
    const vassal = await start(
      folder,
      `unshare = uts,ipc\nunshare = mount\nhook-post-jail = hostname:inside\nuid = daemon\n${phases
        .map((phase) => `hook-${phase} = appendn:%dtrace ${phase}`)
        .join("\n")}\nhook-as-root = chmod:%dtrace 666`,
    );
    const seen = await look(folder);
    expect(seen).toMatchObject({ pid: vassal.pid, hostname: "inside", uid: 1, gid: 1 });
    expect(seen.namespaces.mnt).not.toBe(readlinkSync("/proc/self/ns/mnt"));
    expect(seen.namespaces.net).toBe(readlinkSync("/proc/self/ns/net"));
    expect(hostname()).toBe(name);
    expect(folder.processes()).toEqual([vassal.pid]);
    expect(readFileSync(folder.file("trace"), "utf8").trim().split("\n")).toEqual(phases);
    vassal.send(1);
    await vassal.accepting(2);
    expect(await look(folder)).toEqual(seen);
    await stop(vassal, folder);
  },
);

otherUserTest(
  "a pid namespace has a guardian, which ends as the vassal does, and takes it along",
  async () => {
    await using folder = await VassalFolder.create();
    const vassal = await start(folder, "unshare = pid\nuid = daemon\nprocesses = 2");
    // A worker; the master is number 1.
    expect((await look(folder)).pid).toBeGreaterThan(1);
    expect(readFileSync(`/proc/${vassal.pid}/comm`, "utf8").trim()).toBe("enter");
    vassal.send(1);
    await vassal.accepting(2);
    vassal.child.kill("SIGTERM");
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
    await folder.untilAlone();

    const second = folder.start();
    await second.accepting();
    second.child.kill("SIGKILL");
    expect(await second.ended()).toEqual({ code: null, signal: "SIGKILL" });
    await folder.untilAlone();
  },
);

rootTest("a command in a pid namespace is seen to end", async () => {
  await using folder = await VassalFolder.create();
  folder.ini("unshare = pid\ncommand = sh -c 'echo number $$; exit 7'");
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 7, signal: null });
  expect(vassal.log).toMatch(/number \d{1,2}\n/);
  await folder.untilAlone();
});

otherUserTest("a user namespace maps everybody, so that uid still works in there", async () => {
  await using folder = await VassalFolder.create();
  const vassal = await start(
    folder,
    "unshare = user,uts\nhook-post-jail = hostname:inside\nuid = daemon",
  );
  const seen = await look(folder);
  expect(seen).toMatchObject({ pid: vassal.pid, uid: 1, hostname: "inside" });
  expect(seen.namespaces.user).not.toBe(readlinkSync("/proc/self/ns/user"));
  expect(seen.uidMap).toMatch(/^0 +0 +4294967295$/);
  await stop(vassal, folder);
});

otherUserTest("a plain user gets a user namespace, and is root in there", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini("unshare = user,uts,pid\nhook-post-jail = hostname:own\nnode-app = app.mjs");
  const vassal = folder.start({ uid: 65534 });
  await vassal.accepting();
  expect(await look(folder)).toMatchObject({ pid: 1, uid: 0, hostname: "own" });
  await stop(vassal, folder);
});

otherUserTest("cap: what is left stays with workers of another user, and no more", async () => {
  await using folder = await VassalFolder.create();
  for (const more of ["processes = 2", "processes = 1"]) {
    const vassal = await start(folder, `cap = net_bind_service,chown\nuid = daemon\n${more}`);
    expect(vassal.log).toContain("capabilities: chown, net_bind_service");
    expect(await look(folder)).toMatchObject({
      uid: 1,
      effective: "0000000000000401",
      bounding: "0000000000000401",
    });
    await stop(vassal, folder);
  }
  const root = await start(folder, "cap = chown,setuid\nprocesses = 2");
  expect(await look(folder)).toMatchObject({ uid: 0, effective: "0000000000000081" });
  await stop(root, folder);
});

otherUserTest("groups and limits", async () => {
  await using folder = await VassalFolder.create();
  const vassal = await start(
    folder,
    "uid = daemon\ngid = mail\nadd-gid = 33\nadd-gid = adm\nlimit-nproc = 4000\nmax-fd = 777\nno-new-privs = true\nprio = 3",
  );
  expect(await look(folder)).toMatchObject({
    uid: 1,
    gid: 8,
    groups: [4, 8, 33],
    processes: "4000",
    files: "777",
    noNewPrivs: "1",
  });
  await stop(vassal, folder);
});

rootTest("limit-as of a command is the command's, not the runtime's", async () => {
  await using folder = await VassalFolder.create();
  folder.ini("limit-as = 300\ncommand = sh -c 'ulimit -v; sleep 1000'");
  const vassal = folder.start();
  await vassal.untilLog(/^307200$/m);
  await stop(vassal, folder);
});

const unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
  existsSync(join(path, "cgroup.procs")),
);
const cgroupTest = needing(isRoot && unified !== undefined, "needs root and cgroup v2");

cgroupTest("cgroup: created, set and entered with all threads", async () => {
  const base = unified ?? "";
  const cgroup = mkdtempSync(join(base, "vassal-test-"));
  try {
    await using folder = await VassalFolder.create();
    const vassal = await start(
      folder,
      `cgroup = ${cgroup}/own\ncgroup-dir-mode = 755\ncgroup-opt = cgroup.max.depth=5`,
    );
    expect((await look(folder)).cgroups).toContain(`${cgroup.slice(base.length)}/own`);
    expect(readFileSync(`${cgroup}/own/cgroup.procs`, "utf8")).toBe(`${vassal.pid}\n`);
    expect(readFileSync(`${cgroup}/own/cgroup.max.depth`, "utf8")).toBe("5\n");
    expect(statSync(`${cgroup}/own`).mode & 0o777).toBe(0o755);
    await stop(vassal, folder);
  } finally {
    await waitFor("the cgroup to be empty", () => {
      if (existsSync(`${cgroup}/own`)) rmdirSync(`${cgroup}/own`);
      rmdirSync(cgroup);
      return true;
    });
  }
});

rootTest("setns: a file of another process's namespace", async () => {
  await using folder = await VassalFolder.create();
  await using other = await VassalFolder.create();
  const first = await start(other, "unshare = net,uts\nhook-post-jail = hostname:elsewhere");
  folder.write("app.mjs", APP);
  // In there is no interface to be asked on.
  folder.write(
    "app.ini",
    `[uwsgi]\nhttp-socket = ${folder.file("socket")}\nchmod-socket = 666\nsetns = /proc/${first.pid}/ns/net\nsetns = /proc/${first.pid}/ns/uts\nnode-app = app.mjs\n`,
  );
  const running = folder.start();
  await running.accepting();
  const { body } = await get({ socketPath: folder.file("socket"), path: "/" });
  const seen = JSON.parse(body) as Seen;
  expect(seen.hostname).toBe("elsewhere");
  expect(seen.namespaces.net).toBe(readlinkSync(`/proc/${first.pid}/ns/net`));
  await stop(running, folder);
  await stop(first, other);
});

(isRoot ? uwsgiTest : rootTest)("setns: the setns-socket of a uWSGI instance", async () => {
  await using folder = await VassalFolder.create();
  const socket = folder.file("ns.sock");
  const options = ["--unshare", "uts", "--hook-post-jail", "hostname:of-uwsgi", "--master"];
  const uwsgi = spawn(
    realUwsgi ?? "uwsgi",
    [...options, "--setns-socket", socket, "--http-socket", folder.file("other.sock")],
    { stdio: "ignore" },
  );
  try {
    const vassal = await start(folder, `setns = ${socket}`);
    expect(await look(folder)).toMatchObject({ pid: vassal.pid, hostname: "of-uwsgi" });
    await stop(vassal, folder);
  } finally {
    const gone = once(uwsgi, "exit");
    uwsgi.kill("SIGINT");
    await gone;
  }
});
