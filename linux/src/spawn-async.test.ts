/** Starts that nobody waits for: results, independence of each other, and what is left behind. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  addonProgram,
  deadline,
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
  type Spawned,
} from "../test/harness.ts";
import { rootTest } from "../test/privileges.ts";
import { capabilityNumber, RLIMIT, spawnAsync } from "./index.ts";
import { packPlan } from "./plan.ts";
import type { SpawnOptions, SpawnResult } from "./index.ts";

/** A start's result. */
async function result(options: SpawnOptions): Promise<SpawnResult> {
  return deadline(new Promise((resolve) => spawnAsync(options, resolve)), "a start's result");
}

async function child(options: SpawnOptions): Promise<Spawned> {
  const made = await result(options);
  if (!made.ok) throw new Error(`start failed: ${JSON.stringify(made)}`);
  return made;
}

const threads = (): number => readdirSync("/proc/self/task").length;

/** The threads and their descriptors are there before anything is counted. */
beforeAll(async () => void (await ended(await child(PLAIN))));

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

const heldOpen: number[] = [];

/** A start that waits in its set-up until `release`, as on a file system that does not answer. */
function gate(name: string): { options: SpawnOptions; release: () => void } {
  const fifo = join(directory, name);
  execFileSync("mkfifo", [fifo]);
  return {
    options: { ...PLAIN, cgroupFiles: [fifo], setupTimeoutMs: 60_000 },
    // Until `closeGates`, so that the child's write has a reader.
    release: () => void heldOpen.push(openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)),
  };
}

function closeGates(): void {
  for (const fd of heldOpen.splice(0)) closeSync(fd);
}

