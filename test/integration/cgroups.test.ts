/** Vassals in cgroups of their own: limits, accounts, ends, leftovers, and what the machine may refuse. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, onTestFinished } from "vitest";
import { cgroupTest, cgroupV1Test, cgroupV2Test, OwnCgroups } from "../harness/cgroups.ts";
import { vassalConfig } from "../harness/configs.ts";
import {
  emperorCommand,
  startEmperor,
  type EmperorUnderTest,
  type Run,
  type StartOptions,
} from "../harness/emperor.ts";
import { isAlive, signalTo } from "../harness/processes.ts";
import { programTest } from "../harness/privileges.ts";

const loyal = vassalConfig("loyal");

/** The Emperor with cgroups below `directory`; its vassals first do `script`, then become the fixture. */
function governed(
  own: OwnCgroups,
  script: string,
  options: StartOptions & { readonly directory?: string } = {},
): Promise<EmperorUnderTest> {
  return startEmperor({
    ...options,
    wrapper: "{dir}/program",
    args: ["--emperor-cgroup", options.directory ?? own.name, ...(options.args ?? [])],
    prepare: (run: Run) => {
      const path = join(run.path, "program");
      writeFileSync(path, `#!/bin/sh\n${script}\nexec ${inject("fixtureVassal")} "$@"\n`);
      chmodSync(path, 0o755);
      options.prepare?.(run);
    },
  });
}

