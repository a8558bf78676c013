/** Attacks by names, owners, links and permissions of configs in Tyrant mode. */
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { emperorCommand, type EmperorUnderTest } from "../harness/emperor.ts";
import { rootTest } from "../harness/privileges.ts";
import { ANN, BOB, folderOf, plant, startTyrant } from "./tenants.ts";
import { signalTo } from "../harness/processes.ts";

const loyal = vassalConfig("loyal");

function timesLogged(emperor: EmperorUnderTest, text: string): number {
  return emperor.log().split(text).length - 1;
}

function killIfAlive(pid: number): void {
  try {
    signalTo(pid, "SIGKILL");
  } catch {
    // The Emperor was faster.
  }
}

/** A config of a harmless user is started: whatever was put before has been judged. */
async function fence(emperor: EmperorUnderTest): Promise<void> {
  const name = `fence-${process.hrtime.bigint()}.ini`;
  plant(emperor.run, name, loyal, ANN);
  emperor.signal("SIGWINCH");
  await emperor.vassalWith(name, { loyal: 1 });
  emperor.remove(name);
  await emperor.forgotten(name);
}

describe("the owner", () => {
  rootTest(
    "root's config is refused once, with whose it is and how to mend it; mended it starts",
    async () => {
      const emperor = await startTyrant({ prepare: (run) => plant(run, "root.ini", loyal, 0) });
      const line = await emperor.logged("invalid permissions for vassal root.ini");
      expect(line).toContain(`${emperor.run.at("root.ini")} belongs to user root`);
      expect(line).toContain("chown USER:GROUP");
      for (let look = 0; look < 3; look += 1) await fence(emperor);
      expect(timesLogged(emperor, "invalid permissions for vassal root.ini")).toBe(1);
      expect(emperor.starts("root.ini")).toBe(0);
      chownSync(emperor.run.at("root.ini"), ANN, ANN);
      const { uid, gid } = await emperor.started("root.ini");
      expect([uid, gid]).toEqual([ANN, ANN]);
    },
  );

  rootTest(
    "root's group is refused; nobody and a user that is gone are users like others",
    async () => {
      const emperor = await startTyrant({
        prepare: (run) => {
          plant(run, "group.ini", loyal, ANN, 0o644, 0);
          plant(run, "nobody.ini", loyal, 65_534);
          plant(run, "gone.ini", loyal, BOB);
        },
      });
      await emperor.logged("invalid permissions for vassal group.ini");
      expect(await emperor.started("nobody.ini")).toMatchObject({ uid: 65_534 });
      expect(await emperor.started("gone.ini")).toMatchObject({ uid: BOB, gid: BOB });
      expect(emperor.starts("group.ini")).toBe(0);
    },
  );

  rootTest("a change of owner stops the vassal and starts it as the new one", async () => {
    const emperor = await startTyrant({ prepare: (run) => plant(run, "a.ini", loyal, ANN) });
    const first = await emperor.vassalWith("a.ini", { loyal: 1, uid: ANN });
    chownSync(emperor.run.at("a.ini"), BOB, BOB);
    const second = await emperor.started("a.ini", 2);
    expect([second.uid, second.gid]).toEqual([BOB, BOB]);
    await emperor.gone(first.pid);
    await emperor.vassalWith("a.ini", { loyal: 1, uid: BOB });
    chownSync(emperor.run.at("a.ini"), 0, 0);
    await emperor.gone(second.pid);
    await emperor.forgotten("a.ini");
  });

  rootTest("ranges and lists of users keep others out", async () => {
    const emperor = await startTyrant({
      args: [
        "--emperor-tyrant-uid-min",
        "1000",
        "--emperor-tyrant-uid-max",
        "61500",
        "--emperor-tyrant-deny-user",
        `${BOB},nobody`,
      ],
      prepare: (run) => {
        plant(run, "low.ini", loyal, 999);
        plant(run, "high.ini", loyal, 61_501);
        plant(run, "denied.ini", loyal, BOB);
        plant(run, "fine.ini", loyal, ANN);
      },
    });
    await emperor.vassalWith("fine.ini", { loyal: 1 });
    await emperor.logged(/low\.ini.*only the users 1000 to 61500/);
    await emperor.logged(/high\.ini.*only the users 1000 to 61500/);
    await emperor.logged(/denied\.ini.*emperor-tyrant-deny-user/);
    await fence(emperor);
    expect(["low.ini", "high.ini", "denied.ini"].map((name) => emperor.starts(name))).toEqual([
      0, 0, 0,
    ]);
  });

  rootTest(
    "an allow list lets nobody else in, and a name that is nobody's is an error",
    async () => {
      const emperor = await startTyrant({
        args: ["--emperor-tyrant-allow-user", String(ANN)],
        prepare: (run) => {
          plant(run, "other.ini", loyal, BOB);
          plant(run, "fine.ini", loyal, ANN);
        },
      });
      await emperor.vassalWith("fine.ini", { loyal: 1 });
      await emperor.logged(/other\.ini.*emperor-tyrant-allow-user/);
      const { code, output } = await emperorCommand([
        "--emperor",
        "{vassals}",
        "--emperor-tyrant",
        "--emperor-tyrant-allow-user",
        "no-such-user-here",
      ]);
      expect(code).toBe(100);
      expect(output).toContain("there is no such user");
    },
  );
});

