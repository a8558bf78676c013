/** Walls that cannot be built: each refusal says what, where and why, and the vassal ends with 1. */
import { mkdirSync } from "node:fs";
import { expect, it } from "vitest";
import { otherUserTest, rootTest } from "../harness/privileges.ts";
import { VassalFolder, get } from "./vassal-harness.ts";

const APP = "export default (_request, response) => response.end(String(process.getuid()));";

/** What is refused before anything is started, whoever asks. */
it.each([
  [
    "unshare = pid,moon",
    /app\.ini:3: option "unshare": there is no namespace "moon" \(known: ipc, /,
  ],
  ["cap = fly", /option "cap": there is no capability "fly"/],
  ["pivot-root = /x", /needs NEW OLD/],
  ["cgroup-opt = pids.max", /needs FILE=VALUE/],
  ["cgroup-opt = ../x=1", /needs FILE=VALUE/],
  ["limit-as = lots", /limit-as/],
  ["limit-nproc = -1", /limit-nproc/],
  ["max-fd = 0", /max-fd/],
  ["prio = 30", /prio/],
  ["limit-as = 100", /limit-as = 100 is too little: Node reserves \d+ MB/],
  ["keep-mount = /x", /"keep-mount" is not served: it belongs to namespace/],
  ["immediate-uid = daemon", /"immediate-uid" is not served/],
])("refuses %s", async (line, message) => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini(`${line}\nnode-app = app.mjs`);
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(vassal.log).toMatch(message);
  expect(vassal.bytes).toEqual([]);
});

rootTest("refuses what is not there", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("file", "");
  mkdirSync(folder.file("empty"));
  for (const [lines, message] of [
    ["uid = no-such-user", /uid = no-such-user: there is no such user; nothing was started/],
    ["gid = no-such-group", /there is no such group/],
    ["uid = daemon\nadd-gid = no-such-group", /add-gid = no-such-group: there is no such group/],
    ["chroot = /no/such", /app\.ini:3: chroot = \/no\/such is not possible: ENOENT/],
    [`chroot = ${folder.file("file")}`, /is not possible: it is no directory/],
    [`chroot = ${folder.file("empty")}`, /node is not in the new root, where the runtime needs it/],
    [`chroot = ${folder.file("empty")}\ncommand = sleep 1`, /there is no \/proc in the new root/],
    ["unshare = mount\npivot-root = /no/such old", /pivot-root = .* is not possible .*ENOENT/],
    [`unshare = mount\npivot-root = ${folder.file("empty")} old`, /NEW has to be a mount point/],
    ["setns = /etc/passwd", /setns: \/etc\/passwd is no namespace/],
    ["cgroup = /no/such/group", /cgroup \/no\/such\/group cannot be created: ENOENT/],
    [`cgroup = ${folder.file("empty")}`, /cannot be entered: ENOENT/],
    [`cgroup = ${folder.file("empty")}\ncgroup-opt = x=1`, /x cannot be set to 1: ENOENT/],
  ] as const) {
    folder.ini(lines.includes("command") ? lines : `${lines}\nnode-app = app.mjs`);
    const vassal = folder.start();
    expect(await vassal.ended()).toEqual({ code: 1, signal: null });
    expect(vassal.log).toMatch(message);
    expect(vassal.bytes).toEqual([]);
  }
});

otherUserTest("says why a plain user has to do without", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  for (const [line, call] of [
    ["chroot = /tmp", "chroot"],
    ["pivot-root = /tmp old", "pivot_root"],
    ["unshare = net", "unshare"],
    ["unshare2 = net", "unshare"],
    ["cap = chown", "capset"],
    ["setns = /proc/1/ns/net", "setns"],
  ] as const) {
    folder.ini(`${line}\nnode-app = app.mjs`);
    const vassal = folder.start({ uid: 65534 });
    expect(await vassal.ended()).toEqual({ code: 1, signal: null });
    const option = line.split(" ")[0] ?? "";
    expect(vassal.log).toContain(
      `cannot ${call}() as non-root user: "${option}" needs a vassal that is started as root (this process runs with uid 65534)`,
    );
  }
  // Their names say nothing to somebody who may not change them: as in uWSGI.
  folder.ini("uid = daemon\nadd-gid = mail\nnode-app = app.mjs");
  const vassal = folder.start({ uid: 65534 });
  await vassal.accepting();
  expect(vassal.log).toContain("add-gid has no effect: this process is not root");
  expect((await get(folder.url)).body).toBe("65534");
  vassal.send(0);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
});
