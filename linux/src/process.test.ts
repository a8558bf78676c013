import { constants, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
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
} from "../test/harness.ts";
import {
  close,
  execve,
  flock,
  getrlimit,
  LinuxError,
  openFile,
  openPidfd,
  reap,
  RLIMIT,
  setChildSubreaper,
  setParentDeathSignal,
  setProcessName,
  setrlimit,
  signalGroup,
  signalProcess,
  unlock,
} from "./index.ts";

let directory = "";
let descriptors: string[] = [];
beforeEach(() => {
  descriptors = openDescriptors();
  directory = freshDirectory();
});
afterEach(() => {
  removeDirectory(directory);
  expect(openDescriptors()).toEqual(descriptors);
});

const fails = (code: string, step?: string) =>
  expect.objectContaining(step === undefined ? { code } : { code, step });

describe("reap", () => {
  test("tells code, signal, core and usage, once", async () => {
    const child = start(shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 200"));
    expect(reap(child.pidfd)).toBeUndefined();
    await eventually(() => isGone(child.pid), "the child's end");
    const status = reap(child.pidfd);
    expect(status).toMatchObject({ code: 200, signal: null, coreDumped: false });
    expect(status?.userMs).toBeGreaterThan(0);
    expect(status?.maxRssKb).toBeGreaterThan(100);
    expect(() => reap(child.pidfd)).toThrow(fails("ECHILD", "waitid"));
    close(child.pidfd);
    expect(await ended(start(shell("kill -TERM $$")))).toMatchObject({ code: null, signal: 15 });
  });
});

describe("signals", () => {
  test("reach the process behind the descriptor, and nobody once it is reaped", async () => {
    const child = start(shell("exec sleep 1000"));
    expect(signalProcess(child.pidfd, 0)).toBe(true);
    expect(() => signalProcess(child.pidfd, 999)).toThrow(fails("EINVAL"));
    expect(signalProcess(child.pidfd, 15)).toBe(true);
    await eventually(() => isGone(child.pid), "the child's end");
    expect(reap(child.pidfd)?.signal).toBe(15);
    expect(signalProcess(child.pidfd, 15)).toBe(false);
    close(child.pidfd);
  });

  test("reach a whole group", async () => {
    const out = join(directory, "pids");
    writeFileSync(out, "");
    const child = start(shell(`sleep 1000 & echo $! >${out}; wait`));
    await eventually(() => readFileSync(out, "utf8").includes("\n"), "the grandchild's pid");
    expect(signalGroup(child.pid, 9)).toBe(true);
    expect((await ended(child)).signal).toBe(9);
    await eventually(() => isGone(Number(readFileSync(out, "utf8"))), "the grandchild's end");
  });

  test("reach nobody in a group without members", async () => {
    const child = start(PLAIN);
    expect((await ended(child)).code).toBe(0);
    expect(signalGroup(child.pid, 9)).toBe(false);
  });

  test.each([1, 0, -1, -5])("never go to group %i", (pgid) => {
    expect(() => signalGroup(pgid, 0)).toThrow(fails("EINVAL", "kill"));
  });
});

test("openPidfd follows a process that is no child, and fails for one that is not", async () => {
  const child = start(shell("exec sleep 1000"));
  const other = openPidfd(child.pid);
  expect(signalProcess(other, 9)).toBe(true);
  expect((await ended(child)).signal).toBe(9);
  expect(signalProcess(other, 9)).toBe(false);
  close(other);
  expect(() => openPidfd(child.pid)).toThrow(fails("ESRCH", "pidfd_open"));
});

describe("limits", () => {
  test("are read and set, of this process and of others", async () => {
    const before = getrlimit(RLIMIT.core);
    expect(setrlimit(RLIMIT.core, { soft: 0, hard: before.hard })).toEqual(before);
    expect(getrlimit(RLIMIT.core)).toEqual({ soft: 0, hard: before.hard });
    setrlimit(RLIMIT.core, before);
    const child = start(shell("exec sleep 1000"));
    setrlimit(RLIMIT.nofile, { soft: 10, hard: 20 }, child.pid);
    expect(getrlimit(RLIMIT.nofile, child.pid)).toEqual({ soft: 10, hard: 20 });
    expect(readFileSync(`/proc/${child.pid}/limits`, "utf8")).toMatch(/Max open files +10 +20/);
    await killed(child);
    expect(() => getrlimit(99)).toThrow(fails("EINVAL", "prlimit"));
    expect(() => setrlimit(RLIMIT.core, { soft: -1, hard: 0 })).toThrow(fails("EINVAL"));
    expect(() => setrlimit(RLIMIT.core, { soft: 2, hard: 1 })).toThrow(fails("EINVAL"));
  });
});

test("flock keeps others out until it is given back", () => {
  const path = join(directory, "pidfile");
  const [first, second] = [
    openFile(path, constants.O_RDWR | constants.O_CREAT),
    openFile(path, constants.O_RDWR),
  ];
  expect(flock(first, { exclusive: true, nonBlocking: true })).toBe(true);
  expect(flock(second, { exclusive: true, nonBlocking: true })).toBe(false);
  expect(flock(second, { exclusive: false, nonBlocking: true })).toBe(false);
  unlock(first);
  expect(flock(first, { exclusive: false, nonBlocking: true })).toBe(true);
  expect(flock(second, { exclusive: false, nonBlocking: true })).toBe(true);
  close(first);
  close(second);
  expect(() => flock(second, { exclusive: true, nonBlocking: true })).toThrow(fails("EBADF"));
});

test("a process name has fifteen bytes", () => {
  const before = readFileSync("/proc/thread-self/comm", "utf8").trim();
  setProcessName("a name that is too long");
  expect(readFileSync("/proc/thread-self/comm", "utf8")).toBe("a name that is \n");
  setProcessName(before);
  expect(() => setProcessName("nul\0")).toThrow(/NUL/);
});

test("a subreaper gets the orphans", async () => {
  const out = join(directory, "pid");
  writeFileSync(out, "");
  const parentOf = (pid: number): number =>
    Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  setChildSubreaper(true);
  try {
    expect((await ended(start(shell(`sleep 1000 & echo $! >${out}`)))).code).toBe(0);
    const orphan = Number(readFileSync(out, "utf8"));
    expect(parentOf(orphan)).toBe(process.pid);
    expect((await killed({ pidfd: openPidfd(orphan) })).signal).toBe(9);
  } finally {
    setChildSubreaper(false);
  }
});

test("parent-death signal and no-new-privileges of a process itself", async () => {
  const out = join(directory, "pid");
  writeFileSync(out, "");
  expect(() => setParentDeathSignal(999)).toThrow(fails("EINVAL"));
  const script = `native.setParentDeathSignal(9); native.setNoNewPrivileges();
    const status = fs.readFileSync("/proc/self/status", "utf8");
    fs.writeFileSync(process.argv[1], process.pid + " " + /^NoNewPrivs:.(.)$/m.exec(status)[1] + "\\n"); setInterval(() => {}, 1000);`;
  const program = addonProgram(script);
  // The shell is the parent that is killed.
  const words = [process.execPath, ...program.args, out]
    .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
    .join(" ");
  const parent = start(shell(`${words} & wait`));
  try {
    await eventually(() => readFileSync(out, "utf8").includes("\n"), "the grandchild's answer");
  } finally {
    await killed(parent);
  }
  const [pid, noNewPrivileges] = readFileSync(out, "utf8").trim().split(" ");
  expect(noNewPrivileges).toBe("1");
  await eventually(() => isGone(Number(pid)), "the grandchild's end");
});

describe("execve", () => {
  test("keeps pid and named descriptors, and closes all others", async () => {
    const line =
      'echo $$ $A $1 $(grep -E "^Sig(Ign|Blk)" /proc/self/status | tr "\\n\\t" "  ")$(readlink /proc/$$/fd/9); test -e /proc/$$/fd/8 && echo leak';
    const argv = ["sh", "-c", line, "zero", "one"].map((word) => `${word}\0`).join("");
    const script = `fs.writeSync(1, process.pid + " ");
      const keep = fs.openSync("/proc/version"); native.redirect(keep, 9); native.redirect(keep, 8);
      native.execve("/bin/sh", ${JSON.stringify(argv)}, "A=b\\0PATH=/usr/bin:/bin\\0", Float64Array.of(9, 2, 0, 1));`;
    const { text } = await outputOf(addonProgram(script));
    const [before, after, ...rest] = text.trim().split(/\s+/);
    expect(after).toBe(before);
    expect(rest).toEqual([
      "b",
      "one",
      "SigBlk:",
      "0000000000000000",
      "SigIgn:",
      "0000000000000000",
      "/proc/version",
    ]);
  });

  test("that fails leaves the process as it was", () => {
    const ignored = (): string | undefined =>
      /^SigIgn:\t(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    const before = ignored();
    const fd = openFile("/proc/version", constants.O_RDONLY);
    expect(() =>
      execve({ path: join(directory, "none"), argv: ["x"], env: [], keepFds: [fd] }),
    ).toThrow(fails("ENOENT", "execve"));
    expect(ignored()).toBe(before);
    expect(
      parseInt(
        /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0",
        8,
      ) & 0o2000000,
    ).not.toBe(0);
    close(fd);
    expect(() => execve({ path: "/bin/true", argv: ["a\0b"], env: [] })).toThrow(LinuxError);
  });
});

test("a child that stopped itself can still be killed and reaped", async () => {
  const child = start({
    ...PLAIN,
    programs: [{ path: "/bin/sh", argv0: "sh" }],
    args: ["-c", "kill -STOP $$"],
  });
  await eventually(() => / T /.test(readFileSync(`/proc/${child.pid}/stat`, "utf8")), "the stop");
  expect((await killed(child)).signal).toBe(9);
});