describe("a vassal's cgroup", () => {
  cgroupTest("is frozen and thawed by command, and thawed for its stop", async () => {
    const own = new OwnCgroups();
    const control = "control.sock";
    const emperor = await governed(own, ":", {
      vassals: { "a.ini": loyal },
      args: ["--emperor-control", control],
    });
    const order = async (name: string): Promise<number> => {
      const program = join(import.meta.dirname, "../../bin/emperorctl");
      const ctl = spawn(program, [name, "--socket", join(emperor.run.path, control), "a.ini"]);
      const [code] = (await once(ctl, "exit")) as [number];
      return code;
    };
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    const frozen = (): boolean =>
      own
        .vassals()
        .some((place) =>
          ["freezer.state", "cgroup.events"].some(
            (file) =>
              existsSync(`${place}/${file}`) &&
              /^FROZEN|^frozen 1/m.test(readFileSync(`${place}/${file}`, "utf8")),
          ),
        );
    expect(frozen()).toBe(false);
    expect(await order("freeze")).toBe(0);
    await emperor.wait("it to be frozen", frozen);
    expect(isAlive(pid)).toBe(true);
    expect(await order("thaw")).toBe(0);
    await emperor.wait("it to be thawed", () => !frozen());
    expect(await order("freeze")).toBe(0);
    await emperor.wait("it to be frozen again", frozen);
    emperor.remove("a.ini");
    await emperor.gone(pid);
    expect(await order("thaw")).not.toBe(0);
  });

  cgroupTest(
    "holds it from its first instruction on, counts it, and is gone after it",
    async () => {
      const own = new OwnCgroups();
      const emperor = await governed(own, 'cat /proc/self/cgroup > "$TMPDIR/born"', {
        vassals: { "a.ini": loyal },
      });
      const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
      const born = readFileSync(join(emperor.run.temporary, "born"), "utf8");
      rmSync(join(emperor.run.temporary, "born"));
      const places = own.vassals();
      expect(places.length).toBeGreaterThan(0);
      for (const place of places)
        expect(readFileSync(`${place}/cgroup.procs`, "utf8")).toBe(`${pid}\n`);
      expect(born.match(new RegExp(`/${own.name}/vassal-a.ini-1$`, "gm"))).toHaveLength(
        places.length,
      );
      const { cgroup } = await emperor.vassalWith("a.ini");
      expect(cgroup).toMatchObject({ cpu_ms: expect.any(Number) as number });
      emperor.remove("a.ini");
      await emperor.forgotten("a.ini");
      await own.gone();
    },
  );

  cgroupTest(
    "has the limits of all, what its attribute asks for, and nothing above the ceiling",
    async () => {
      const own = new OwnCgroups();
      const emperor = await governed(own, "", {
        args: ["--vassal-cgroup", "pids.max=64", "--vassal-cgroup-max", "pids.max=100"].concat([
          "--emperor-cgroup-attr",
          "limits",
        ]),
        vassals: { "a.ini": `[emperor]\nlimits = pids.max=5000\n${loyal}` },
      });
      await emperor.vassalWith("a.ini", { loyal: 1 });
      expect(own.read("pids.max")).toBe("100");
      await emperor.logged(/a\.ini asks for a limit: .*above the ceiling: 100 is what it gets/);
      // Another wish is another start, as no limit of a running vassal is changed behind its back.
      const before = await emperor.vassalWith("a.ini");
      emperor.put("a.ini", `[emperor]\nlimits = pids.max=32\n${loyal}`);
      await emperor.wait("a new process with the new limit", async () => {
        const now = await emperor.vassal("a.ini");
        return now?.pid !== before.pid && now?.loyal === 1 && own.read("pids.max") === "32";
      });
    },
  );

  cgroupTest(
    "of a removed vassal takes along who left its group and session and is deaf to signals",
    async () => {
      const own = new OwnCgroups();
      const emperor = await governed(
        own,
        "(trap '' HUP INT TERM QUIT USR1 USR2; setsid sh -c 'trap \"\" HUP INT TERM QUIT; (while :; do sleep 1000; done) & exec sleep 1000' </dev/null >/dev/null 2>&1 &)",
        { vassals: { "a.ini": loyal, "b.ini": loyal } },
      );
      await emperor.vassalWith("a.ini", { loyal: 1 });
      const other = await emperor.vassalWith("b.ini", { loyal: 1 });
      await emperor.wait("the strays of both", () => own.members().length >= 8);
      emperor.remove("a.ini");
      await emperor.forgotten("a.ini");
      await emperor.wait("only the other's to be left", () =>
        own.vassals().every((path) => path.includes("vassal-b.ini")),
      );
      expect((await emperor.vassalWith("b.ini")).pid).toBe(other.pid);
    },
  );

  cgroupTest("of a vassal that died takes its strays along before the next start", async () => {
    const own = new OwnCgroups();
    const emperor = await governed(own, "(setsid sleep 1000 </dev/null >/dev/null 2>&1 &)", {
      vassals: { "a.ini": loyal },
    });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    signalTo(pid, "SIGKILL");
    await emperor.started("a.ini", 2);
    await emperor.wait("only the second run's cgroup", () =>
      own.vassals().every((path) => path.endsWith("vassal-a.ini-2")),
    );
    const { cgroup } = await emperor.vassalWith("a.ini", { loyal: 1 });
    expect(cgroup?.past?.runs).toBe(1);
  });

  cgroupTest("with a limit of processes is full alone", async () => {
    const own = new OwnCgroups();
    const emperor = await governed(
      own,
      'case "$*" in *bomb*) (while :; do sleep 1000 & done) </dev/null >/dev/null 2>&1 & ;; esac',
      { args: ["--vassal-cgroup", "pids.max=24"], vassals: { "bomb.ini": loyal } },
    );
    await emperor.wait("its processes to reach the limit", () => {
      const now = Number(own.read("pids.current"));
      return now >= 23;
    });
    await emperor.fence();
    emperor.remove("bomb.ini");
    await emperor.forgotten("bomb.ini");
    await own.gone();
  });

  cgroupTest("with a limit of memory is the only one to run out, and that is said", async () => {
    const own = new OwnCgroups();
    const emperor = await governed(own, 'case "$*" in *greedy*) exec tail /dev/zero;; esac', {
      args: ["--vassal-cgroup", "memory.max=48M", "--emperor-throttle", "60000"],
      vassals: { "greedy.ini": loyal, "modest.ini": loyal },
    });
    const modest = await emperor.vassalWith("modest.ini", { loyal: 1 });
    await emperor.logged(/vassal greedy\.ini .* ran out of memory: the kernel killed 1 process/);
    const greedy = await emperor.wait("the account of its end", async () => {
      const { cgroup } = (await emperor.vassal("greedy.ini")) ?? {};
      return cgroup?.past !== undefined && cgroup.past;
    });
    expect(greedy.oom_kills).toBeGreaterThanOrEqual(1);
    expect(greedy.memory_peak).toBeGreaterThan(30 * 2 ** 20);
    expect((await emperor.vassalWith("modest.ini")).pid).toBe(modest.pid);
  });

  cgroupTest("cannot be changed by a vassal that is another user", async () => {
    const own = new OwnCgroups();
    const emperor = await governed(
      own,
      `for file in /sys/fs/cgroup/${own.name}/*/* /sys/fs/cgroup/*/${own.name}/*/*; do case $file in *.max|*limit_in_bytes|*/cgroup.procs|*/tasks|*quota_us) (echo 9999999999 >"$file" || echo 0 >"$file") 2>/dev/null && echo "$file" >>"$TMPDIR/changed";; esac; done; ulimit -Hn 9999999 2>/dev/null && echo limit >>"$TMPDIR/changed"`,
      {
        args: ["--emperor-tyrant", "--vassal-cgroup", "pids.max=30"],
        prepare: (run) => {
          const path = run.put("a.ini", loyal);
          chmodSync(run.reports.path.replace(/\/[^/]*$/, ""), 0o777);
          chownSync(path, 4321, 4321);
        },
      },
    );
    await emperor.vassalWith("a.ini", { loyal: 1, uid: 4321 });
    expect(existsSync(join(emperor.run.temporary, "changed"))).toBe(false);
    expect(own.read("pids.max")).toBe("30");
  });
});

