import { describe, expect, test } from "vitest";
import type { SetupAction } from "@emperor/linux";
import { memoryLogger } from "../log/logger.ts";
import type { Settings } from "../options/settings.ts";
import { Lanes, type Command, type CommandResult } from "./command-runner.ts";
import { EmperorHooks } from "./emperor-hooks.ts";
import { readHooks } from "./hook-set.ts";
import { hook, testSettings, testSpec } from "./spawn.fixture.ts";

const FINE: CommandResult = { status: 0, problem: undefined };

function setUp(
  changes: Partial<Settings>,
  answer: (command: Command) => CommandResult = () => FINE,
) {
  const reading = readHooks(testSettings(changes), "/bin");
  if (!reading.ok) throw new Error(reading.problems.join());
  const did: (Command | SetupAction | string)[] = [];
  const logger = memoryLogger();
  const hooks = new EmperorHooks(
    reading.hooks,
    {
      run: async (command) => {
        did.push(command);
        return answer(command);
      },
      endRunning: () => void did.push("end"),
      perform: async (action) => {
        did.push(action);
        return action.kind === "mkdir" ? "EEXIST" : undefined;
      },
      performWithin: async (action, { pidfd, namespaces, variables }) => {
        did.push(action, `in ${namespaces} of ${pidfd} for ${variables["UWSGI_VASSAL_PID"]}`);
        return action.kind === "mkdir" ? "EEXIST" : undefined;
      },
      openProcess: (pid) => (pid === 7 ? undefined : 1000 + pid),
      closeProcess: (pidfd) => void did.push(`close ${pidfd}`),
      environment: () => ({ BASE: "1" }),
      changeDirectory: (path) => void did.push(`cd ${path}`),
      setVariable: (name, value) => void did.push(`${name} is ${value}`),
      exit: (code) => void did.push(`exit ${code}`),
    },
    logger,
  );
  return { hooks, did, lines: () => logger.lines.map(({ message }) => message) };
}

const spec = testSpec({ uid: 1000, gid: 100 });