describe("asynchronous starts", () => {
  test("give each its own result, never before the call returns", async () => {
    let returned = false;
    const all = Array.from({ length: 60 }, async (_, index) => {
      const options =
        index % 3 === 0 ? { ...PLAIN, cwd: `/nonexistent/${index}` } : shell(`exit ${index}`);
      return new Promise<[number, SpawnResult]>((resolve) => {
        spawnAsync(options, (made) => {
          expect(returned).toBe(true);
          resolve([index, made]);
        });
      });
    });
    returned = true;
    for (const [index, made] of await deadline(Promise.all(all), "results")) {
      if (index % 3 === 0) expect(made).toMatchObject({ ok: false, stage: "cwd", code: "ENOENT" });
      else expect((await ended(made as Spawned)).code).toBe(index);
    }
  });

  const nothing = "/nonexistent/file";
  test.each<[Partial<SpawnOptions>, object]>([
    [{ args: ["nul\0inside"] }, { stage: "prepare", code: "EINVAL" }],
    [{ programs: [] }, { stage: "prepare", code: "EINVAL" }],
    [{ mode: "copied" }, { stage: "prepare", code: "EINVAL" }],
    [{ namespaces: 0x0001_0000 }, { stage: "clone", code: "EINVAL" }],
    [{ cgroupFd: 0 }, { stage: "clone", code: "EBADF" }],
    [{ cgroupFiles: ["/dev/null", nothing] }, { stage: "cgroup", code: "ENOENT", index: 1 }],
    [{ rlimits: [{ resource: 99, soft: 0, hard: 0 }] }, { stage: "rlimit", code: "EINVAL" }],
    [{ fds: [{ from: 999_999, to: 0 }] }, { stage: "descriptors", code: "EBADF" }],
    [{ lateCwd: "/etc/passwd" }, { stage: "late-cwd", code: "ENOTDIR" }],
    [{ programs: [{ path: nothing, argv0: "" }] }, { stage: "exec", code: "ENOENT", index: 0 }],
  ])("that fail say stage and errno: %j", async (options, expected) => {
    expect(await result({ ...PLAIN, ...options })).toMatchObject({ ok: false, ...expected });
  });

  test("a throwing callback takes no other result along", async () => {
    const uncaught: unknown[] = [];
    const before = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => uncaught.push(error));
    try {
      const made: SpawnResult[] = [];
      for (let index = 0; index < 10; index += 1) {
        spawnAsync(PLAIN, (one) => {
          made.push(one);
          if (index % 2 === 0) throw new Error(`callback ${index}`);
        });
      }
      await eventually(() => made.length === 10 && uncaught.length === 5, "results and errors");
      for (const one of made) await ended(one as Spawned);
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const listener of before) process.on("uncaughtException", listener);
    }
  });

  test("that are stuck hold up neither others nor the loop", async () => {
    const gates = Array.from({ length: 6 }, (_, index) => gate(`gate ${index}`));
    const stuck: SpawnResult[] = [];
    for (const { options } of gates) spawnAsync(options, (made) => stuck.push(made));
    // More stuck ones than run together; each of these comes through all the same.
    for (let index = 1; index <= 10; index += 1)
      expect((await ended(await child(shell(`exit ${index}`)))).code).toBe(index);
    expect(stuck).toEqual([]);
    for (const { release } of gates) release();
    await eventually(() => stuck.length === gates.length, "the released");
    closeGates();
    for (const made of stuck) expect((await ended(made as Spawned)).code).toBe(0);
  });

  test("that are stuck for too long are ended and told", async () => {
    const made = await Promise.all(
      [30, 80, 130].map(async (setupTimeoutMs) =>
        result({ ...gate(`fifo ${setupTimeoutMs}`).options, setupTimeoutMs }),
      ),
    );
    for (const one of made)
      expect(one).toMatchObject({ ok: false, stage: "cgroup", code: "ETIMEDOUT", waitStatus: 9 });
    expect((await ended(await child(PLAIN))).code).toBe(0);
  });

  test("keep the order in which they were asked for while none is free", async () => {
    const gates = Array.from({ length: 16 }, (_, index) => gate(`gate ${index}`));
    const stuck: SpawnResult[] = [];
    for (const { options } of gates) spawnAsync(options, (made) => stuck.push(made));
    let last: SpawnResult | undefined;
    spawnAsync(shell("exit 9"), (made) => (last = made));
    await eventually(() => childCount() === gates.length, "all places to be taken");
    expect(last).toBeUndefined();
    gates[3]?.release();
    await eventually(() => last !== undefined, "the one that waited");
    for (const { release } of gates) release();
    await eventually(() => stuck.length === gates.length, "the released");
    closeGates();
    for (const made of stuck) await ended(made as Spawned);
    expect((await ended(last as unknown as Spawned)).code).toBe(9);
  });

  test("two thousand of them, good and bad, leave no descriptor, zombie or thread", async () => {
    const before = threads();
    let failed = 0;
    for (let round = 0; round < 20; round += 1) {
      const made = await Promise.all(
        Array.from({ length: 100 }, async (_, index) =>
          result(index % 10 === 0 ? { ...PLAIN, cwd: "/nonexistent" } : PLAIN),
        ),
      );
      for (const one of made) {
        if (one.ok) expect((await ended(one)).code).toBe(0);
        else failed += 1;
      }
    }
    expect(failed).toBe(200);
    // Those of children that the machine was slow with are gone by now, but for the kernel's book-keeping.
    await eventually(() => threads() <= before, "the end of spare threads");
  });
});

function childCount(): number {
  return readFileSync(`/proc/self/task/${process.pid}/children`, "utf8")
    .trim()
    .split(" ")
    .filter(Boolean).length;
}

