/** Hooks with the real native package: in the vassal's child, and in the Emperor. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { compileVassal, privateDirectory, RealHands, writeScript } from "./real-hands.fixture.ts";
import { hook } from "./spawn.fixture.ts";

let shared: string;
let program: string;
let directory: string;
let real: RealHands;

beforeAll(() => {
  shared = privateDirectory(0o755);
  program = compileVassal(shared);
});
afterAll(() => rmSync(shared, { recursive: true }));
beforeEach(() => void (directory = privateDirectory(0o777)));
afterEach(async () => {
  expect(await real.close()).toBe(0);
  rmSync(directory, { recursive: true });
});

describe("hooks", () => {
  test("of the vassal run in order, in its directory and environment, and it waits for them", async () => {
    const startHook = writeScript(
      join(directory, "start hook"),
      'echo "$# $1 $UWSGI_VASSALS_DIR" > started; exit 4',
    );
    real = new RealHands(program, directory, {
      startHook,
      hookAsVassal: [
        hook("exec", "cat started > seq; echo one $PPID $PWD ${UWSGI_EMPEROR_FD:+fd} >> seq"),
        hook("write", `"${directory}/two words" hello`),
        hook("mkdir", `${directory}/sub`),
        hook("cd", `${directory}/sub`),
      ],
    });
    const handle = real.start();
    await real.heard(handle, 1);
    expect(readFileSync(join(directory, "seq"), "utf8")).toBe(
      `1 a.ini ${directory}\none ${real.pidOf(handle)} ${directory} fd\n`,
    );
    expect(readFileSync(join(directory, "two words"), "utf8")).toBe("hello");
    expect(readlinkSync(`/proc/${real.pidOf(handle)}/cwd`)).toBe(join(directory, "sub"));
    expect(real.lines).toEqual(
      expect.arrayContaining([
        `[emperor] running vassal start-hook: ${startHook} a.ini`,
        "[emperor] a.ini start-hook returned 4",
      ]),
    );
  });

  test.each([
    ["exec", "kill -TERM $$", "was ended by signal 15"],
    ["exec", "exit 7", "ended with status 7"],
    ["mkdir", "/proc/nope", "failed: ENOENT"],
  ])("of the vassal that fail keep it from starting: %s:%s", async (action, argument, expected) => {
    real = new RealHands(program, directory, {
      hookAsVassal: [hook(action, argument, "hook-as-vassal (e.ini:3)")],
    });
    const handle = real.start();
    const end = await real.ended(handle);
    expect(end).toMatchObject({ kind: "failed", failure: { cause: "vassal" } });
    expect(JSON.stringify(end)).toContain("hook-as-vassal (e.ini:3)");
    expect(JSON.stringify(end)).toContain(expected);
    expect(real.ends()).toHaveLength(1);
  });

  test("that hang do not keep the vassal from being killed", async () => {
    real = new RealHands(program, directory, {
      hookAsVassal: [hook("exec", "echo > hangs; sleep 1000")],
    });
    const handle = real.start();
    await real.until(() => (existsSync(join(directory, "hangs")) ? true : undefined), "the hook");
    real.hands.kill(handle, "SIGKILL", "tree");
    const end = await real.ended(handle);
    expect(end.kind).toBe("failed");
  });

  test("a wrong directory attribute exiles the vassal", async () => {
    real = new RealHands(program, directory, { chdirAttribute: "home" });
    const wrong = await real.ended(
      real.start({ attributes: { home: [join(directory, "nowhere")] } }),
    );
    expect(wrong).toMatchObject({ kind: "failed", failure: { cause: "exile" } });
    const right = real.start({ attributes: { home: [shared] } });
    await real.heard(right, 1);
    expect(readlinkSync(`/proc/${real.pidOf(right)}/cwd`)).toBe(shared);
  });

  test("of the Emperor are its own children and know the vassal", async () => {
    const out = join(directory, "out");
    real = new RealHands(program, directory, {
      hookAsEmperor: [
        hook(
          "exec",
          `echo "$PPID $UWSGI_VASSAL_CONFIG $UWSGI_VASSAL_PID $UWSGI_VASSAL_UID" >> out`,
        ),
        hook("exec", "exit 3"),
        hook("mkdir", "made"),
        hook("append", `${out} end`),
      ],
    });
    const handle = real.start({ uid: 7, gid: 8 });
    await real.started(handle);
    await real.hooks.idle();
    expect(readFileSync(out, "utf8")).toBe(`${process.pid} a.ini ${real.pidOf(handle)} 7\nend`);
    expect(existsSync(join(directory, "made"))).toBe(true);
    expect(real.lines.join("\n")).toContain("it ended with status 3; the vassal runs");
    await real.heard(handle, 1);
  });

  test("before the vassal decide whether there is one", async () => {
    const gate = join(directory, "gate");
    real = new RealHands(program, directory, {
      hookAsEmperorBeforeVassal: [hook("exec", `test -e ${gate}`, "before")],
    });
    expect(await real.ended(real.start())).toMatchObject({
      ...{
        kind: "failed",
        failure: { cause: "vassal", detail: expect.stringContaining("status 1") },
      },
    });
    writeFileSync(gate, "");
    await real.heard(real.start(), 1);
  });

  test("that take too long are killed with all they started", async () => {
    const pids = join(directory, "pids");
    real = new RealHands(program, directory, {
      hookTimeoutMs: 200,
      hookAsEmperor: [hook("exec", `sleep 1000 & echo $! > ${pids}; wait`)],
    });
    const handle = real.start();
    await real.started(handle);
    await real.hooks.idle();
    expect(real.lines.join()).toContain("took longer than 200 ms and was killed");
    await real.gone(Number(readFileSync(pids, "utf8")));
    await real.heard(handle, 1);
  });

  test("that hang are ended when the Emperor cannot wait", async () => {
    real = new RealHands(program, directory, {
      hookAsEmperor: [hook("exec", "sleep 1000 & echo $! > pid.new; mv pid.new pid; wait")],
    });
    const handle = real.start();
    const pid = join(directory, "pid");
    await real.until(() => (existsSync(pid) ? true : undefined), "the hook");
    real.hooks.abandon();
    await real.hooks.idle();
    await real.gone(Number(readFileSync(pid, "utf8")));
    await real.heard(handle, 1);
  });

  test("a fifo without a reader holds up nobody", async () => {
    const fifo = join(directory, "fifo");
    execFileSync("mkfifo", [fifo]);
    real = new RealHands(program, directory, {
      hookTimeoutMs: 200,
      hookAsEmperor: [hook("write", `${fifo} x`), hook("writefifo", `${fifo} x`)],
    });
    const handle = real.start();
    await real.started(handle);
    await real.hooks.idle();
    const lines = real.logger.lines
      .filter(({ level }) => level === "error")
      .map(({ message }) => message);
    expect(lines).toEqual([expect.stringContaining("took longer than 200 ms")]);
    await real.heard(handle, 1);
  });

  test("the stop hook gets the name as it is", async () => {
    const stopHook = writeScript(
      join(directory, "stop.sh"),
      'printf "%s|%s" "$1" "$UWSGI_VASSALS_DIR" > stopped; exit 0',
    );
    real = new RealHands(program, directory, { stopHook: `"${stopHook}"` });
    const name = `a $(id) "b'.ini`;
    real.hooks.vassalEnded({ name, cwd: directory });
    await real.hooks.idle();
    expect(readFileSync(join(directory, "stopped"), "utf8")).toBe(`${name}|${directory}`);
    expect(real.logger.lines.at(-1)?.message).toBe(`[emperor] ${name} stop-hook returned 0`);
  });
});
