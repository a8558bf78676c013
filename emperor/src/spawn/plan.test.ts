import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { VassalSpec } from "@emperor/monitors";
import type { Settings } from "../options/settings.ts";
import { readHooks } from "./hook-set.ts";
import { CLONE } from "./isolation.ts";
import { mayRun } from "./magic-exec.ts";
import { chooseDescriptors, Planner, type Plan } from "./plan.ts";
import { programCandidates } from "./program-path.ts";
import { describeExecFailure, ProgramChain } from "./programs.ts";
import { usableSafeFds } from "./safe-fds.ts";
import { hook, testSettings, testSpec, testTyrant } from "./spawn.fixture.ts";
import { parseLifeHook } from "./start-hook.ts";

const ROOT = { uid: 0, gid: 0, groups: [0] };

function plannerOf(changes: Partial<Settings> = {}, ids = ROOT) {
  const settings = testSettings(changes);
  const reading = readHooks(settings, "/usr/bin:/bin");
  if (!reading.ok) throw new Error(reading.problems.join());
  const warnings: string[] = [];
  const planner = new Planner({
    settings,
    hooks: reading.hooks,
    environment: () => ({ PATH: "/usr/bin:/bin", A: "1" }),
    ids,
    warn: (message) => warnings.push(message),
    ...testTyrant(settings),
  });
  const plan = (spec: Partial<VassalSpec> = {}, zerg?: number): Plan => {
    const answer = planner.plan(testSpec(spec), zerg);
    if (!answer.ok) throw new Error(answer.detail);
    return answer.plan;
  };
  return { planner, plan, warnings };
}

describe("the plan", () => {
  test("is shared memory unless something must happen in the child", () => {
    expect(plannerOf().plan().fixed.mode).toBe("shared");
    expect(plannerOf({ hookAsVassal: [hook("exec", "true")] }).plan().fixed.mode).toBe("copied");
    expect(plannerOf({ hookAsVassalBeforeDrop: [hook("cd", "/")] }).plan().fixed).toMatchObject({
      ...{ mode: "copied", actions: [], beforeDropActions: [{ kind: "chdir", path: "/" }] },
    });
    expect(plannerOf({ startHook: "/bin/true" }).plan().fixed.mode).toBe("copied");
    expect(plannerOf({ cloneFlags: CLONE.newUser }).plan().fixed.mode).toBe("shared");
    expect(plannerOf({ cloneFlags: CLONE.newPid }).plan().fixed.mode).toBe("shared");
    expect(plannerOf({ hookAsVassal: [hook("print", "x")] }).plan().fixed.mode).toBe("shared");
  });

  test("keeps safe descriptors under their numbers and its own out of their way", () => {
    expect(chooseDescriptors([])).toEqual({ channel: 3, config: 4 });
    expect(chooseDescriptors([3, 5])).toEqual({ channel: 4, config: 6 });
    const { planner, plan } = plannerOf({ safeFds: [3, 5] });
    expect(planner.fds(20, 21).slice(3)).toEqual([
      { from: 3, to: 3 },
      { from: 5, to: 5 },
      { from: 20, to: 4 },
      { from: 21, to: 6 },
    ]);
    expect(plan({ config: new Uint8Array(1) }).fixed.env).toEqual(
      expect.arrayContaining(["UWSGI_EMPEROR_FD=4", "UWSGI_EMPEROR_FD_CONFIG=6"]),
    );
  });

  test("takes wrapper and directory from attributes", () => {
    const { plan } = plannerOf({
      ...{ wrapper: "/w", wrapperOverride: ["/o"], wrapperAttribute: "w", chdirAttribute: "home" },
    });
    const own = plan({ attributes: { w: ["/own", "/second"], home: ["/srv"] } });
    expect(own.fixed.programs.map(({ path }) => path)).toEqual(["/o", "/own"]);
    expect(own.fixed.lateCwd).toBe("/srv");
    expect(plan().fixed.programs.map(({ path }) => path)).toEqual(["/o", "/w"]);
    expect(plan().fixed.lateCwd).toBeUndefined();
  });

  test("uses one list of programs and one environment for all ordinary vassals", () => {
    const { plan } = plannerOf();
    const one = plan();
    const other = plan({ name: "b.ini" });
    expect(other.fixed.env).toBe(one.fixed.env);
    expect(other.programs).toBe(one.programs);
  });

  test("has credentials, namespaces and capabilities only where they are wanted", () => {
    expect(plannerOf().plan().fixed).not.toHaveProperty("credentials");
    const { plan } = plannerOf({
      ...{ tyrant: true, cloneFlags: CLONE.newMount | CLONE.newUts, capabilities: [6, 7] },
    });
    expect(plan({ uid: 1000, gid: 100 }).fixed).toMatchObject({
      credentials: { uid: 1000, gid: 100, groups: [] },
      ...{ namespaces: CLONE.newMount | CLONE.newUts, makeMountsPrivate: true },
      capabilityBound: [6, 7, 8],
    });
  });

  test("gives a zerg its number", () => {
    const { plan } = plannerOf();
    const zerg = plan({ name: "b.ini:zerg" }, 3);
    expect(zerg.fixed.args).toEqual(["--ini", "b.ini:zerg"]);
    expect(zerg.fixed.env).toContain("UWSGI_BROODLORD_NUM=3");
  });
});

