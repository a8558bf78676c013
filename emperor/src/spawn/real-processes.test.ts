/**
 * The hands with the real native package: descriptors, environment, sessions, trees and deaths of tiny
 * programs. Every process is a child of the test, watched by its pidfd until it is reaped.
 */
import { chmodSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { rootTest } from "../../../linux/test/privileges.ts";
import { FLOOD_BYTES } from "./flood.ts";
import { compileVassal, privateDirectory, readProc, RealHands } from "./real-hands.fixture.ts";

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

describe("a process", () => {
  test("has its descriptors, directory, arguments and environment and leads its own session", async () => {
    real = new RealHands(program, directory, {
      set: ["a=b"],
      environment: [{ name: "UWSGI_VASSAL_X", value: "1" }],
    });
    const handle = real.start({ config: Buffer.from("[uwsgi]") });
    await real.heard(handle, 1);
    const pid = real.pidOf(handle);
    const fds = Object.fromEntries(
      readdirSync(`/proc/${pid}/fd`).map((fd) => [fd, readlinkSync(`/proc/${pid}/fd/${fd}`)]),
    );
    expect(Object.keys(fds)).toEqual(["0", "1", "2", "3", "4"]);
    expect(fds["0"]).toBe("/dev/null");
    expect(fds["1"]).toBe(readlinkSync("/proc/self/fd/1"));
    expect([fds["3"], fds["4"]]).toEqual([
      expect.stringMatching(/^socket:/),
      expect.stringMatching(/^socket:/),
    ]);
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe(directory);
    expect(readProc(pid, "cmdline").split("\0")).toEqual([
      program,
      "--set",
      "a=b",
      "--ini",
      "emperor://a.ini",
      "",
    ]);
    const env = readProc(pid, "environ").split("\0");
    expect(env).toEqual(
      expect.arrayContaining(["UWSGI_X=1", "UWSGI_EMPEROR_FD=3", "UWSGI_EMPEROR_FD_CONFIG=4"]),
    );
    // Fields after the name: state, parent, group, session.
    const stat = readProc(pid, "stat")
      .replace(/^.*\) /, "")
      .split(" ");
    expect(stat.slice(1, 4).map(Number)).toEqual([process.pid, pid, pid]);
    expect(readProc(pid, "status")).toMatch(/SigBlk:\t0000000000000000/);
    expect(readProc(pid, "status")).toMatch(/SigIgn:\t0000000000000000/);
  });

  test("obeys messages and is reaped with its status", async () => {
    real = new RealHands(program, directory, {});
    const handle = real.start();
    await real.heard(handle, 1);
    expect(real.hands.send(handle, "reload")).toBe(true);
    await real.heard(handle, 101);
    expect(real.hands.send(handle, "graceful-stop")).toBe(true);
    await real.heard(handle, 102);
    expect(real.hands.send(handle, "stop")).toBe(true);
    expect(await real.ended(handle)).toEqual({
      kind: "exited",
      handle,
      status: { code: 0, signal: null },
    });
  });

  test("that speaks and dies at once is heard to the last byte", async () => {
    real = new RealHands(program, directory, {
      environment: [{ name: "MODE", value: "last-words" }],
    });
    const handles = Array.from({ length: 50 }, () => real.start({ name: "x.ini" }));
    for (const handle of handles) {
      const end = await real.ended(handle);
      expect(end).toMatchObject({ status: { code: 3 } });
      expect(real.bytesOf(handle)).toEqual([1, 5, 17]);
    }
  });

  test("that closes its channel lives on, and is said to have closed it once", async () => {
    real = new RealHands(program, directory, { environment: [{ name: "MODE", value: "close" }] });
    const handle = real.start();
    await real.until(
      () => real.listener.told.find(({ kind }) => kind === "closed"),
      "the closed channel",
    );
    expect(real.hands.send(handle, "stop")).toBe(false);
    real.hands.kill(handle, "SIGTERM", "process");
    expect(await real.ended(handle)).toMatchObject({ status: { code: null, signal: 15 } });
    expect(real.listener.told.filter(({ kind }) => kind === "closed")).toHaveLength(1);
  });

  test("that stopped itself cannot escape SIGKILL", async () => {
    real = new RealHands(program, directory, {});
    const handle = real.start();
    await real.heard(handle, 1);
    process.kill(real.pidOf(handle), "SIGSTOP");
    await real.until(
      () => (readProc(real.pidOf(handle), "stat").includes(") T ") ? true : undefined),
      "the stop",
    );
    real.hands.send(handle, "stop");
    real.hands.kill(handle, "SIGKILL", "tree");
    expect(await real.ended(handle)).toMatchObject({ status: { signal: 9 } });
  });

  test("takes its family along when it is killed, and when it dies by itself", async () => {
    real = new RealHands(program, directory, { environment: [{ name: "MODE", value: "family" }] });
    for (const how of ["kill", "death"] as const) {
      const handle = real.start();
      await real.heard(handle, 1);
      const pid = real.pidOf(handle);
      const child = Number(readProc(pid, `task/${pid}/children`).trim());
      expect(child).toBeGreaterThan(1);
      if (how === "kill") real.hands.kill(handle, "SIGKILL", "tree");
      else real.hands.send(handle, "stop");
      await real.ended(handle);
      await real.gone(child);
    }
  });

  test("that floods is heard slowly and reported once, while another is heard at once", async () => {
    real = new RealHands(program, directory, { environment: [{ name: "MODE", value: "flood" }] });
    const loud = real.start({ name: "loud.ini" });
    await real.until(
      () => (real.bytesOf(loud).length > FLOOD_BYTES ? true : undefined),
      "the flood",
    );
    const quiet = real.start({ name: "quiet.ini" });
    await real.heard(quiet, 1);
    expect(real.bytesOf(loud).length).toBeLessThan(8 * 1024);
    await real.heard(loud, 1);
    expect(real.bytesOf(loud)).toHaveLength(8 * 1024 + 1);
    expect(
      real.logger.lines.filter(({ message }) => message.includes("floods its channel")),
    ).toHaveLength(1);
  });

  test("gets one config packet at its start and one for each request", async () => {
    real = new RealHands(program, directory, { environment: [{ name: "MODE", value: "config" }] });
    const config = Buffer.alloc(65_535, "a");
    const handle = real.start({ config });
    await real.until(
      () => (real.bytesOf(handle).length >= 3 ? true : undefined),
      "the first config",
    );
    real.hands.sendConfig(handle, Buffer.from("b"));
    await real.until(
      () => (real.bytesOf(handle).length >= 7 ? true : undefined),
      "the second config",
    );
    const sum = (97 * 65_535) & 127;
    expect(real.bytesOf(handle)).toEqual([115, 255, sum | 128, 115, 1, 98 | 128, 1]);
  });
});

