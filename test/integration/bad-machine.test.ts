/** Bad input, part three: a machine that refuses, and a wall clock that jumps. */
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest } from "../harness/emperor.ts";
import { programTest } from "../harness/privileges.ts";
import { signalTo } from "../harness/processes.ts";

const loyal = vassalConfig("loyal");

function many(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, n) => [`v${String(n).padStart(2, "0")}.ini`, loyal]),
  );
}

function startedNames(emperor: EmperorUnderTest): Set<string> {
  return new Set(emperor.run.reports.of("settled").map((report) => report.name));
}

/** After the refusal: half of the configs go, and all of the other half run in the end. */
async function expectRecovery(
  emperor: EmperorUnderTest,
  names: readonly string[],
  refusal: RegExp,
): Promise<void> {
  await emperor.logged(refusal);
  const running = await emperor.wait("some to run all the same", () => {
    const found = startedNames(emperor);
    return found.size > 0 && found;
  });
  expect(running.size).toBeLessThan(names.length);
  expect(emperor.exit).toBeUndefined();
  const leaving = [...running].slice(0, Math.ceil(running.size / 2));
  for (const name of leaving) emperor.remove(name);
  // Those that were refused take the free places; whoever still finds none goes, too.
  const before = running.size;
  await emperor.wait(
    "a refused one to start in a free place",
    () => startedNames(emperor).size > before,
    30_000,
  );
  const rest = names.filter((name) => !leaving.includes(name));
  for (const name of rest.slice(4)) emperor.remove(name);
  for (const name of rest.slice(0, 4)) await emperor.vassalWith(name, { loyal: 1 });
  expect((await emperor.stats()).blacklist, "a refusal is not held against the vassal").toEqual([]);
}

describe("no more processes (EAGAIN)", () => {
  programTest(["setpriv", "prlimit"], true)(
    "some vassals wait, said once each; they start when there is room",
    async () => {
      // A user of its own: the limit counts all processes and threads of a user. It keeps the right to
      // read the checkout and to write into the folder of this run.
      const uid = 1_000_000 + (process.pid % 1_000_000);
      const vassals = many(40);
      const emperor = await startEmperor({
        launcher: [
          ...["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"],
          ...["--inh-caps=+dac_override", "--ambient-caps=+dac_override"],
          ...["prlimit", "--nproc=32:32"],
        ],
        vassals,
      });
      await expectRecovery(emperor, Object.keys(vassals), /EAGAIN/);
    },
  );
});

describe("no more descriptors (EMFILE)", () => {
  // A vassal takes two: with one limit the last one stays free, with the other none does.
  for (const limit of [80, 81]) {
    programTest(["prlimit"])(
      `at a limit of ${limit} some vassals wait, said; they start when there is room`,
      async () => {
        const vassals = many(60);
        const emperor = await startEmperor({
          launcher: ["prlimit", `--nofile=${limit}:${limit}`],
          vassals,
          impatient: true,
        });
        await expectRecovery(emperor, Object.keys(vassals), /EMFILE/);
      },
    );
  }
});

describe("the wall clock", () => {
  test("jumps a day forth and back: no deadline moves, nobody is killed, deaths are answered at once", async () => {
    const setClock = (emperor: { run: { path: string } }, seconds: number): void => {
      const fd = openSync(join(emperor.run.path, "clock"), "r+");
      const value = Buffer.alloc(8);
      value.writeBigInt64LE(BigInt(seconds));
      writeSync(fd, value, 0, 8, 0);
      closeSync(fd);
    };
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal, "beats.ini": vassalConfig("heartbeat", { ms: 100 }) },
      args: ["--emperor-required-heartbeat", "5"],
      env: { LD_PRELOAD: inject("clockJump"), FIXTURE_CLOCK: "{dir}/clock" },
      prepare: (run) => {
        closeSync(openSync(join(run.path, "clock"), "w"));
        const fd = openSync(join(run.path, "clock"), "r+");
        writeSync(fd, Buffer.alloc(8));
        closeSync(fd);
      },
    });
    const beats = await emperor.vassalWith("beats.ini", { loyal: 1 });
    const day = 86_400;
    let count = 1;
    for (const jump of [day, -day, 0]) {
      setClock(emperor, jump);
      const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
      signalTo(pid, "SIGKILL");
      count += 1;
      const next = await emperor.started("a.ini", count);
      const stats = await emperor.vassalWith("a.ini", { loyal: 1, pid: next.pid });
      // The clock did jump: what is shown follows it.
      expect(Math.abs(stats.last_run - Math.floor(Date.now() / 1000) - jump)).toBeLessThan(60);
      emperor.put("new.ini", loyal);
      const fresh = await emperor.vassalWith("new.ini", { loyal: 1 });
      emperor.remove("new.ini");
      await emperor.gone(fresh.pid);
      await emperor.forgotten("new.ini");
    }
    expect((await emperor.vassal("beats.ini"))?.pid).toBe(beats.pid);
    expect((await emperor.stats()).blacklist).toEqual([]);
  });
});