describe("programs", () => {
  test("without a slash are looked up along PATH, never in the vassal's own directory", () => {
    expect(programCandidates("uwsgi", "/usr/bin::.:rel:/bin")).toEqual([
      "/usr/bin/uwsgi",
      "/bin/uwsgi",
    ]);
    expect(programCandidates("./uwsgi", "/bin")).toEqual(["./uwsgi"]);
    expect(programCandidates("uwsgi", undefined).length).toBeGreaterThan(0);
  });

  test("keep their name as argv[0], and a failure names each with its reason", () => {
    const list = new ProgramChain(
      testSettings({ wrapper: "no-such-program", wrapperFallback: ["/etc/passwd", "/bin/sh"] }),
    ).of(testSpec(), "/usr/bin:/bin");
    expect(list.candidates.slice(0, 2)).toEqual([
      { path: "/usr/bin/no-such-program", argv0: "no-such-program" },
      { path: "/bin/no-such-program", argv0: "no-such-program" },
    ]);
    expect(describeExecFailure(list, "ENOEXEC")).toBe(
      "no program could be executed: no-such-program (ENOENT, searched along PATH), /etc/passwd (EACCES), /bin/sh (ENOEXEC)",
    );
  });
});

describe("magic exec", () => {
  let directory: string;
  beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "magic-exec-"))));
  afterEach(() => rmSync(directory, { recursive: true }));

  function file(name: string, mode: number): Partial<VassalSpec> {
    const path = join(directory, name);
    writeFileSync(path, "#!/bin/sh\n");
    chmodSync(path, mode);
    return { name, path, cwd: directory };
  }
  const ids = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: [] };

  test("keeps uWSGI's argument and makes it work: the directory joins the vassal's PATH", () => {
    const { plan } = plannerOf({ magicExec: true }, ids);
    const { fixed } = plan(file("x.ini", 0o755));
    expect(fixed.args).toEqual(["--ini", "exec://x.ini"]);
    expect(fixed.env).toContain(`PATH=/usr/bin:/bin:${directory}`);
    const plain = plan(file("y.ini", 0o644)).fixed;
    expect(plain.args).toEqual(["--ini", "y.ini"]);
    expect(plain.env).toContain("PATH=/usr/bin:/bin");
  });

  test("of a pattern's match uses the path as it is", () => {
    const { plan } = plannerOf({ magicExec: true }, ids);
    const match = file("x.ini", 0o755);
    const name = `${directory}/x.ini`;
    expect(plan({ ...match, name }).fixed.args).toEqual(["--ini", `exec://${name}`]);
  });

  test("needs no pipe although the config was read", () => {
    const { plan } = plannerOf({ magicExec: true }, ids);
    const made = plan({ ...file("x.ini", 0o755), config: new Uint8Array(3) });
    expect(made).toMatchObject({ piped: false, fixed: { args: ["--ini", "exec://x.ini"] } });
  });

  test("is refused, once per change, to names that mean something to a shell", () => {
    const { plan, warnings } = plannerOf({ magicExec: true }, ids);
    const odd = file("a;id>b.ini", 0o755);
    expect(plan(odd).fixed.args).toEqual(["--ini", "a;id>b.ini"]);
    plan(odd);
    expect(warnings).toEqual([expect.stringContaining("mean something to a shell")]);
    plan({ ...odd, version: "2" });
    expect(warnings).toHaveLength(2);
  });

  test("is refused to files of others without Tyrant, and theirs with it", () => {
    // As seen by an Emperor that is neither root nor the file's owner.
    const others = { uid: ids.uid + 4242, gid: ids.gid, groups: [] };
    const { plan, warnings } = plannerOf({ magicExec: true }, others);
    const own = file("x.ini", 0o755);
    // A file of root is trusted by everybody, so this holds only where the owner is somebody else.
    const expected = ids.uid === 0 ? "exec://x.ini" : "x.ini";
    expect(plan(own).fixed.args).toEqual(["--ini", expected]);
    expect(warnings).toHaveLength(ids.uid === 0 ? 0 : 1);
  });

  test.each([
    [0o755, { uid: 0, gid: 0 }, true],
    [0o644, { uid: 0, gid: 0 }, false],
    [0o700, { uid: 10, gid: 1 }, true],
    [0o070, { uid: 10, gid: 20 }, false],
    [0o050, { uid: 1, gid: 20 }, true],
    [0o005, { uid: 1, gid: 1 }, true],
    [0o011, { uid: 1, gid: 20 }, false],
  ])("mode %o for %j: %s", (mode, runner, expected) => {
    const found = mayRun({ mode, uid: 10, gid: 20 }, { ...runner, groups: [], tyrant: true });
    expect(found).toBe(expected);
  });
});

