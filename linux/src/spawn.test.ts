import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  addonProgram,
  ended,
  eventually,
  freshDirectory,
  isGone,
  killed,
  openDescriptors,
  outputOf,
  PLAIN,
  removeDirectory,
  shell,
  start,
  zombies,
} from "../test/harness.ts";
import { isRoot, needing, rootTest } from "../test/privileges.ts";
import {
  CLONE_NEW,
  capabilityNumber,
  getCapabilities,
  getrlimit,
  LISTEN_PID_OF_CHILD,
  RLIMIT,
  setrlimit,
  spawn,
  SPAWN_STAGES,
} from "./index.ts";
import { packPlan } from "./plan.ts";
import type { SpawnFailure, SpawnOptions } from "./index.ts";

let directory = "";
beforeEach(() => {
  directory = freshDirectory();
});
afterEach(() => {
  removeDirectory(directory);
});

/** The first of these opens a pidfd of this process, which stays for the next ones. */
beforeAll(async () => {
  await ended(start({ ...PLAIN, parentDeathSignal: 9 }));
});

/** The failure of a shared spawn, after which neither a process nor a descriptor may be left. */
function failure(options: SpawnOptions): SpawnFailure {
  const before = openDescriptors();
  const result = spawn(options);
  expect(result.ok).toBe(false);
  expect(openDescriptors()).toEqual(before);
  expect(zombies()).toEqual([]);
  return result as SpawnFailure;
}

async function stdout(line: string, extra: Partial<SpawnOptions> = {}): Promise<string> {
  const { text, status } = await outputOf(shell(line, extra));
  expect(status).toMatchObject({ code: 0, signal: null });
  return text.trim();
}