describe("programs", () => {
  test("that cannot be executed are named, each with its reason", async () => {
    real = new RealHands(program, directory, {
      wrapper: join(shared, "missing"),
      wrapperFallback: ["/etc/passwd", "no-such-program-here"],
    });
    const end = await real.ended(real.start());
    expect(end).toMatchObject({ kind: "failed", failure: { cause: "vassal" } });
    expect(JSON.stringify(end)).toContain(
      `${shared}/missing (ENOENT), /etc/passwd (EACCES), no-such-program-here (ENOENT`,
    );
  });

  test("fall back, and a script without a first line runs by the shell", async () => {
    const plain = join(directory, "plain");
    writeFileSync(plain, `echo "$0 $*" > out\nexit 5\n`);
    chmodSync(plain, 0o755);
    real = new RealHands(program, directory, {
      wrapper: join(shared, "missing"),
      wrapperFallback: [plain],
    });
    expect(await real.ended(real.start())).toMatchObject({ status: { code: 5 } });
    expect(readFileSync(join(directory, "out"), "utf8")).toBe(`${plain} --ini a.ini\n`);
    expect(real.lines).toContain(`[emperor] trying to use ${plain} as binary fallback ...`);
  });

  test("start in their directory, or are told that there is none", async () => {
    real = new RealHands(program, directory, {});
    const end = await real.ended(real.start({ cwd: join(directory, "nowhere") }));
    expect(end).toMatchObject({
      ...{
        kind: "failed",
        failure: { cause: "vassal", detail: expect.stringContaining("nowhere failed: ENOENT") },
      },
    });
  });

  test("with a name that no call can carry wait for another config", async () => {
    real = new RealHands(program, directory, {});
    expect(await real.ended(real.start({ name: "a\0.ini" }))).toMatchObject({
      failure: { cause: "exile" },
    });
  });
});

rootTest("in Tyrant mode a vassal runs as its owner and with no other rights", async () => {
  real = new RealHands(program, directory, { tyrant: true });
  const handle = real.start({ uid: 65_534, gid: 65_533 });
  await real.heard(handle, 1);
  const status = readProc(real.pidOf(handle), "status");
  expect(status).toMatch(/Uid:\t65534\t65534\t65534\t65534/);
  expect(status).toMatch(/Gid:\t65533\t65533\t65533\t65533/);
  expect(status).toMatch(/Groups:\t\s*\n/);
});
