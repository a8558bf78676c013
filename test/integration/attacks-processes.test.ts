/**
 * Vassals that try to take more of the machine than is theirs, or to be more than they are, by processes,
 * memory, descriptors and noise. Each test has a neighbour that must notice nothing.
 */
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject } from "vitest";
import { cgroupTest, OwnCgroups } from "../harness/cgroups.ts";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor, type EmperorUnderTest } from "../harness/emperor.ts";
import { isAlive } from "../harness/processes.ts";
import { rootTest } from "../harness/privileges.ts";

const loyal = vassalConfig("loyal");
const TENANT = 4321;
const NEIGHBOUR = 4322;

/**
 * A tenant whose program first does `script`, and a neighbour, each as a user of their own in tyrant mode.
 * What the script writes to `$OUT` is the test's to read.
 */
async function attacked(
  script: string,
  args: readonly string[] = [],
): Promise<{ emperor: EmperorUnderTest; neighbour: number; out: () => string }> {
  let out = "";
  const emperor = await startEmperor({
    wrapper: "{dir}/program",
    args: ["--emperor-tyrant", ...args],
    prepare: (run) => {
      const folder = join(run.path, "out");
      mkdirSync(folder);
      chmodSync(folder, 0o777);
      out = join(folder, "said");
      const text = `#!/bin/sh\nfor name; do :; done\nOUT=${out}\nif [ "$name" = tenant.ini ]; then\n${script}\nfi\nexec ${inject("fixtureVassal")} "$@"\n`;
      writeFileSync(join(run.path, "program"), text, { mode: 0o755 });
      chownSync(run.put("neighbour.ini", loyal), NEIGHBOUR, NEIGHBOUR);
    },
  });
  const { pid } = await emperor.vassalWith("neighbour.ini", { loyal: 1, uid: NEIGHBOUR });
  const config = join(emperor.run.path, "tenant.new");
  writeFileSync(config, loyal);
  chownSync(config, TENANT, TENANT);
  emperor.rename(config, "tenant.ini");
  return { emperor, neighbour: pid, out: () => readFileSync(out, "utf8").trim() };
}

async function expectCalm(emperor: EmperorUnderTest, neighbour: number): Promise<void> {
  await emperor.vassalWith("neighbour.ini", { loyal: 1, pid: neighbour });
  expect(isAlive(neighbour)).toBe(true);
}