describe("permissions", () => {
  rootTest(
    "a config that others may write is refused, stops when it becomes so, and is mended by chmod",
    async () => {
      const emperor = await startTyrant({
        prepare: (run) => {
          plant(run, "open.ini", loyal, ANN, 0o666);
          plant(run, "later.ini", loyal, ANN);
        },
      });
      await emperor.logged(/open\.ini.*mode 0666.*chmod go-w/);
      const { pid } = await emperor.vassalWith("later.ini", { loyal: 1 });
      chmodSync(emperor.run.at("later.ini"), 0o664);
      await emperor.gone(pid);
      await emperor.logged(/later\.ini.*mode 0664.*chmod go-w/);
      chmodSync(emperor.run.at("open.ini"), 0o644);
      expect(await emperor.started("open.ini")).toMatchObject({ uid: ANN });
      expect(emperor.starts("later.ini")).toBe(1);
    },
  );

  rootTest("a directory that others may write is refused, and an option accepts both", async () => {
    const emperor = await startTyrant({
      monitors: ["{dir}/shared"],
      prepare: (run) => plant(run, join(folderOf(run, "shared", 0, 0o1777), "a.ini"), loyal, ANN),
    });
    await emperor.logged(/a\.ini.*shared has mode 1777.*chmod go-w/);
    expect(emperor.starts("a.ini")).toBe(0);
    chmodSync(join(emperor.run.path, "shared"), 0o755);
    expect(await emperor.started("a.ini")).toMatchObject({ uid: ANN });
    const lenient = await startTyrant({
      args: ["--emperor-tyrant-allow-writable"],
      monitors: ["{dir}/shared"],
      prepare: (run) =>
        plant(run, join(folderOf(run, "shared", 0, 0o777), "a.ini"), loyal, ANN, 0o666),
    });
    expect(await lenient.started("a.ini")).toMatchObject({ uid: ANN });
  });
});

