/** Bad input, part one: directories and files that are not what they should be. */
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import { programTest } from "../harness/privileges.ts";

const loyal = vassalConfig("loyal");
const NOBODY = 65_534;

/** Root, but bound by file modes like everybody else; a plain user is that anyway. */
const bound =
  process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];
const permissionTest = programTest(bound.slice(0, 1));

function forbid(path: string): void {
  chmodSync(path, 0);
  if (bound.length > 0) chownSync(path, NOBODY, NOBODY);
}

function allow(path: string): void {
  chmodSync(path, 0o755);
}

describe("a directory that cannot be read", () => {
  permissionTest(
    "at the start: said with the reason, the others work, and it is taken up later",
    async () => {
      const emperor = await startEmperor({
        launcher: bound,
        monitors: ["{dir}/secret", "{vassals}"],
        vassals: { "a.ini": loyal },
        prepare: (run) => {
          mkdirSync(join(run.path, "secret"));
          run.put(join(run.path, "secret/hidden.ini"), loyal);
          forbid(join(run.path, "secret"));
        },
      });
      await emperor.vassalWith("a.ini", { loyal: 1 });
      await emperor.logged(/secret.*(EACCES|permission denied)/i);
      expect(emperor.starts("hidden.ini")).toBe(0);
      allow(join(emperor.run.path, "secret"));
      emperor.signal("SIGWINCH");
      await emperor.vassalWith("hidden.ini", { loyal: 1 });
    },
  );

  permissionTest("while it governs: nothing stops, and it is said once", async () => {
    const emperor = await startEmperor({ launcher: bound, vassals: { "a.ini": loyal } });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    forbid(emperor.run.vassals);
    emperor.signal("SIGWINCH");
    await emperor.logged(/(EACCES|permission denied)/i);
    emperor.signal("SIGWINCH");
    expect((await emperor.vassal("a.ini"))?.pid).toBe(pid);
    allow(emperor.run.vassals);
    await emperor.fence();
    expect((await emperor.vassal("a.ini"))?.pid).toBe(pid);
    expect(emperor.log().match(/cannot read the directory/g)).toHaveLength(1);
  });

  test("because it is a file: said, and nothing else suffers", async () => {
    const emperor = await startEmperor({
      monitors: ["dir://{dir}/file", "{vassals}"],
      vassals: { "a.ini": loyal },
      prepare: (run) => {
        writeFileSync(join(run.path, "file"), "");
      },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.logged(/\/file.*(ENOTDIR|not a directory)/i);
  });
});

describe("a config", () => {
  test("that is empty is said; the vassal is started as uWSGI starts it, the others live", async () => {
    const emperor = await startEmperor({ vassals: { "empty.ini": "", "a.ini": loyal } });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.started("empty.ini");
  });

  permissionTest(
    "that cannot be read is the vassal's failure, or with the config pipe the Emperor's message",
    async () => {
      const prepare = (run: {
        vassals: string;
        put: (name: string, text: string) => string;
      }): void => {
        forbid(run.put("secret.ini", vassalConfig("crashes-at-once")));
      };
      const plain = await startEmperor({ launcher: bound, vassals: { "a.ini": loyal }, prepare });
      await plain.vassalWith("a.ini", { loyal: 1 });
      await plain.report("no-config", "secret.ini");
      const piped = await startEmperor({
        launcher: bound,
        vassals: { "a.ini": loyal },
        prepare,
        args: ["--emperor-force-config-pipe"],
      });
      await piped.vassalWith("a.ini", { loyal: 1 });
      await piped.logged(/secret\.ini.*(EACCES|permission denied)/i);
      expect(piped.starts("secret.ini")).toBe(0);
    },
  );

  test("that is a directory, a fifo, a socket or a dangling link is said and skipped", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal },
      prepare: (run) => {
        mkdirSync(join(run.vassals, "folder.ini"));
        execFileSync("mkfifo", [join(run.vassals, "pipe.ini")]);
        execFileSync("ln", ["-s", "/no/such/target", join(run.vassals, "dangling.ini")]);
        const server = createServer().listen(join(run.vassals, "socket.ini"));
        onTestFinished(() => {
          server.close();
        });
      },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    for (const name of ["folder.ini", "pipe.ini", "dangling.ini", "socket.ini"])
      await emperor.logged(name);
    await emperor.fence();
    expect((await emperor.stats()).vassals.map((vassal) => vassal.id)).toEqual(["a.ini"]);
    // A real one in its place is a vassal.
    rmdirSync(emperor.run.at("folder.ini"));
    emperor.put("folder.ini", loyal);
    rmSync(emperor.run.at("pipe.ini"));
    emperor.put("pipe.ini", loyal);
    await emperor.vassalWith("folder.ini", { loyal: 1 });
    await emperor.vassalWith("pipe.ini", { loyal: 1 });
  });

  test("that becomes a directory is a config that is gone", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": loyal } });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    emperor.remove("a.ini");
    mkdirSync(emperor.run.at("a.ini"));
    await emperor.gone(pid);
    await emperor.forgotten("a.ini");
  });

  test("whose name is longer than 254 bytes is said and skipped, in a directory and in a glob", async () => {
    const long = `${"n".repeat(251)}.ini`;
    const folders = ["d".repeat(100), "e".repeat(100), "f".repeat(100)];
    const emperor = await startEmperor({
      monitors: ["{vassals}", "{dir}/deep/*/*/*/*.ini"],
      vassals: { [long]: loyal, "a.ini": loyal },
      prepare: (run) => {
        const deep = join(run.path, "deep", ...folders);
        mkdirSync(deep, { recursive: true });
        run.put(join(deep, "b.ini"), loyal);
      },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.logged(/nnnn.*254/);
    await emperor.logged(/ddd.*254/);
    await emperor.fence();
    expect((await emperor.stats()).vassals.map((vassal) => vassal.id)).toEqual(["a.ini"]);
  });

  test("whose name has a control character is refused and said without forging a log line", async () => {
    const emperor = await startEmperor({
      vassals: { "evil\n[emperor] forged.ini": loyal, "a.ini": loyal },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.logged(/forged\.ini/);
    expect(emperor.log()).not.toMatch(/^\[emperor\] forged/m);
    await emperor.fence();
    expect((await emperor.stats()).vassals.map((vassal) => vassal.id)).toEqual(["a.ini"]);
  });
});