describe("a tenant that", () => {
  rootTest("signals, traces and reads a neighbour gets nothing", async () => {
    const { emperor, neighbour, out } = await attacked(
      `victim=$(for p in /proc/[0-9]*; do read -r _ _ _ _ < $p/stat; grep -qs '^Uid:.*${NEIGHBOUR}' $p/status && echo \${p#/proc/}; done 2>/dev/null | head -1)
{ echo victim $victim
kill -9 $victim 2>/dev/null && echo killed
cat /proc/$victim/environ >/dev/null 2>&1 && echo environ
cat /proc/$victim/mem >/dev/null 2>&1 && echo mem
ls /proc/$victim/fd >/dev/null 2>&1 && echo descriptors
cat /proc/$victim/root/etc/passwd >/dev/null 2>&1 && echo root
echo done; } >$OUT`,
    );
    await emperor.vassalWith("tenant.ini", { loyal: 1 });
    expect(out().split("\n")).toEqual([`victim ${neighbour}`, "done"]);
    await expectCalm(emperor, neighbour);
  });

  rootTest("signals, traces and reads the Emperor gets nothing", async () => {
    const { emperor, neighbour, out } = await attacked(
      `{ for s in TERM KILL HUP STOP QUIT; do kill -$s $PPID 2>/dev/null && echo $s; done
cat /proc/$PPID/environ >/dev/null 2>&1 && echo environ
ls /proc/$PPID/fd >/dev/null 2>&1 && echo descriptors
echo done; } >$OUT`,
    );
    await emperor.vassalWith("tenant.ini", { loyal: 1 });
    expect(out()).toBe("done");
    await expectCalm(emperor, neighbour);
  });

  rootTest("raises its own limits, gains privileges or changes who it is cannot", async () => {
    const { emperor, neighbour, out } = await attacked(
      `{ ulimit -Hn 99999999 2>/dev/null && echo files
ulimit -Hn unlimited 2>/dev/null && echo unlimited
setpriv --reuid=0 true 2>/dev/null && echo root
setpriv --reuid=${NEIGHBOUR} true 2>/dev/null && echo neighbour
setpriv --regid=0 true 2>/dev/null && echo group
nice -n -5 true 2>&1 | grep -q . || echo nice
mount -t tmpfs none /mnt 2>/dev/null && echo mounted
chroot / true 2>/dev/null && echo chroot
hostname changed 2>/dev/null && echo hostname
grep NoNewPrivs /proc/self/status | tr -d '\\t'; id -G; echo done; } >$OUT 2>/dev/null`,
    );
    await emperor.vassalWith("tenant.ini", { loyal: 1 });
    expect(out().split("\n")).toEqual(["NoNewPrivs:1", String(TENANT), "done"]);
    await expectCalm(emperor, neighbour);
  });

  rootTest("has no descriptors but the documented ones", async () => {
    const { emperor, neighbour, out } = await attacked(
      // No pipe: the shell itself would hold one end of it.
      "ls -l /proc/$$/fd >$OUT.raw; sed -n 's/.* \\([0-9]*\\) -> \\([a-z/]*\\).*/\\1 \\2/p' $OUT.raw >$OUT; echo told $UWSGI_EMPEROR_FD $UWSGI_EMPEROR_FD_CONFIG >>$OUT",
    );
    await emperor.vassalWith("tenant.ini", { loyal: 1 });
    const lines = out()
      .split("\n")
      .map((line) => line.split(" "));
    const told = lines.pop()?.slice(1) ?? [];
    // What the shell itself opens: its script and the saved output from 10 on, and the directory that it
    // lists, which is closed when the link is read.
    const found = lines.filter(
      ([fd, what]) => Number(fd) < 10 && what !== undefined && what !== "",
    );
    expect(told.length).toBeGreaterThanOrEqual(1);
    expect(found.map(([fd]) => fd)).toEqual(["0", "1", "2", ...told]);
    expect(found.slice(3).map(([, what]) => what)).toEqual(told.map(() => "socket"));
    await expectCalm(emperor, neighbour);
  });

  rootTest("writes without end to the log descriptor holds up nobody", async () => {
    const { emperor, neighbour } = await attacked(
      "head -c 200000000 /dev/zero | tr '\\0' 'x' >&2 & ",
    );
    const tenant = await emperor.vassalWith("tenant.ini", { loyal: 1 });
    await expectCalm(emperor, neighbour);
    await emperor.wait("two hundred megabytes in the log", () => {
      return statSync(`/proc/${emperor.pid}/fd/2`).size > 200_000_000;
    });
    emperor.remove("tenant.ini");
    await emperor.forgotten("tenant.ini");
    await emperor.gone(tenant.pid);
    await expectCalm(emperor, neighbour);
    // The harness reads the whole log at the end; it is an ordinary file of this run.
    writeFileSync(`/proc/${emperor.pid}/fd/2`, "");
  });

  cgroupTest(
    "fills its cgroup with processes that nothing stops is gone when it is removed",
    async () => {
      const own = new OwnCgroups();
      const { emperor, neighbour } = await attacked(
        "(trap '' HUP INT TERM QUIT; while :; do setsid sleep 1000 & done) </dev/null >/dev/null 2>&1 &",
        ["--emperor-cgroup", own.name, "--vassal-cgroup", "pids.max=60"],
      );
      const members = (): number =>
        own
          .vassals()
          .filter((path) => path.includes("tenant"))
          .map((path) => readFileSync(`${path}/cgroup.procs`, "utf8").split("\n").length - 1)
          .reduce((most, count) => Math.max(most, count), 0);
      await emperor.wait("its cgroup to be full", () => members() >= 55);
      await expectCalm(emperor, neighbour);
      emperor.remove("tenant.ini");
      await emperor.forgotten("tenant.ini");
      await emperor.wait("nothing of it to be left", () =>
        own.vassals().every((path) => !path.includes("tenant")),
      );
      await expectCalm(emperor, neighbour);
    },
  );
});
