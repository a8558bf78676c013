import { constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ended,
  eventually,
  freshDirectory,
  isGone,
  killed,
  openDescriptors,
  PLAIN,
  recorder,
  removeDirectory,
  shell,
  start,
  zombies,
} from "../test/harness.ts";
import { isRoot, ownGid, ownUid, rootTest, userNamespaceTest } from "../test/privileges.ts";
import { CLONE_NEW, close, MOUNT, openFile, signalProcess, spawn } from "./index.ts";
import type { ExitStatus, SetupAction, SpawnOptions, WatchEvent } from "./index.ts";

type StatusEvent = Extract<WatchEvent, { kind: "status" }>;

let directory = "";
let descriptors: string[] = [];
beforeEach(() => {
  descriptors = openDescriptors();
  directory = freshDirectory();
});
afterEach(() => {
  removeDirectory(directory);
  expect(openDescriptors()).toEqual(descriptors);
  expect(zombies()).toEqual([]);
});

/** What the status pipe said, and how the process ended. */
async function run(options: SpawnOptions): Promise<{ status: StatusEvent; exit: ExitStatus }> {
  const child = start({ ...options, mode: "copied" });
  const status = await statusOf(child.statusFd ?? -1);
  return { status, exit: await ended(child) };
}

async function statusOf(fd: number): Promise<StatusEvent> {
  const { watcher, events, until } = recorder();
  try {
    watcher.addStatus(fd, 1);
    await until((seen) => seen.length > 0);
    return events[0] as StatusEvent;
  } finally {
    watcher.close();
    close(fd);
  }
}

/** What a plain user may map: itself, and no groups besides. */
const OWN_MAP = { uidMap: `0 ${ownUid} 1\n`, gidMap: `0 ${ownGid} 1\n`, denySetgroups: true };

function inDirectory(line: string, ...actions: readonly SetupAction[]): SpawnOptions {
  return shell(line, { cwd: directory, actions });
}

describe("a copied spawn", () => {
  test("reports the program that was executed", async () => {
    const programs = [
      { path: "/nonexistent", argv0: "" },
      { path: "/bin/sh", argv0: "sh" },
    ];
    const { status, exit } = await run({ ...shell("exit 5"), programs });
    expect(status).toEqual({ kind: "status", token: 1, program: 1 });
    expect(exit.code).toBe(5);
  });

  test.each<[string, Partial<SpawnOptions>, object]>([
    [
      "exec",
      { programs: [{ path: "/nonexistent", argv0: "" }] },
      { stage: "exec", code: "ENOENT", index: 0 },
    ],
    ["cwd", { cwd: "/nonexistent" }, { stage: "cwd", code: "ENOENT" }],
    ["descriptors", { fds: [{ from: 999_999, to: 0 }] }, { stage: "descriptors", code: "EBADF" }],
    [
      "action",
      { actions: [{ kind: "unlink", path: "/nonexistent" }] },
      { stage: "action", code: "ENOENT", index: 0 },
    ],
    [
      "before the drop",
      { beforeDropActions: [{ kind: "chdir", path: "/nonexistent" }] },
      { stage: "before-drop-action", index: 0 },
    ],
    [
      "a command",
      { actions: [{ kind: "shell", shell: "/bin/sh", line: "exit 3", tolerant: false }] },
      { stage: "action", errno: 0, code: "", index: 0, waitStatus: 3 << 8 },
    ],
    [
      "a missing shell",
      { actions: [{ kind: "shell", shell: "/nonexistent", line: "", tolerant: false }] },
      { stage: "action", code: "ENOENT", waitStatus: 0 },
    ],
  ])("reports a failure: %s", async (_, options, expected) => {
    const { status } = await run({ ...PLAIN, ...options });
    expect(status.program).toBe(-1);
    expect(status.failure).toMatchObject(expected);
  });

  test("killed in the middle of a command says where it was", async () => {
    const marker = join(directory, "started");
    const child = start({
      ...inDirectory("exit 0", {
        kind: "shell",
        shell: "/bin/sh",
        line: `echo $$ >${marker}.new; mv ${marker}.new ${marker}; exec sleep 1000`,
        tolerant: false,
      }),
      mode: "copied",
    });
    await eventually(() => existsSync(marker), "the command's marker");
    const command = Number(readFileSync(marker, "utf8"));
    signalProcess(child.pidfd, 9);
    const status = await statusOf(child.statusFd ?? -1);
    expect(status.failure).toMatchObject({ stage: "action", index: 0, errno: 0 });
    expect((await ended(child)).signal).toBe(9);
    // The command went with it.
    await eventually(() => isGone(command), "end of the command");
  });
});