describe("the parent's descriptors", () => {
  /** Fills whole blocks of the table, as a thousand vassals do. */
  async function withMany(work: (high: readonly number[]) => Promise<void>): Promise<void> {
    const many = Array.from({ length: 400 }, () => openSync("/dev/null", "r"));
    const files = ["/proc/version", "/proc/uptime", "/proc/loadavg"].map((path) =>
      openSync(path, "r"),
    );
    try {
      await work(files);
    } finally {
      for (const fd of [...files, ...many]) closeSync(fd);
    }
  }

  test("are only copied: a child has those of its plan, the parent keeps all of its own", async () => {
    await withMany(async (high) => {
      const before = openDescriptors();
      const out = openSync(join(directory, "out"), "w+");
      const fds = [
        { from: -1, to: 0 },
        { from: out, to: 1 },
        { from: 2, to: 2 },
        ...high.map((from, index) => ({ from, to: 5 + index })),
      ];
      const list = { programs: [{ path: "/bin/ls", argv0: "ls" }], args: ["-l", "/proc/self/fd"] };
      const made = await Promise.all(
        Array.from({ length: 10 }, async () => child({ ...PLAIN, ...list, fds })),
      );
      for (const one of made) expect((await ended(one)).code).toBe(0);
      closeSync(out);
      const links = readFileSync(join(directory, "out"), "utf8").matchAll(
        / (\d+) -> (\/proc\/\S+)/g,
      );
      const seen = [...links].map(([, fd, target]) => `${fd} ${target}`);
      // The last of each listing is the directory that ls reads.
      for (const line of ["5 /proc/version", "6 /proc/uptime", "7 /proc/loadavg"])
        expect(seen.filter((one) => one === line)).toHaveLength(10);
      expect(seen.filter((one) => !/^[567] /.test(one) && !one.endsWith("/fd"))).toEqual([]);
      expect(openDescriptors()).toEqual(before);
    });
  });

  test("stay untouched by a child that is given none", async () => {
    await withMany(async () => {
      const before = openDescriptors();
      const made = await Promise.all(
        [[], [{ from: -1, to: 0 }]].map(async (fds) => child({ ...shell("exit 6"), fds })),
      );
      for (const one of made) expect((await ended(one)).code).toBe(6);
      expect(openDescriptors()).toEqual(before);
    });
  });

  test("leave the child free to use every number below its limit", async () => {
    await withMany(async ([version = -1]) => {
      const script = `const fs = require("fs"); const got = [];
        for (;;) { try { got.push(fs.openSync("/dev/null", "r")); } catch (error) { break; } }
        process.exit(got.length > 150 && Math.max(...got) === 199 ? 7 : 8);`;
      const options = {
        ...PLAIN,
        programs: [{ path: process.execPath, argv0: "node" }],
        args: ["-e", script],
        fds: [...PLAIN.fds, { from: version, to: 3 }],
        // Both the same: Node raises its soft limit.
        rlimits: [{ resource: RLIMIT.nofile, soft: 200, hard: 200 }],
      };
      expect((await ended(await child(options))).code).toBe(7);
    });
  });

  test("survive children that fail at any step", async () => {
    await withMany(async ([version = -1]) => {
      const before = openDescriptors();
      const fds = [...PLAIN.fds, { from: version, to: 3 }];
      const bad: Partial<SpawnOptions>[] = [
        { cgroupFiles: ["/nonexistent"] },
        { cwd: "/nonexistent" },
        { cgroupFd: 0 },
        { fds: [...fds, { from: 999_999, to: 4 }] },
        { programs: [{ path: "/nonexistent", argv0: "" }] },
        { ...gate("fifo").options, setupTimeoutMs: 30 },
      ];
      for (const one of await Promise.all(
        bad.map(async (options) => result({ ...PLAIN, fds, ...options })),
      ))
        expect(one.ok).toBe(false);
      expect(openDescriptors()).toEqual(before);
    });
  });
});

/** Plans as the bare addon takes them, for a Node of their own. */
function packed(...plans: readonly SpawnOptions[]): string {
  return JSON.stringify(
    plans.map((options) => {
      const plan = packPlan(options);
      return [[...(plan?.numbers ?? [])], plan?.text];
    }),
  );
}

const CHILDREN = `const children = () => fs.readFileSync("/proc/thread-self/children", "utf8").trim();
  const plans = JSON.parse(process.argv.find((one) => one.startsWith("[["))).map(([numbers, text]) => [Float64Array.from(numbers), text]);`;