describe("links", () => {
  rootTest("hard links to root's and to a neighbour's config give nothing", async () => {
    const emperor = await startTyrant({
      monitors: ["{dir}/bob"],
      prepare: (run) => {
        const bobs = folderOf(run, "bob", BOB);
        linkSync(plant(run, join(run.path, "ann.ini"), loyal, ANN), join(bobs, "ann.ini"));
        linkSync(plant(run, join(run.path, "root.ini"), loyal, 0), join(bobs, "root.ini"));
        plant(run, join(bobs, "own.ini"), loyal, BOB);
      },
    });
    expect(await emperor.started("own.ini")).toMatchObject({ uid: BOB });
    await emperor.logged(/vassal root\.ini: .*belongs to user root/);
    await emperor.logged(/vassal ann\.ini: .*(names|belongs to user)/);
    emperor.signal("SIGWINCH");
    await emperor.vassalWith("own.ini", { loyal: 1 });
    expect([emperor.starts("ann.ini"), emperor.starts("root.ini")]).toEqual([0, 0]);
  });

  rootTest("a symbolic link to a neighbour's config does not run as the neighbour", async () => {
    for (const args of [[], ["--emperor-tyrant-nofollow"], ["--emperor-nofollow"]]) {
      const emperor = await startTyrant({
        args,
        prepare: (run) => {
          const target = plant(run, join(folderOf(run, "ann", ANN), "app.ini"), loyal, ANN);
          symlinkSync(target, run.at("evil.ini"));
          lchownSync(run.at("evil.ini"), BOB, BOB);
        },
      });
      await emperor.logged(/vassal evil\.ini: on the way to it/);
      await fence(emperor);
      expect(emperor.starts("evil.ini"), args.join()).toBe(0);
    }
  });

  rootTest(
    "a config that is swapped for a link to a neighbour's never runs as the neighbour",
    async () => {
      const emperor = await startTyrant({
        monitors: ["{dir}/bob"],
        prepare: (run) => {
          plant(run, join(folderOf(run, "ann", ANN), "app.ini"), loyal, ANN);
          plant(run, join(folderOf(run, "bob", BOB), "b.ini"), loyal, BOB);
        },
      });
      const { path } = emperor.run;
      for (let round = 1; round <= 5; round += 1) {
        const { pid } = await emperor.vassalWith("b.ini", { loyal: 1 });
        symlinkSync(join(path, "ann/app.ini"), join(path, "bob/swap"));
        lchownSync(join(path, "bob/swap"), BOB, BOB);
        renameSync(join(path, "bob/swap"), join(path, "bob/b.ini"));
        // Killed in this moment, so that it would be started again with what lies there now.
        killIfAlive(pid);
        await emperor.forgotten("b.ini");
        plant(emperor.run, join(path, "bob/b.ini"), loyal, BOB);
      }
      await emperor.vassalWith("b.ini", { loyal: 1 });
      expect(new Set(emperor.run.reports.of("started", "b.ini").map(({ uid }) => uid))).toEqual(
        new Set([BOB]),
      );
    },
  );

  rootTest(
    "a directory that a tenant replaces by a link to a neighbour's gives nothing",
    async () => {
      const emperor = await startTyrant({
        monitors: ["{dir}/homes/*/vassals/*.ini"],
        prepare: (run) => {
          mkdirSync(join(run.path, "homes"));
          for (const [name, owner] of [
            ["ann", ANN],
            ["bob", BOB],
          ] as const) {
            folderOf(run, `homes/${name}`, owner);
            folderOf(run, `homes/${name}/vassals`, owner);
          }
          plant(run, join(run.path, "homes/ann/vassals/app.ini"), loyal, ANN);
        },
      });
      const anns = join(emperor.run.path, "homes/ann/vassals/app.ini");
      await emperor.vassalWith(anns, { loyal: 1 });
      const bobs = join(emperor.run.path, "homes/bob/vassals");
      renameSync(bobs, `${bobs}-away`);
      symlinkSync(join(emperor.run.path, "homes/ann/vassals"), bobs);
      lchownSync(bobs, BOB, BOB);
      emperor.signal("SIGWINCH");
      // One file that two monitors or names find is one vassal, or the second is refused; never a second start.
      plant(emperor.run, join(emperor.run.path, "homes/ann/vassals/fence.ini"), loyal, ANN);
      await emperor.vassalWith(join(emperor.run.path, "homes/ann/vassals/fence.ini"), { loyal: 1 });
      expect(emperor.starts(join(bobs, "app.ini"))).toBe(0);
      unlinkSync(bobs);
    },
  );
});

rootTest("odd names are names: no shell, no line and no path is made of them", async () => {
  const names = [
    "$(touch owned).ini",
    "`touch owned`.ini",
    "a;touch owned;.ini",
    "..ini",
    "a:b.ini",
    'q"uote.ini',
    "'.ini",
    "-x.ini",
    "sp ace.ini",
    `${"n".repeat(250)}.ini`,
  ];
  const emperor = await startTyrant({
    args: ["--emperor-magic-exec", "--exec-as-emperor", "true", "--vassals-stop-hook", "/bin/true"],
    prepare: (run) => {
      for (const name of names) plant(run, name, loyal, ANN);
      plant(run, "line\nbreak.ini", loyal, ANN);
      plant(run, `${"m".repeat(251)}.ini`, loyal, ANN);
      writeFileSync(
        Buffer.concat([
          Buffer.from(`${run.vassals}/`),
          Buffer.from([0xff, 0xfe]),
          Buffer.from(".ini"),
        ]),
        loyal,
      );
    },
  });
  for (const name of names) expect(await emperor.started(name)).toMatchObject({ uid: ANN });
  await emperor.logged(/"line\\nbreak\.ini" is ignored/);
  await emperor.logged("not valid UTF-8");
  await emperor.logged(/"m{251}\.ini" is ignored: its name has 255 bytes/);
  expect(emperor.run.reports.all().filter(({ name }) => name.includes("break"))).toEqual([]);
  for (const place of [emperor.run.path, emperor.run.vassals, "/"])
    expect(() => chmodSync(join(place, "owned"), 0o600)).toThrow("ENOENT");
});