describe("version 1 alone", () => {
  cgroupV1Test("limits, counts, kills and cleans as well", async () => {
    const own = new OwnCgroups();
    const emperor = await governed(
      own,
      "(setsid sh -c 'trap \"\" TERM; (while :; do sleep 1000; done) & exec sleep 1000' </dev/null >/dev/null 2>&1 &)",
      {
        directory: own.version1,
        args: ["--vassal-cgroup", "memory.max=96M", "--vassal-cgroup", "cpu.max=50%"].concat([
          "--vassal-cgroup",
          "pids.max=40",
        ]),
        vassals: { "a.ini": loyal },
      },
    );
    await emperor.vassalWith("a.ini", { loyal: 1 });
    expect(own.vassals().some((path) => existsSync(`${path}/cgroup.kill`))).toBe(false);
    expect(own.read("memory.limit_in_bytes")).toBe(String(96 * 2 ** 20));
    expect(
      own
        .vassals()
        .map((path) => quotaOf(path))
        .filter((quota) => quota !== ""),
    ).toEqual(["50000"]);
    await emperor.wait("its strays", () => own.members().length >= 4);
    const { cgroup } = await emperor.vassalWith("a.ini");
    expect(cgroup?.memory).toBeGreaterThan(0);
    expect(cgroup?.processes).toBeGreaterThanOrEqual(4);
    emperor.remove("a.ini");
    await emperor.forgotten("a.ini");
    await own.gone();
  });
});

function quotaOf(path: string): string {
  const file = `${path}/cpu.cfs_quota_us`;
  return existsSync(file) ? readFileSync(file, "utf8").trim() : "";
}