describe("a process", () => {
  const nothing = [0, 1, 2].map((to) => ({ from: -1, to }));

  test.each([
    ["in its set-up", "process"],
    ["started, its result not taken", "process"],
    ["in its set-up", "worker"],
    ["started, its result not taken", "worker"],
  ])("that ends takes a child along that is %s: %s", async (state, kind) => {
    const started = state.startsWith("started");
    const sleeping = shell("exec sleep 1000", { fds: nothing });
    const inside = `${CHILDREN}
      native.startsOpen(() => {});
      native.start(...plans[0]);
      let pid;
      while ((pid = children()) === "" || (${started} && fs.readlinkSync("/proc/" + pid + "/exe") === process.execPath));
      fs.writeSync(1, pid);`;
    // What spawn.ts does at the end of a process; a worker's end is told to the addon itself.
    const whole =
      kind === "process"
        ? `process.on("exit", () => native.startsClose()); ${inside} process.exit(0);`
        : `new (require("worker_threads").Worker)(${JSON.stringify(`const fs = require("fs"); ${addonProgram(inside).args[1]}; process.exit(0);`)}, { eval: true, argv: [process.argv[1]] })
             .on("exit", (code) => process.exit(code));`;
    const program = addonProgram(whole);
    const plan = packed(
      started ? sleeping : { ...sleeping, ...gate("fifo").options, fds: nothing },
    );
    const { text, status } = await outputOf({ ...program, args: [...program.args, plan] });
    expect(status).toMatchObject({ code: 0 });
    const pid = Number(text);
    expect(pid).toBeGreaterThan(1);
    await eventually(() => isGone(pid), `the end of ${pid}`);
  });

  test("that is killed takes its children along, and one that executes itself anew keeps them", async () => {
    const out = join(directory, "out");
    writeFileSync(out, "");
    const fd = openSync(out, "a");
    const sleeping = shell("exec sleep 1000", { fds: nothing, parentDeathSignal: 9 });
    const again = `console.log("again " + fs.readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim()); setInterval(() => {}, 1000);`;
    const script = `${CHILDREN}
      const records = new Float64Array(96);
      native.startsOpen(() => {
        if (native.startsTake(records) === 0) return;
        console.log("first " + records[2]);
        native.execve(process.execPath, ["node", "-e", 'const fs = require("fs");' + process.argv[2]].join("\\0") + "\\0", "", Float64Array.from([0, 1, 2]));
      });
      native.start(...plans[0]);`;
    const program = addonProgram(script, {
      fds: [
        { from: -1, to: 0 },
        { from: fd, to: 1 },
        { from: 2, to: 2 },
      ],
    });
    const parent = start({ ...program, args: [...program.args, packed(sleeping), again] });
    closeSync(fd);
    try {
      await eventually(() => /again.*\n/.test(readFileSync(out, "utf8")), "the second image");
    } finally {
      await killed(parent);
    }
    const [, pid, kept] = /^first (\d+)\nagain (.*)\n$/.exec(readFileSync(out, "utf8")) ?? [];
    expect(Number(pid)).toBeGreaterThan(1);
    expect(kept).toBe(pid);
    await eventually(() => isGone(Number(pid)), `the end of ${pid}`);
  });

  test("does not end by itself while a result is to come", async () => {
    const script = `${CHILDREN}
      const records = new Float64Array(96);
      native.startsOpen(() => console.log(native.startsTake(records), records[1]));
      native.start(...plans[0]);`;
    const program = addonProgram(script);
    const { text } = await outputOf({ ...program, args: [...program.args, packed(PLAIN)] });
    expect(text).toBe("1 1\n");
  });
});

rootTest(
  "changes of the children's users, many at once, leave the parent's memory as open as it was",
  async () => {
    // An unprivileged parent that may change users: its /proc files belong to root while it cannot be dumped.
    const parent = { uid: 65534, gid: 65534, groups: [] };
    const may = ["setuid", "setgid"].map((name) => capabilityNumber(name) ?? -1);
    const other = { ...PLAIN, credentials: { uid: 65533, gid: 65533, groups: [] } };
    const script = `${CHILDREN}
    const owner = () => fs.statSync("/proc/self/status").uid;
    const records = new Float64Array(96);
    const seen = [owner()];
    let wanted = 60, left = 60, good = 0;
    const begin = () => { while (wanted > 0 && native.start(...plans[wanted % plans.length])[0] === 1) wanted -= 1; };
    native.startsOpen(() => {
      const count = native.startsTake(records);
      for (let at = 0; at < count; at += 1) good += records[at * 6 + 1];
      left -= count;
      begin();
      if (left === 0) console.log(JSON.stringify([...seen, good, owner()]));
    });
    begin();`;
    const program = addonProgram(script, { credentials: parent, capabilityAmbient: may });
    const bad = { ...other, cwd: "/nonexistent" };
    const { text } = await outputOf({
      ...program,
      args: [...program.args, packed(other, PLAIN, bad)],
    });
    expect(JSON.parse(text)).toEqual([65534, 40, 65534]);
  },
);
