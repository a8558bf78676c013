/** Vassals in namespaces of their own, as root: what they see, what hooks may do there, what they may not. */
import { chmodSync, chownSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor, type EmperorUnderTest, type StartOptions } from "../harness/emperor.ts";
import { isAlive, signalTo } from "../harness/processes.ts";
import { programTest, rootTest } from "../harness/privileges.ts";

const loyal = vassalConfig("loyal");

/** Vassals that first do `script`, whose output is kept in files of the run by the vassal's name. */
function governed(script: string, options: StartOptions = {}): Promise<EmperorUnderTest> {
  return startEmperor({
    wrapper: "{dir}/program",
    ...options,
    prepare: (run) => {
      chmodSync(join(run.path, "seen"), 0o777);
      const path = join(run.path, "program");
      // The name of the config is the last argument in all forms of the command line used here.
      const text = `#!/bin/sh\nfor name; do :; done\n{\n${script}\n} >"${run.path}/seen/$name.out" 2>&1\nexec ${inject("fixtureVassal")} "$@"\n`;
      writeFileSync(path, text, { mode: 0o755 });
      options.prepare?.(run);
    },
  });
}

function said(emperor: EmperorUnderTest, name = "a.ini"): string {
  return readFileSync(join(emperor.run.path, `seen/${name}.out`), "utf8").trim();
}