describe("hooks in the Emperor", () => {
  const setnsHooks = [
    { namespaces: 5, hook: hook("mkdir", "/x", "hook-as-emperor-setns") },
    { namespaces: 6, hook: hook("exec", "ip link", "hook-as-emperor-setns") },
  ];

  test("as-emperor-setns join the vassal's namespaces, each its own, and go on after a failure", async () => {
    const isolation = { ...testSettings().isolation, setnsHooks };
    const { hooks, did, lines } = setUp({ isolation });
    hooks.afterSpawn(spec, 42);
    await hooks.idle();
    expect(did).toEqual([
      { kind: "mkdir", path: "/x", mode: 0o777 },
      "in 5 of 1042 for 42",
      { kind: "shell", shell: "/bin/sh", line: "ip link", tolerant: false },
      "in 6 of 1042 for 42",
      "close 1042",
    ]);
    expect(lines().join("\n")).toMatch(/as-emperor-setns\) failed: EEXIST; the vassal runs/);
  });

  test("as-emperor-setns of a vassal that is gone fail", async () => {
    const isolation = { ...testSettings().isolation, setnsHooks };
    const { hooks, did, lines } = setUp({ isolation });
    hooks.afterSpawn(spec, 7);
    await hooks.idle();
    expect(did).toEqual([]);
    expect(lines().filter((line) => line.includes("failed: the vassal is gone"))).toHaveLength(2);
  });

  test("as-emperor commands know the vassal and go on after a failure", async () => {
    const { hooks, did, lines } = setUp(
      {
        hookAsEmperor: [
          hook("exec", "echo $PPID", "hook-as-emperor"),
          hook("exec", "b", "exec-as-emperor"),
        ],
      },
      () => ({ status: 1, problem: "it ended with status 1" }),
    );
    hooks.afterSpawn(spec, 42);
    expect(hooks.pending).toBe(1);
    await hooks.idle();
    expect(did).toMatchObject([
      {
        file: "/bin/sh",
        args: ["-c", "echo $PPID"],
        env: {
          BASE: "1",
          ...{ UWSGI_VASSAL_CONFIG: "a.ini", UWSGI_VASSAL_PID: "42" },
          ...{ UWSGI_VASSAL_UID: "1000", UWSGI_VASSAL_GID: "100" },
        },
      },
      { args: ["-c", "b"] },
    ]);
    expect(lines()).toContain('running "exec:echo $PPID" (as-emperor)...');
    expect(lines().filter((line) => line.includes("the vassal runs nevertheless"))).toHaveLength(2);
  });

  test("before-vassal stops at the first failure and says which it was", async () => {
    const { hooks, did } = setUp({
      hookAsEmperorBeforeVassal: [
        hook("mkdir", "/x", "hook-as-emperor-before-vassal (e.ini:3)"),
        hook("exec", "never"),
      ],
    });
    expect(await hooks.beforeVassal(spec)).toBe(
      'hook-as-emperor-before-vassal (e.ini:3): "mkdir:/x" (as-emperor-before-vassal) failed: EEXIST',
    );
    expect(did).toHaveLength(1);
  });

  test("cd, putenv and exit change the Emperor itself, the rest is done by a child", async () => {
    const { hooks, did, lines } = setUp({
      hookEmperorStart: [
        hook("cd", "/srv"),
        hook("putenv", "A=b=c"),
        hook("unlink", "/x"),
        hook("log", "hello"),
        hook("safeexec", "false"),
        hook("exit", "3"),
      ],
    });
    let changes = 0;
    hooks.onEnvironmentChange = () => (changes += 1);
    expect(await hooks.ownPhase("emperor-start")).toBeUndefined();
    expect(await hooks.ownPhase("asap")).toBeUndefined();
    expect(did).toMatchObject([
      ...["cd /srv", "A is b=c"],
      { kind: "unlink", path: "/x" },
      { args: ["-c", "false"] },
      "exit 3",
    ]);
    expect(changes).toBe(1);
    expect(lines()).toContain("hello");
  });

  test("the stop hook gets name and directory and its result is told", async () => {
    const { hooks, did, lines } = setUp({ stopHook: "/bin/true -x" }, () => ({
      status: 3,
      problem: "it ended with status 3",
    }));
    hooks.vassalEnded(testSpec({ name: "a\nb.ini" }));
    await hooks.idle();
    expect(did).toMatchObject([
      {
        ...{ file: "/bin/true", args: ["-x", "a\nb.ini"] },
        env: { BASE: "1", UWSGI_VASSALS_DIR: "/etc/vassals" },
      },
    ]);
    expect(lines()).toEqual([
      String.raw`[emperor] running vassal stop-hook: /bin/true -x "a\nb.ini"`,
      String.raw`[emperor] "a\nb.ini" stop-hook returned 3 (it ended with status 3)`,
    ]);
  });

  test("abandoned ones are killed or dropped, and nothing new runs", async () => {
    const { hooks, did, lines } = setUp({
      stopHook: "/bin/true",
      hookAsEmperor: [hook("exec", "first"), hook("exec", "second")],
    });
    hooks.afterSpawn(spec, 42);
    hooks.abandon();
    hooks.abandon();
    hooks.vassalEnded(spec);
    await hooks.idle();
    expect(did).toMatchObject([{ args: ["-c", "first"] }, "end"]);
    expect(lines().filter((line) => line.includes("not waited for"))).toHaveLength(1);
  });

  test("without hooks nothing runs and nobody waits", async () => {
    const { hooks, did } = setUp({});
    hooks.afterSpawn(spec, 1);
    hooks.vassalEnded(spec);
    await hooks.idle();
    expect(hooks.hasBeforeVassal).toBe(false);
    expect(did).toEqual([]);
  });
});

test("lanes run at most so many at a time, in order, and fall idle", async () => {
  const lanes = new Lanes(2);
  const started: number[] = [];
  const ends: (() => void)[] = [];
  const jobs = [0, 1, 2, 3].map((number) =>
    lanes.run(async () => {
      started.push(number);
      await new Promise<void>((resolve) => (ends[number] = resolve));
      if (number === 1) throw new Error("one fails");
      return number;
    }),
  );
  const results = Promise.allSettled(jobs);
  await Promise.resolve();
  expect(started).toEqual([0, 1]);
  expect(lanes.size).toBe(4);
  for (const number of [1, 0, 2, 3]) {
    while (ends[number] === undefined) await Promise.resolve();
    ends[number]();
  }
  await lanes.untilIdle();
  expect(started).toEqual([0, 1, 2, 3]);
  expect((await results).map(({ status }) => status)).toEqual([
    ...["fulfilled", "rejected", "fulfilled", "fulfilled"],
  ]);
  expect(lanes.size).toBe(0);
});