describe("actions", () => {
  test("change what the program finds", async () => {
    const file = join(directory, "file");
    const { status, exit } = await run(
      inDirectory(
        'test "$(cat ../file)" = "one two" && test "$PWD" = "$EXPECTED" && test -z "${PATH+x}"',
        { kind: "write", path: file, text: "one ", append: false },
        { kind: "write", path: file, text: "two", append: true },
        { kind: "chmod", path: file, mode: 0o604 },
        { kind: "mkdir", path: "sub", mode: 0o700 },
        { kind: "chdir", path: "sub" },
        { kind: "putenv", assignment: `EXPECTED=${directory}/sub` },
        { kind: "putenv", assignment: "PATH" },
        { kind: "exit", code: 0 },
      ),
    );
    // The exit action counts as the program's own exit.
    expect(status).toEqual({ kind: "status", token: 1, program: -1 });
    expect(exit.code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe("one two");
    expect(statSync(file)).toMatchObject({ mode: 0o100604 });
    const { exit: second } = await run(
      inDirectory(
        'test "$PWD" = "$EXPECTED" && test "$A" = 2',
        { kind: "unlink", path: file },
        { kind: "chdir", path: "sub" },
        { kind: "putenv", assignment: "A=1" },
        { kind: "putenv", assignment: "A=2" },
        { kind: "putenv", assignment: `EXPECTED=${directory}/sub` },
      ),
    );
    expect(second.code).toBe(0);
    expect(existsSync(file)).toBe(false);
  });

  rootTest("give files away", async () => {
    const file = join(directory, "file");
    writeFileSync(file, "");
    const { exit } = await run(
      inDirectory("exit 0", { kind: "chown", path: file, uid: 12, gid: 34 }),
    );
    expect(exit.code).toBe(0);
    expect(statSync(file)).toMatchObject({ uid: 12, gid: 34 });
  });

  rootTest(
    "commands run as the vassal's children: its user, environment, directory and standard descriptors only",
    async () => {
      const out = join(directory, "out");
      writeFileSync(out, "", { mode: 0o666 });
      const fd = openFile(out, constants.O_WRONLY | constants.O_APPEND);
      const { exit } = await run({
        ...inDirectory("exit 0", {
          kind: "shell",
          shell: "/bin/sh",
          line: "echo $PPID $(id -u) $PWD $NAME $(ls /proc/self/fd | tr '\\n' ' ')",
          tolerant: false,
        }),
        env: ["PATH=/usr/bin:/bin", "NAME=value"],
        fds: [
          { from: -1, to: 0 },
          { from: -1, to: 2 },
          { from: -1, to: 9 },
          { from: fd, to: 1 },
        ],
        credentials: { uid: 65534, gid: 65534, groups: [] },
        namespaces: CLONE_NEW.pid,
        cwd: "/",
      });
      close(fd);
      expect(exit.code).toBe(0);
      // The fourth descriptor is the one with which ls reads the directory.
      expect(readFileSync(out, "utf8").trim()).toBe("1 65534 / value 0 1 2 3");
    },
  );

  test("tolerant ones go on, and their failures are told", async () => {
    const { status, exit } = await run({
      ...inDirectory(
        "exit 4",
        { kind: "shell", shell: "/bin/sh", line: "exit 1", tolerant: true },
        { kind: "argv", argv: ["/nonexistent"], tolerant: true },
        {
          kind: "argv",
          argv: ["/bin/sh", "-c", 'test "$ONLY" = 1 && test -z "$NAME"'],
          env: ["ONLY=1"],
          tolerant: true,
        },
      ),
      env: ["PATH=/usr/bin:/bin", "NAME=value"],
    });
    expect(status.failure).toBeUndefined();
    expect(status.tolerated).toMatchObject([
      { index: 0, waitStatus: 256 },
      { index: 1, code: "ENOENT" },
    ]);
    expect(exit.code).toBe(4);
  });

  test("writing to a fifo nobody reads does not wait when told so", async () => {
    const fifo = join(directory, "fifo");
    const { exit } = await run(shell(`mkfifo ${fifo}`));
    expect(exit.code).toBe(0);
    const { status } = await run(
      inDirectory("", { kind: "write", path: fifo, text: "x", append: false, nonBlocking: true }),
    );
    expect(status.failure).toMatchObject({ stage: "action", code: "ENXIO" });
  });

  userNamespaceTest("mount, umount and name the host in namespaces of their own", async () => {
    const target = join(directory, "mounted");
    mkdirSync(target);
    const { status, exit } = await run({
      ...shell("test $(hostname) = vassal.example && test -e inside"),
      namespaces: CLONE_NEW.mount | CLONE_NEW.uts | (isRoot ? 0 : CLONE_NEW.user),
      ...(isRoot ? {} : { userMap: OWN_MAP }),
      makeMountsPrivate: true,
      beforeDropActions: [
        { kind: "hostname", name: "vassal.example" },
        {
          kind: "mount",
          fstype: "tmpfs",
          source: "none",
          target,
          flags: MOUNT.nosuid | MOUNT.nodev,
          data: "size=64k",
        },
        { kind: "mount", fstype: "tmpfs", source: "none", target, flags: 0, data: "" },
        { kind: "umount", target, flags: 0 },
        { kind: "write", path: join(target, "inside"), text: "", append: false },
      ],
      cwd: target,
    });
    expect(status.failure).toBeUndefined();
    expect(exit.code).toBe(0);
    expect(existsSync(join(target, "inside"))).toBe(false);
  });
});

describe("user namespaces", () => {
  const range = { uidMap: "0 100000 100\n", gidMap: "0 100000 100\n", denySetgroups: false };

  rootTest("are mapped before the child goes on", async () => {
    const { status, exit } = await run({
      ...shell("test $(id -u):$(id -g):$(id -G) = 3:4:4 && grep -q ' 100000 ' /proc/self/uid_map"),
      namespaces: CLONE_NEW.user,
      userMap: range,
      credentials: { uid: 3, gid: 4, groups: [] },
    });
    expect(status).toEqual({ kind: "status", token: 1, program: 0 });
    expect(exit.code).toBe(0);
  });

  userNamespaceTest("setgroups can be denied", async () => {
    const { exit } = await run({
      ...shell("grep -q deny /proc/self/setgroups && test $(id -u) = 0"),
      namespaces: CLONE_NEW.user,
      userMap: isRoot ? { ...range, denySetgroups: true } : OWN_MAP,
      credentials: { uid: 0, gid: 0, groups: [] },
    });
    expect(exit.code).toBe(0);
  });

  userNamespaceTest("a map that the kernel refuses is a failure without a process", async () => {
    const options: SpawnOptions = {
      ...PLAIN,
      mode: "copied",
      namespaces: CLONE_NEW.user,
      userMap: { ...(isRoot ? range : OWN_MAP), gidMap: "garbage" },
    };
    expect(spawn(options)).toMatchObject({
      ok: false,
      stage: "user-namespace",
      code: "EINVAL",
      index: 2,
    });
  });
});

test("two hundred copied spawns leave nothing", async () => {
  for (let round = 0; round < 200; round += 1) {
    const child = start({
      ...PLAIN,
      mode: "copied",
      ...(round % 2 === 0 ? { cwd: "/nonexistent" } : {}),
    });
    close(child.statusFd ?? -1);
    if (round % 3 === 0) await killed(child);
    else await ended(child);
  }
});