describe("namespaces", () => {
  rootTest("with fs and pid bring a /proc that shows nobody else", async () => {
    const emperor = await governed("echo $$; ls /proc | grep '^[0-9]' | head -50 | wc -l", {
      args: ["--emperor-use-clone", "fs,pid"],
      vassals: { "a.ini": loyal },
    });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    const [own, seen] = said(emperor).split("\n");
    expect(own).toBe("1");
    expect(Number(seen)).toBeLessThan(10);
    expect(pid).toBeGreaterThan(1);
    // Outside nothing changed.
    expect(existsSync(`/proc/${process.pid}`)).toBe(true);
  });

  rootTest("keep /proc and the host's name where it is told so", async () => {
    const emperor = await governed("hostname; test -e /proc/2 && echo there", {
      args: ["--emperor-use-clone", "fs,pid,uts", "--emperor-keep-proc"].concat([
        "--emperor-keep-hostname",
      ]),
      vassals: { "a.ini": loyal },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    expect(said(emperor).split("\n")).toEqual([
      readFileSync("/proc/sys/kernel/hostname", "utf8").trim(),
      "there",
    ]);
  });

  rootTest("with uts are named after the vassal, with net have a loopback", async () => {
    const emperor = await governed(
      "hostname; cat /proc/net/if_inet6; cat /proc/net/dev | grep -c :",
      {
        args: ["--emperor-use-clone", "uts,net,ipc"],
        vassals: { "shop one.ini": loyal },
      },
    );
    await emperor.vassalWith("shop one.ini", { loyal: 1 });
    const lines = said(emperor, "shop one.ini").split("\n");
    expect(lines[0]).toBe("shop-one");
    // ::1 is there only when the interface is up; a kernel without IPv6 says nothing of it.
    if (lines.length === 3) expect(lines[1]).toContain(" lo");
  });

  rootTest("of users give each vassal a range of its own, the same after a restart", async () => {
    const emperor = await governed("id -u; tr -s ' ' </proc/self/uid_map", {
      args: ["--emperor-use-clone", "user,fs,pid", "--emperor-userns-base", "300000"],
      vassals: { "a.ini": loyal, "b.ini": loyal },
    });
    const first = await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.vassalWith("b.ini", { loyal: 1 });
    const ranges = ["a.ini", "b.ini"].map((name) => {
      const [id, map = ""] = said(emperor, name).split("\n");
      expect(id).toBe("0");
      return Number(map.trim().split(" ")[1]);
    });
    expect(Math.abs((ranges[0] ?? 0) - (ranges[1] ?? 0))).toBeGreaterThanOrEqual(65_536);
    expect(readFileSync(`/proc/${first.pid}/status`, "utf8")).toMatch(
      new RegExp(`^Uid:\\s+${ranges[0]}\\s`, "m"),
    );
    signalTo(first.pid, "SIGKILL");
    await emperor.started("a.ini", 2);
    await emperor.vassalWith("a.ini", { loyal: 1 });
    expect(said(emperor, "a.ini")).toContain(` ${ranges[0]} 65536`.trim());
  });

  rootTest("may be more by an attribute, and never fewer", async () => {
    const emperor = await governed("readlink /proc/self/ns/uts /proc/self/ns/ipc", {
      args: ["--emperor-use-clone", "uts", "--emperor-use-clone-attr", "own"],
      vassals: { "a.ini": `[emperor]\nown = ipc,none\n${loyal}`, "b.ini": loyal },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.vassalWith("b.ini", { loyal: 1 });
    const [utsA, ipcA] = said(emperor).split("\n");
    const [utsB, ipcB] = said(emperor, "b.ini").split("\n");
    expect(new Set([utsA, utsB]).size).toBe(2);
    expect(ipcA).not.toBe(ipcB);
    await emperor.logged("vassal a.ini asks for the namespace none, ignored");
  });

  rootTest("of pids end with their first process: nobody can fork away", async () => {
    const emperor = await governed("(setsid sleep 1000 </dev/null >/dev/null 2>&1 &)", {
      args: ["--emperor-use-clone", "pid"],
      vassals: { "a.ini": loyal },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    const stray = await emperor.wait("the stray", () =>
      emperor.run.processes().find(({ command }) => command.startsWith("sleep")),
    );
    emperor.remove("a.ini");
    await emperor.forgotten("a.ini");
    await emperor.wait("the end of the stray", () => !isAlive(stray.pid));
  });

  rootTest("in Tyrant mode let a vassal neither mount nor gain privileges", async () => {
    const emperor = await governed(
      "mount -t tmpfs none /tmp && echo mounted; unshare --user --map-root-user mount -t tmpfs none /mnt 2>/dev/null && echo nested; grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/self/status",
      {
        args: [
          "--emperor-tyrant",
          "--emperor-use-clone",
          "fs,pid,ipc,uts",
          "--emperor-cap",
          "kill",
        ],
        prepare: (run) => chownSync(run.put("a.ini", loyal), 4321, 4321),
      },
    );
    await emperor.vassalWith("a.ini", { loyal: 1, uid: 4321 });
    const text = said(emperor);
    expect(text).not.toMatch(/^mounted$/m);
    expect(text).toMatch(/NoNewPrivs:\s+1/);
    expect(text).toMatch(/CapEff:\s+0+$/m);
    // CAP_KILL and CAP_SETPCAP.
    expect(text).toMatch(/CapBnd:\s+0*120$/m);
  });

  rootTest(
    "capabilities that are kept reach a vassal that is not root, and its children",
    async () => {
      const emperor = await governed("grep -E 'Cap(Eff|Amb|Bnd)' /proc/self/status", {
        args: ["--emperor-tyrant", "--emperor-cap", "kill", "--emperor-cap-keep"].concat([
          "net_bind_service",
        ]),
        prepare: (run) => chownSync(run.put("a.ini", loyal), 4321, 4321),
      });
      await emperor.vassalWith("a.ini", { loyal: 1, uid: 4321 });
      expect(
        said(emperor)
          .split("\n")
          .map((line) => line.replaceAll(/\s+0+/g, " ")),
      ).toEqual(["CapEff: 400", "CapBnd: 520", "CapAmb: 400"]);
    },
  );

  rootTest("securebits are the vassal's", async () => {
    const emperor = await governed("capsh --print 2>/dev/null | grep -i securebits || echo none", {
      args: ["--emperor-securebits", "noroot,noroot-locked"],
      vassals: { "a.ini": loyal },
    });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    // Root by number, but executing a program gives it nothing any more.
    expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(/^CapEff:\s+0+$/m);
  });
});

describe("hooks and namespaces", () => {
  rootTest("hook-as-emperor-setns acts in those of the vassal, as the Emperor", async () => {
    const emperor = await governed("true", {
      args: ["--emperor-use-clone", "uts,pid,fs", "--hook-as-emperor-setns"].concat([
        "uts exec:hostname renamed && id -u && echo for $UWSGI_VASSAL_PID",
        "--hook-as-emperor-setns",
        "pid,mnt exec:ls /proc | grep -c '^[0-9]' | sed 's/^/it sees /'",
        "--hook-as-emperor-setns",
        "uts exec:exit 3",
      ]),
      vassals: { "a.ini": loyal },
    });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.logged(`for ${pid}`);
    await emperor.logged(/^it sees \d$/);
    await emperor.logged(/as-emperor-setns\) failed: .*3; the vassal runs nevertheless/);
    expect(readFileSync("/proc/sys/kernel/hostname", "utf8").trim()).not.toBe("renamed");
  });

  rootTest("a failing hook fails the start, with its command and output in the log", async () => {
    const emperor = await startEmperor({
      args: ["--emperor-use-clone", "fs,pid", "--emperor-throttle", "60000"].concat([
        "--hook-as-vassal-before-drop",
        "exec:echo no room for $$ >&2; exit 7",
      ]),
      vassals: { "a.ini": loyal },
    });
    await emperor.logged(/no room for \d+/);
    await emperor.logged(/unable to start vassal a\.ini.*echo no room.*status 7/);
    expect(emperor.starts("a.ini")).toBe(0);
  });

  programTest(["ip"], true)("an interface that a hook moves there is waited for", async () => {
    const name = `em${process.pid}`;
    const emperor = await startEmperor({
      wrapper: null,
      args: ["--emperor-use-clone", "net", "--exec-as-emperor"].concat([
        `sleep 0.2; ip link add ${name} type veth peer name shop0 netns $UWSGI_VASSAL_PID`,
        "--hook-as-emperor-setns",
        "net exec:ip link set shop0 up",
      ]),
      vassals: {
        "a.ini": "[uwsgi]\nmaster = true\nwait-for-interface = shop0\ncommand = sleep 1000\n",
      },
    });
    await emperor.logged(/running "exec:ip link set shop0 up" \(as-emperor-setns\)/);
    const { pid } = await emperor.wait("a vassal with its interface", async () => {
      const vassal = await emperor.vassal("a.ini");
      if (vassal === undefined || vassal.pid < 0) return false;
      return readFileSync(`/proc/${vassal.pid}/net/dev`, "utf8").includes("shop0") && vassal;
    });
    expect(isAlive(pid)).toBe(true);
    await emperor.vassalWith("a.ini", { ready: 1 });
    // The pair goes with the namespace.
    emperor.remove("a.ini");
    await emperor.forgotten("a.ini");
    await emperor.wait("the interface to be gone", () => !existsSync(`/sys/class/net/${name}`));
  });

  programTest(["ip", "unshare"], true)(
    "emperor-veth gives an address on a bridge, and takes it back",
    async () => {
      const world =
        'ip link set lo up && ip link add br0 type bridge && ip addr add 10.97.0.1/16 dev br0 && ip link set br0 up && exec "$@"';
      const emperor = await governed("true", {
        // A network of the test's own, with a bridge in it.
        launcher: ["unshare", "--net", "sh", "-c", world, "sh"],
        args: ["--emperor-use-clone", "net", "--emperor-veth", "br0"],
        vassals: { "a.ini": loyal },
      });
      const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
      await emperor.logged("vassal a.ini has eth0 with 10.97.0.2/16 on br0");
      expect(readFileSync(`/proc/${pid}/net/fib_trie`, "utf8")).toContain("10.97.0.2");
      expect(readFileSync(`/proc/${pid}/net/route`, "utf8")).toMatch(
        /^eth0\s+00000000\s+0100610A/m,
      );
      const interfaces = (): string[] =>
        readFileSync(`/proc/${emperor.pid}/net/dev`, "utf8").match(/em[0-9a-z]+\.[0-9a-z]+/g) ?? [];
      expect(interfaces()).toHaveLength(1);
      emperor.remove("a.ini");
      await emperor.forgotten("a.ini");
      await emperor.wait("the interface to be gone", () => interfaces().length === 0);
      emperor.put("b.ini", loyal);
      await emperor.logged("vassal b.ini has eth0 with 10.97.0.3/16 on br0");
    },
  );
});