describe("start and stop hook", () => {
  test("a text that names a file is that file, blanks and all; else it has arguments", () => {
    const directory = mkdtempSync(join(tmpdir(), "life-hook-"));
    try {
      const path = join(directory, "my hook");
      writeFileSync(path, "");
      expect(parseLifeHook(path, undefined)).toMatchObject({ argv: [path] });
      expect(parseLifeHook(`"${path}" --all 'two words'`, undefined)).toMatchObject({
        argv: [path, "--all", "two words"],
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
    expect(parseLifeHook("sh -c x", "/usr/bin:/bin")).toMatchObject({
      argv: [expect.stringMatching(/^\/.*\/sh$/), "-c", "x"],
    });
    expect(parseLifeHook("  ", undefined)).toEqual({ problem: "a program is missing" });
    expect(parseLifeHook("'a", undefined)).toMatchObject({
      problem: expect.stringContaining("never closed"),
    });
  });

  test("mistakes in hooks are collected over all options", () => {
    const reading = readHooks(
      testSettings({
        stopHook: "'a",
        hookAsEmperor: [hook("nope", "", "hook-as-emperor")],
        hookAsap: [hook("chmod", "x", "hook-asap")],
      }),
      undefined,
    );
    expect(reading.ok || reading.problems).toEqual([
      expect.stringContaining("vassals-stop-hook"),
      expect.stringContaining("hook-asap"),
      expect.stringContaining("hook-as-emperor"),
    ]);
  });
});

test("safe descriptors that cannot be passed on are left out, with a warning", () => {
  const warnings: string[] = [];
  const open: Record<number, string> = { 5: "socket:[1]", 6: "anon_inode:[eventpoll]" };
  const usable = usableSafeFds(
    [1, 5, 5, 6, 7],
    (message) => warnings.push(message),
    (fd) => open[fd],
  );
  expect(usable).toEqual([5]);
  expect(warnings).toEqual([
    expect.stringContaining("safe-fd 6 belongs to the Emperor"),
    expect.stringContaining("safe-fd 7 is not open"),
  ]);
});