describe("a shared spawn", () => {
  test("gives a pid and a pidfd, and the exit code goes to whoever reaps", async () => {
    const child = start(shell("exit 7"));
    expect(child.program).toBe(0);
    expect(readFileSync(`/proc/self/fdinfo/${child.pidfd}`, "utf8")).toMatch(
      new RegExp(`^Pid:\\s+${child.pid}$`, "m"),
    );
    expect(await ended(child)).toMatchObject({ code: 7, signal: null, coreDumped: false });
  });

  test("passes arguments and environment as they are", async () => {
    const options: SpawnOptions = {
      ...PLAIN,
      programs: [{ path: "/bin/sh", argv0: "my name" }],
      args: ["-c", 'printf "%s|" "$0" "$@"; env -0 | tr "\\0" ";"', "zero", "", "ä ü", "a\nb"],
      env: ["PATH=/usr/bin:/bin", "EMPTY=", "TEXT=a=b c"],
    };
    const { text } = await outputOf(options);
    expect(text).toContain("zero||ä ü|a\nb|");
    expect(text).toContain("EMPTY=;");
    expect(text).toContain("TEXT=a=b c;");
    expect(text).not.toContain("HOME=");
  });

  test("tries the programs in order, and the shell for a script without interpreter", async () => {
    const script = join(directory, "script");
    writeFileSync(script, "exit $1\n");
    chmodSync(script, 0o755);
    const chain = [
      { path: join(directory, "none"), argv0: "none" },
      { path: "/etc/passwd", argv0: "passwd" },
      { path: script, argv0: "script" },
    ];
    const child = start({ ...PLAIN, programs: chain, args: ["13"] });
    expect(child.program).toBe(2);
    expect((await ended(child)).code).toBe(13);
  });

  test("leaves only the descriptors of the plan, overlaps included", async () => {
    const first = openSync("/proc/version", "r");
    const second = openSync("/proc/uptime", "r");
    try {
      const fds = [
        ...PLAIN.fds,
        { from: first, to: second },
        { from: second, to: first },
        { from: first, to: 200 },
      ];
      const { text } = await outputOf({
        ...PLAIN,
        fds,
        programs: [{ path: "/bin/ls", argv0: "ls" }],
        args: ["-l", "/proc/self/fd"],
      });
      const links = [...text.matchAll(/ (\d+) -> (\S+)/g)].map(
        ([, fd, target]) => `${fd} ${target}`,
      );
      expect(links).toContain(`${second} /proc/version`);
      expect(links).toContain(`${first} /proc/uptime`);
      expect(links).toContain("200 /proc/version");
      expect(links).toContain("0 /dev/null");
      // 0, 1, 2, the three above, and the one with which ls reads the directory.
      expect(links).toHaveLength(7);
    } finally {
      closeSync(first);
      closeSync(second);
    }
  });

  test("resets ignored and blocked signals", async () => {
    // Node ignores SIGPIPE (13).
    const ignored = /^SigIgn:\t(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
    expect((BigInt(`0x${ignored}`) >> 12n) & 1n).toBe(1n);
    expect(await stdout("grep -E '^Sig(Ign|Blk)' /proc/self/status")).toMatch(
      /^SigBlk:\t0+\nSigIgn:\t0+$/,
    );
    expect(readFileSync("/proc/self/status", "utf8")).toMatch(/^SigBlk:\t0+$/m);
  });

  test("starts a session, sets limits, umask and working directory", async () => {
    const line =
      "echo $(cut -d ' ' -f 6 /proc/$$/stat) $$ $(ulimit -Sn) $(ulimit -Hn) $(umask) $PWD";
    const limits = [{ resource: RLIMIT.nofile, soft: 100, hard: 200 }];
    const [sid, pid, ...rest] = (
      await stdout(line, { rlimits: limits, umask: 0o027, cwd: directory })
    ).split(" ");
    expect(sid).toBe(pid);
    expect(rest).toEqual(["100", "200", "0027", directory]);
    const unlimited = { resource: RLIMIT.core, soft: 0, hard: Infinity };
    expect(await stdout("ulimit -Hc", { rlimits: [unlimited] })).toBe("unlimited");
  });

  test("enters lateCwd after cwd", async () => {
    mkdirSync(join(directory, "late"));
    expect(await stdout("pwd", { cwd: directory, lateCwd: "late" })).toBe(join(directory, "late"));
  });

  rootTest("changes all ids, replaces the groups, and keeps the parent-death signal", async () => {
    const credentials = { uid: 65534, gid: 65533, groups: [65532, 65531] };
    const status = await stdout("cat /proc/self/status", { credentials, parentDeathSignal: 9 });
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(status).toMatch(/^Gid:\t65533\t65533\t65533\t65533$/m);
    expect(status).toMatch(/^Groups:\t65531 65532 *$/m);
    expect(status).toMatch(/^CapPrm:\t0+$/m);
  });

  rootTest(
    "raises ambient capabilities through the change of user, limits the bounding set, forbids new privileges",
    async () => {
      const bind = capabilityNumber("CAP_NET_BIND_SERVICE") ?? -1;
      const status = await stdout("cat /proc/self/status", {
        credentials: { uid: 65534, gid: 65534, groups: [] },
        capabilityAmbient: [bind],
        capabilityBound: [bind, 5],
        noNewPrivs: true,
      });
      expect(status).toMatch(/^CapEff:\t0{13}400$/m);
      expect(status).toMatch(/^CapAmb:\t0{13}400$/m);
      expect(status).toMatch(/^CapBnd:\t0{13}420$/m);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      const asRoot = await stdout("cat /proc/self/status", {
        capabilityBound: [bind],
        securebits: 0,
      });
      expect(asRoot).toMatch(/^CapPrm:\t0{13}400$/m);
      // The child's sets are its own.
      expect(getCapabilities().bounding.length).toBeGreaterThan(30);
    },
  );

  rootTest("makes every kind of namespace", async () => {
    const kinds = ["mnt", "uts", "ipc", "net", "cgroup"] as const;
    const line = `readlink ${kinds.map((kind) => `/proc/self/ns/${kind}`).join(" ")}; echo $$`;
    const namespaces =
      CLONE_NEW.mount |
      CLONE_NEW.uts |
      CLONE_NEW.ipc |
      CLONE_NEW.net |
      CLONE_NEW.cgroup |
      CLONE_NEW.pid;
    const inside = (
      await stdout(line, {
        namespaces,
        makeMountsPrivate: true,
        mountProc: true,
        parentDeathSignal: 9,
      })
    ).split("\n");
    const outside = execFileSync(
      "readlink",
      kinds.map((kind) => `/proc/self/ns/${kind}`),
      { encoding: "utf8" },
    ).split("\n");
    kinds.forEach((_, index) => expect(inside[index]).not.toBe(outside[index]));
    expect(inside[kinds.length]).toBe("1");
    // The new /proc is nobody else's.
    expect(existsSync(`/proc/${process.pid}`)).toBe(true);
  });

  rootTest("dies with its parent although the user changed in between", async () => {
    const credentials = { uid: 65534, gid: 65534, groups: [] };
    const nothing = [0, 1, 2].map((to) => ({ from: -1, to }));
    const plan = packPlan(
      shell("exec sleep 1000", { credentials, parentDeathSignal: 9, fds: nothing }),
    );
    const out = join(directory, "out");
    const fd = openSync(out, "w");
    const program = addonProgram(
      `const [numbers, text] = JSON.parse(process.argv[1]);
       const result = native.spawn(Float64Array.from(numbers), text);
       process.stdout.write(JSON.stringify([...result]) + "\\n");
       setInterval(() => {}, 1000);`,
      {
        fds: [
          { from: -1, to: 0 },
          { from: fd, to: 1 },
          { from: 2, to: 2 },
        ],
      },
    );
    const parent = start({
      ...program,
      args: [...program.args, JSON.stringify([[...(plan?.numbers ?? [])], plan?.text])],
    });
    closeSync(fd);
    try {
      await eventually(() => readFileSync(out, "utf8").includes("\n"), "the parent's answer");
    } finally {
      await killed(parent);
    }
    const [ok, pid = 0] = JSON.parse(readFileSync(out, "utf8")) as number[];
    expect(ok).toBe(1);
    await eventually(() => isGone(pid), `end of grandchild ${pid}`);
  });
});

describe("cgroups", () => {
  test("are joined by writing into the given files, before anything else happens", async () => {
    const file = join(directory, "tasks");
    writeFileSync(file, "");
    expect((await ended(start({ ...PLAIN, cgroupFiles: [file] }))).code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe("0");
  });

  const unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
    existsSync(join(path, "cgroup.procs")),
  );
  const writable = unified !== undefined && isRoot;
  const cgroupTest = needing(writable, "needs root and cgroup v2");

  cgroupTest("version 2 are entered by the clone itself", async () => {
    const name = `linux-test-${process.pid}`;
    const path = join(unified ?? "", name);
    mkdirSync(path);
    const fd = openSync(path, "r");
    try {
      expect(await stdout("grep ^0:: /proc/self/cgroup", { cgroupFd: fd })).toMatch(
        new RegExp(`/${name}$`),
      );
    } finally {
      closeSync(fd);
      rmdirSync(path);
    }
    expect(existsSync(path)).toBe(false);
  });
});

describe("a failure says stage and errno", () => {
  const nothing = "/nonexistent/file";
  const cases: readonly [Partial<SpawnOptions>, Partial<SpawnFailure>][] = [
    [{ programs: [] }, { stage: "prepare", code: "EINVAL" }],
    [{ args: ["nul\0inside"] }, { stage: "prepare", code: "EINVAL" }],
    [{ actions: [{ kind: "chdir", path: "/" }] }, { stage: "prepare", code: "EINVAL" }],
    [
      { userMap: { uidMap: "", gidMap: "", denySetgroups: false } },
      { stage: "prepare", code: "EINVAL" },
    ],
    [{ namespaces: 0x0001_0000 }, { stage: "clone", code: "EINVAL" }],
    [{ cgroupFd: 0 }, { stage: "clone", code: "EBADF" }],
    [{ cgroupFiles: ["/dev/null", nothing] }, { stage: "cgroup", code: "ENOENT", index: 1 }],
    [
      { rlimits: [{ resource: 99, soft: 0, hard: 0 }] },
      { stage: "rlimit", code: "EINVAL", index: 0 },
    ],
    [
      { capabilityBound: [], securebits: 1 << 30 },
      { stage: isRoot ? "securebits" : "capability-bound", code: "EPERM" },
    ],
    [
      { parentDeathSignal: 64, fds: [{ from: 999_999, to: 0 }] },
      { stage: "descriptors", code: "EBADF" },
    ],
    [{ cwd: nothing }, { stage: "cwd", code: "ENOENT" }],
    [{ lateCwd: "/etc/passwd" }, { stage: "late-cwd", code: "ENOTDIR" }],
    [{ programs: [{ path: nothing, argv0: "" }] }, { stage: "exec", code: "ENOENT", index: 0 }],
    [
      {
        programs: [
          { path: "/etc", argv0: "" },
          { path: nothing, argv0: "" },
        ],
      },
      { stage: "exec", code: "EACCES", index: 0 },
    ],
  ];
  test.each(cases)("%j", (options, expected) => {
    const result = failure({ ...PLAIN, ...options });
    expect(result).toMatchObject(expected);
    expect(SPAWN_STAGES).toContain(result.stage);
    expect(result.errno).toBe((constants.errno as Record<string, number>)[result.code]);
  });

  rootTest("of a directory that only root may enter, because the user changed before", () => {
    const result = failure({
      ...PLAIN,
      credentials: { uid: 65534, gid: 65534, groups: [] },
      cwd: "/root",
    });
    expect(result).toMatchObject(
      statSync("/root").mode & 0o001 ? { stage: "exec" } : { stage: "cwd", code: "EACCES" },
    );
  });

  test("when no descriptor is left", () => {
    const before = getrlimit(RLIMIT.nofile);
    setrlimit(RLIMIT.nofile, { soft: 3, hard: before.hard });
    let shared;
    let copied;
    try {
      shared = spawn(PLAIN);
      copied = spawn({ ...PLAIN, mode: "copied" });
    } finally {
      setrlimit(RLIMIT.nofile, before);
    }
    expect(shared).toMatchObject({ ok: false, stage: "clone", code: "EMFILE" });
    expect(copied).toMatchObject({ ok: false, stage: "prepare", code: "EMFILE" });
  });
});

test("a thousand spawns, good and bad, leave no descriptor and no zombie", async () => {
  const before = openDescriptors();
  for (let round = 0; round < 50; round += 1) {
    const children = Array.from({ length: 10 }, () => start(PLAIN));
    for (let bad = 0; bad < 10; bad += 1)
      expect(spawn({ ...PLAIN, cwd: "/nonexistent" }).ok).toBe(false);
    for (const child of children) expect((await ended(child)).code).toBe(0);
  }
  expect(openDescriptors()).toEqual(before);
  expect(zombies()).toEqual([]);
});

describe("LISTEN_PID", () => {
  test.each(["shared", "copied"] as const)("is the child's own pid, %s", async (mode) => {
    const { text } = await outputOf(
      shell('echo "$LISTEN_PID $$ $LISTEN_FDS"', {
        env: ["LISTEN_FDS=2", LISTEN_PID_OF_CHILD, "PATH=/usr/bin:/bin"],
        mode,
      }),
    );
    expect(text).toMatch(/^(\d+) \1 2\n$/);
  });

  rootTest("as it is in its own pid namespace", async () => {
    const { text } = await outputOf(
      shell('echo "$LISTEN_PID"', { env: [LISTEN_PID_OF_CHILD], namespaces: CLONE_NEW.pid }),
    );
    expect(text).toBe("1\n");
  });
});