describe("the Emperor's directory", () => {
  cgroupTest("is cleaned of what an Emperor that was killed has left", async () => {
    const own = new OwnCgroups();
    for (const version of [1, 2] as const) {
      try {
        own.make(version, "vassal-old.ini-7/below");
      } catch {
        // Not mounted here.
      }
    }
    const stray = spawn("sleep", ["1000"], { stdio: "ignore" });
    const ended = once(stray, "exit");
    onTestFinished(() => void stray.kill("SIGKILL"));
    await once(stray, "spawn");
    for (const path of own.vassals())
      writeFileSync(`${path}/below/cgroup.procs`, String(stray.pid));
    const emperor = await governed(own, "", { vassals: { "a.ini": loyal } });
    await emperor.logged("of an Emperor that ended without cleaning up were found");
    expect(await ended).toEqual([null, "SIGKILL"]);
    await emperor.vassalWith("a.ini", { loyal: 1 });
    expect(own.vassals().filter((path) => path.includes("old"))).toEqual([]);
  });

  cgroupTest("that another Emperor uses is refused, and nothing is touched", async () => {
    const own = new OwnCgroups();
    const first = await governed(own, "", { vassals: { "a.ini": loyal } });
    const { pid } = await first.vassalWith("a.ini", { loyal: 1 });
    const second = await emperorCommand(["--emperor", "{vassals}", "--emperor-cgroup", own.name]);
    expect(second.code).toBe(111);
    expect(second.output).toContain(`emperor-cgroup ${own.name} cannot be used: another Emperor`);
    expect(isAlive(pid)).toBe(true);
  });

  cgroupTest("needs the controllers that limits need", async () => {
    const own = new OwnCgroups();
    const { code, output } = await emperorCommand(
      ["--emperor", "{vassals}", "--emperor-cgroup", own.name].concat([
        "--vassal-cgroup",
        "nosuch.max=1",
      ]),
    );
    expect(code).toBe(111);
    expect(output).toMatch(/nosuch\.max needs the controller nosuch, which is not available here/);
  });

  cgroupTest(
    "is refused with a value that the kernel refuses, before anything is started",
    async () => {
      const own = new OwnCgroups();
      const { code, output } = await emperorCommand(
        ["--emperor", "{vassals}", "--emperor-cgroup", own.name].concat([
          "--vassal-cgroup",
          "pids.nosuch=1",
        ]),
      );
      expect(code).toBe(111);
      expect(output).toMatch(
        /the kernel refuses pids\.nosuch = 1: ENOENT|needs the controller pids/,
      );
      expect(own.vassals()).toEqual([]);
    },
  );

  cgroupTest("outside of every cgroup file system gets no file", async () => {
    const { code, output } = await emperorCommand([
      "--emperor",
      "{vassals}",
      "--emperor-cgroup",
      "{dir}/group",
    ]);
    expect(code).toBe(111);
    expect(output).toMatch(/cannot be used: it lies in no cgroup file system/);
  });

  cgroupTest("in a read-only file system is refused with the reason", async () => {
    const own = new OwnCgroups();
    const remount =
      "mount --make-rprivate / && for d in $(awk '$3 ~ /^cgroup/ {print $2}' /proc/mounts); do mount -o remount,ro,bind $d || exit 9; done; exec \"$@\"";
    const { code, output } = await emperorCommand(
      ["--emperor", "{vassals}", "--emperor-cgroup", own.name],
      { launcher: ["unshare", "--mount", "sh", "-c", remount, "sh"] },
    );
    expect(code).toBe(111);
    expect(output).toMatch(
      /cannot be made in cgroup v\d: EROFS, the cgroup file system is read-only/,
    );
  });

  programTest(["setpriv"], true)("is refused to a plain user, with what it takes", async () => {
    const { code, output } = await emperorCommand(
      ["--emperor", "{vassals}", "--emperor-cgroup", "em-plain"],
      { launcher: ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"] },
    );
    expect(code).toBe(111);
    expect(output).toMatch(
      /EACCES, it takes root, or a directory that was delegated|EPERM|no cgroup/,
    );
  });

  cgroupV2Test("has a leaf for an Emperor that was started in it", async () => {
    const own = new OwnCgroups();
    const home = own.make(2, ".").replace(/\/\.$/, "");
    const emperor = await governed(own, "", {
      vassals: { "a.ini": loyal },
      launcher: ["sh", "-c", `echo 0 >${home}/cgroup.procs; exec "$@"`, "sh"],
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    expect(readFileSync(`${home}/cgroup.procs`, "utf8")).toBe("");
    expect(readFileSync(`${home}/emperor/cgroup.procs`, "utf8").split("\n")).toContain(
      String(emperor.pid),
    );
  });
});
