/**
 * Cgroups over recorded file trees, for what this machine's kernel may lack (version 2 with all its
 * controllers), and over the real one, for what only a kernel does (freezing).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFiles } from "@emperor/linux";
import { describe, expect, onTestFinished, test } from "vitest";
import { isRoot, needing } from "../../../linux/test/privileges.ts";
import { memoryLogger } from "../log/logger.ts";
import { Accountant, fieldOf, pressureOf } from "./accounts.ts";
import type { Hierarchy } from "./hierarchies.ts";
import { readValue, writeValue } from "./kernel.ts";
import { readLimit, type Limit } from "./limits.ts";
import { takeTerritory } from "./territory.ts";
import { groupName, VassalCgroups } from "./vassal-cgroups.ts";

/** As Linux 6.1 shows a cgroup of version 2 with every controller. */
const RECORDED = {
  "memory.current": "52428800\n",
  "memory.peak": "73400320\n",
  "memory.events": "low 0\nhigh 3\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n",
  "cpu.stat": "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnr_periods 9\n",
  "pids.current": "7\n",
  "pids.peak": "11\n",
  "cpu.pressure":
    "some avg10=1.50 avg60=0.20 avg300=0.01 total=99\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
  "memory.pressure":
    "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
};

function temporary(): string {
  const path = mkdtempSync(join(tmpdir(), "cgroups-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function recorded(path: string, name: string): void {
  mkdirSync(join(path, name), { recursive: true });
  for (const [file, text] of Object.entries(RECORDED)) writeFileSync(join(path, name, file), text);
}

function limitsOf(...texts: readonly string[]): readonly Limit[] {
  return texts.map((text) => {
    const reading = readLimit(text, { memoryBytes: 2 ** 30 });
    if (!reading.ok) throw new Error(reading.problem);
    return reading.limit;
  });
}

const v2 = (path: string, controllers = ["memory", "cpu", "pids"]): Hierarchy => ({
  ...{ version: 2, controllers, mount: path, path },
});

describe("accounts of version 2 (recorded tree)", () => {
  test("are read from the files of every controller", () => {
    const path = temporary();
    recorded(path, "vassal-a-1");
    const accountant = new Accountant([v2(path)], readFiles);
    expect(accountant.now(["vassal-a-1", "vassal-gone-2"])).toEqual([
      {
        memory: 52_428_800,
        memoryPeak: 73_400_320,
        cpuMs: 1235,
        processes: 7,
        oomKills: 1,
        pressure: { cpu: 1.5, memory: 0 },
      },
      {},
    ]);
    expect(accountant.final("vassal-a-1")).toEqual({
      ...{ memoryPeak: 73_400_320, cpuMs: 1235, processesPeak: 11, oomKills: 1 },
    });
  });

  test("have no figure for a controller that is not there", () => {
    const path = temporary();
    recorded(path, "vassal-a-1");
    const [account] = new Accountant([v2(path, [])], readFiles).now(["vassal-a-1"]);
    expect(account).toEqual({ cpuMs: 1235, pressure: { cpu: 1.5, memory: 0 } });
  });

  test("renew the pressure of a hundred vassals in each call, the oldest first", () => {
    const path = temporary();
    const names = Array.from({ length: 250 }, (_, n) => `vassal-${n}-1`);
    const asked: string[] = [];
    const accountant = new Accountant([v2(path)], (paths) => {
      asked.push(...paths.filter((one) => one.endsWith("cpu.pressure")));
      return paths.map((one) => (one.endsWith("cpu.pressure") ? "some avg10=2.00" : ""));
    });
    const known = (): number =>
      accountant.now(names).filter(({ pressure }) => pressure?.cpu === 2).length;
    expect([known(), known(), known(), known()]).toEqual([100, 200, 250, 250]);
    expect(new Set(asked).size).toBe(250);
    expect(asked).toHaveLength(400);
  });

  test("survive nonsense", () => {
    expect(fieldOf("oom 2\noom_kill x\n", "oom_kill")).toBeUndefined();
    expect(fieldOf("xoom_kill 3\n", "oom_kill")).toBeUndefined();
    expect(fieldOf("oom_kill 3", "oom_kill")).toBe(3);
    expect(fieldOf("", "oom_kill")).toBeUndefined();
    expect(pressureOf("full avg10=1.00")).toBeUndefined();
  });
});

/** A recorded tree with a mount at its top, as systemd's `Delegate=yes` leaves it. */
function delegated(): {
  readonly mount: string;
  readonly home: string;
  readonly mountinfo: string;
} {
  const mount = temporary();
  const home = join(mount, "system.slice/emperor.service");
  mkdirSync(home, { recursive: true });
  for (const [path, text] of [
    [mount, "cpu memory pids io"],
    [join(mount, "system.slice"), "cpu memory pids io"],
    [home, "cpu memory pids"],
  ] as const) {
    writeFileSync(join(path, "cgroup.controllers"), `${text}\n`);
    writeFileSync(join(path, "cgroup.subtree_control"), path === home ? "" : `${text}\n`);
    writeFileSync(join(path, "cgroup.procs"), "");
  }
  return { mount, home, mountinfo: `35 24 0:30 / ${mount} rw shared:9 - cgroup2 cgroup2 rw\n` };
}

describe("a delegated directory of version 2 (recorded tree)", () => {
  const take = (home: string, mountinfo: string, ...texts: readonly string[]) =>
    takeTerritory({
      directory: home,
      limits: limitsOf(...texts),
      forAll: [],
      mountinfo,
      pid: 77,
      logger: memoryLogger(),
    });

  test("gets the controllers switched on and the Emperor moved into its leaf", async () => {
    const { home, mountinfo } = delegated();
    writeFileSync(join(home, "cgroup.procs"), "77\n");
    mkdirSync(join(home, "emperor"));
    writeFileSync(join(home, "emperor/cgroup.procs"), "");
    // A plain file does not do what the kernel's does: it keeps the bytes that were written last.
    const territory = await take(home, mountinfo);
    territory.release();
    expect(readValue(join(home, "emperor/cgroup.procs"))).toBe("77");
    expect(readValue(join(home, "cgroup.subtree_control"))).toMatch(/^\+pids/);
  });

  test("without the controller of a limit is refused, with its name", async () => {
    const { home, mountinfo } = delegated();
    await expect(take(home, mountinfo, "io.max=8:0 rbps=1")).rejects.toThrow(
      /io\.max needs the controller io, which is not available here; nothing is started/,
    );
  });

  test("is not taken twice", async () => {
    const { home, mountinfo } = delegated();
    const first = await take(home, mountinfo);
    await expect(take(home, mountinfo)).rejects.toThrow(/another Emperor uses it/);
    first.release();
    (await take(home, mountinfo)).release();
  });
});

describe("the cgroup of a vassal (recorded tree)", () => {
  test("that cannot get its limit is not left behind", () => {
    const path = temporary();
    const cgroups = new VassalCgroups(
      { hierarchies: [v2(path)], release: () => undefined },
      {
        limits: limitsOf("memory.max=1M"),
        ceilings: [],
        attribute: undefined,
        machine: { memoryBytes: 1 },
      },
      memoryLogger(),
    );
    // No kernel puts memory.max into a new directory here.
    expect(cgroups.make({ name: "a.ini", attributes: {} })).toEqual({
      ok: false,
      detail: "its limit memory.max = 1048576 cannot be set: ENOENT",
    });
    expect(existsSync(join(path, groupName("a.ini", 1)))).toBe(false);
  });

  test.each([
    ["../../etc/passwd", "vassal-.._.._etc_passwd-1"],
    ["a\nb c$(x).ini", "vassal-a_b_c__x_.ini-1"],
    ["", "vassal--1"],
    ["é".repeat(300), `vassal-${"_".repeat(120)}-1`],
  ])("of %j has a harmless name", (vassal, name) => {
    expect(groupName(vassal, 1)).toBe(name);
  });
});

const V2 = readFileSync("/proc/self/mountinfo", "utf8")
  .split("\n")
  .find((line) => line.includes(" - cgroup2 "))
  ?.split(" ")[4];

needing(isRoot && V2 !== undefined, "needs root and cgroup v2")(
  "freezing stops every process until it is thawed, and killing needs no thaw",
  async () => {
    const home = `${V2}/em-unit-${process.pid}`;
    mkdirSync(home);
    onTestFinished(() => {
      if (existsSync(home)) rmdirSync(home);
    });
    const cgroups = new VassalCgroups(
      { hierarchies: [v2(home, [])], release: () => undefined },
      { limits: [], ceilings: [], attribute: undefined, machine: { memoryBytes: 1 } },
      memoryLogger(),
    );
    const seat = cgroups.make({ name: "a.ini", attributes: {} });
    if (!seat.ok) throw new Error(seat.detail);
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    const ended = once(child, "exit");
    await once(child, "spawn");
    const path = `${home}/${seat.name}`;
    writeValue(`${path}/cgroup.procs`, String(child.pid));
    const frozen = (): boolean => readValue(`${path}/cgroup.events`).includes("frozen 1");
    expect(cgroups.freeze(seat.name)).toBeUndefined();
    await expect.poll(frozen, { timeout: 15_000 }).toBe(true);
    expect(cgroups.isFrozen(seat.name)).toBe(true);
    expect(cgroups.thaw(seat.name)).toBeUndefined();
    await expect.poll(frozen, { timeout: 15_000 }).toBe(false);
    cgroups.freeze(seat.name);
    cgroups.end(seat.name);
    expect(await ended).toEqual([null, "SIGKILL"]);
    await cgroups.idle(15_000);
    expect(existsSync(path)).toBe(false);
    cgroups.close();
  },
);
