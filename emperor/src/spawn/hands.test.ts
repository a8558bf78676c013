import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SpawnFailure, SpawnOptions, SpawnResult, SpawnStage } from "@emperor/linux";
import type { Settings } from "../options/settings.ts";
import { fakeHands } from "./fake-hands.fixture.ts";
import { FLOOD_BYTES } from "./flood.ts";
import { tokenOf, WATCH } from "./process-table.ts";
import { exitStatus, hook, testSpec } from "./spawn.fixture.ts";

function failure(stage: SpawnStage, code: string, more: Partial<SpawnFailure> = {}): SpawnFailure {
  return { ok: false, stage, errno: code === "" ? 0 : 1, code, index: -1, waitStatus: 0, ...more };
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a start", () => {
  test("gives the vassal its channel, /dev/null and the Emperor's output, and nothing else", () => {
    const { machine, listener, hands } = fakeHands();
    hands.spawn(1, testSpec(), {});
    const options = machine.spawned[0]!;
    expect(options).toMatchObject({
      ...{ mode: "shared", session: true, parentDeathSignal: 9, cwd: "/etc/vassals" },
      programs: [{ path: "/opt/vassal", argv0: "/opt/vassal" }],
      args: ["--ini", "a.ini"],
    });
    expect(options.fds).toEqual([
      { from: -1, to: 0 },
      { from: 1, to: 1 },
      { from: 2, to: 2 },
      { from: 11, to: 3 },
    ]);
    expect(options.env).toContain("UWSGI_EMPEROR_FD=3");
    expect(options.env.join(" ")).not.toContain("UWSGI_EMPEROR_FD_CONFIG");
    expect(listener.told).toEqual([{ kind: "spawned", handle: 1, pid: 1001 }]);
    expect([...machine.open]).toEqual([10, 12]);
    expect(hands.processesAlive).toBe(1);
  });

  test("with a pushed config opens a second pair and sends one packet, unasked", () => {
    const { machine, hands } = fakeHands();
    hands.spawn(1, testSpec({ config: text("[uwsgi]") }), {});
    expect(machine.spawned[0]!.fds.at(-1)).toEqual({ from: 13, to: 4 });
    expect(machine.spawned[0]!.args).toEqual(["--ini", "emperor://a.ini"]);
    expect(machine.calls.filter((call) => call.startsWith("write"))).toEqual(["write 12 11 bytes"]);
  });

  test.each([
    ["no descriptors at all", 0],
    ["no descriptors for the pipe", 1],
  ])("with %s fails for the system's sake and leaks nothing", (_, after) => {
    const { machine, listener, hands } = fakeHands();
    machine.pairFailure = { after, code: "EMFILE" };
    hands.spawn(1, testSpec({ config: text("x") }), {});
    expect(listener.told).toEqual([
      expect.objectContaining({ failure: expect.objectContaining({ cause: "system" }) }),
    ]);
    expect(machine.open.size).toBe(0);
    expect(hands.processesAlive).toBe(0);
  });

  test.each<[SpawnStage, string, string, string]>([
    ["clone", "EAGAIN", "system", "making the process failed: EAGAIN"],
    ["clone", "ENOMEM", "system", "ENOMEM"],
    ["clone", "EPERM", "vassal", "EPERM"],
    ["exec", "EAGAIN", "system", "EAGAIN"],
    ["cwd", "ENOENT", "vassal", "entering its directory /etc/vassals failed: ENOENT"],
    ["late-cwd", "ENOENT", "exile", "directory of its attribute"],
    ["uid", "EPERM", "vassal", "changing its user failed: EPERM"],
    ["exec", "ENOENT", "vassal", "no program could be executed: /opt/vassal (ENOENT)"],
    ["prepare", "EINVAL", "exile", "EINVAL"],
  ])("that fails at %s with %s is the fault of: %s", (stage, code, cause, detail) => {
    const { machine, listener, hands } = fakeHands();
    machine.answer = () => failure(stage, code);
    hands.spawn(1, testSpec(), {});
    expect(listener.told).toEqual([
      { kind: "failed", handle: 1, failure: { cause, detail: expect.stringContaining(detail) } },
    ]);
    expect(machine.open.size).toBe(0);
  });

  test("that cannot be watched is ended and reaped by asking", () => {
    const { machine, listener, hands } = fakeHands();
    machine.watchFailure = "ENOSPC";
    hands.spawn(1, testSpec(), {});
    expect(listener.told).toMatchObject([{ kind: "failed", failure: { cause: "system" } }]);
    expect(machine.calls).toContain("signal 12 9");
    expect(hands.processesAlive).toBe(1);
    vi.advanceTimersByTime(100);
    expect(machine.calls).toContain("reap 12");
    expect(machine.open.size).toBe(0);
    expect(listener.told).toHaveLength(1);
  });

  test("with a config that no pipe can carry waits for another config", () => {
    const { listener, hands, machine } = fakeHands();
    hands.spawn(1, testSpec({ config: new Uint8Array(70_000) }), {});
    hands.spawn(2, testSpec({ config: new Uint8Array(0) }), {});
    expect(listener.told).toMatchObject([
      {
        kind: "failed",
        failure: { cause: "exile", detail: expect.stringContaining("70000 bytes") },
      },
      { kind: "failed", failure: { cause: "exile", detail: expect.stringContaining("is empty") } },
    ]);
    expect(machine.spawned).toEqual([]);
  });

  test("in Tyrant mode as root is refused before anything is made", () => {
    const { listener, hands, machine } = fakeHands({ tyrant: true });
    hands.spawn(1, testSpec({ uid: 0, gid: 5 }), {});
    expect(listener.told).toMatchObject([
      {
        failure: {
          cause: "exile",
          detail: expect.stringContaining("invalid permissions for vassal a.ini"),
        },
      },
    ]);
    expect(machine.spawned).toEqual([]);
  });

  test("says which overrides and fallbacks were tried", () => {
    const { machine, hands, lines } = fakeHands({
      ...{ wrapper: "/w", wrapperOverride: ["/o"], wrapperFallback: ["/f1", "/f2"] },
    });
    machine.answer = (options) => ({
      ...(machine.running(options) as SpawnResult & { ok: true }),
      program: 2,
    });
    hands.spawn(1, testSpec(), {});
    expect(machine.spawned[0]!.programs.map(({ path }) => path)).toEqual([
      "/o",
      "/w",
      "/f1",
      "/f2",
    ]);
    expect(lines()).toEqual([
      "[emperor] trying to use /o as binary wrapper ...",
      "[emperor] trying to use /f1 as binary fallback ...",
    ]);
  });
});

describe("a start with hooks", () => {
  const hooked = { startHook: "/bin/true --flag", hookAsVassal: [hook("exec", "exit 3")] };

  function started(changes: Partial<Settings> = hooked) {
    const all = fakeHands(changes);
    all.hands.spawn(7, testSpec(), {});
    const statusToken = tokenOf(7, WATCH.status);
    const exitToken = tokenOf(7, WATCH.process);
    return {
      ...all,
      status: (more: object) =>
        all.machine.emit([{ kind: "status", token: statusToken, program: -1, ...more }]),
      exit: () => all.machine.emit([{ kind: "exit", token: exitToken }]),
    };
  }

  test("runs them in the child, the start hook first, with the vassal's directory", () => {
    const { machine, lines } = started();
    const { actions, mode } = machine.spawned[0] as SpawnOptions;
    expect(mode).toBe("copied");
    expect(actions).toMatchObject([
      { kind: "argv", argv: ["/bin/true", "--flag", "a.ini"], tolerant: true },
      { kind: "shell", shell: "/bin/sh", line: "exit 3", tolerant: false },
    ]);
    const [first] = actions!;
    expect(first?.kind === "argv" && first.env).toContain("UWSGI_VASSALS_DIR=/etc/vassals");
    expect(lines()).toContain("[emperor] running vassal start-hook: /bin/true --flag a.ini");
  });

  test("tells the result of the start hook, whatever it was", () => {
    const { status, lines } = started();
    status({ program: 0, tolerated: [failure("action", "", { index: 0, waitStatus: 3 << 8 })] });
    expect(lines()).toContain("[emperor] a.ini start-hook returned 3");
    const other = started();
    other.status({ program: 0 });
    expect(other.lines()).toContain("[emperor] a.ini start-hook returned 0");
  });

  test.each([["status first"], ["exit first"]])(
    "a failed hook is a failed start and never an exit: %s",
    (order) => {
      const { listener, machine, status, exit } = started();
      const fail = { failure: failure("action", "", { index: 1, waitStatus: 3 << 8 }) };
      if (order === "status first") {
        status(fail);
        exit();
      } else {
        exit();
        status(fail);
      }
      expect(listener.told).toEqual([
        { kind: "spawned", handle: 7, pid: 1001 },
        {
          ...{ kind: "failed", handle: 7 },
          failure: {
            cause: "vassal",
            detail: 'a hook, hook-as-vassal: "exec:exit 3" ended with status 3',
          },
        },
      ]);
      expect(machine.open.size).toBe(0);
    },
  );

  test("a program that ends after its hooks has an exit, in either order", () => {
    const { listener, machine, status, exit, hands } = started();
    machine.status = exitStatus(null, 11);
    exit();
    expect(listener.told).toHaveLength(1);
    status({ program: 0 });
    expect(listener.told.at(-1)).toEqual({
      ...{ kind: "exited", handle: 7, status: { code: null, signal: 11 } },
    });
    hands.release(7);
    expect(machine.open.size).toBe(0);
  });

  test("a directory attribute that fails exiles the vassal", () => {
    const { machine, listener, status, exit } = started({
      ...hooked,
      chdirAttribute: "home",
    });
    expect(machine.spawned[0]!.lateCwd).toBeUndefined();
    status({ failure: failure("late-cwd", "ENOENT") });
    exit();
    expect(listener.told.at(-1)).toMatchObject({ kind: "failed", failure: { cause: "exile" } });
  });
});

describe("a running process", () => {
  function running() {
    const all = fakeHands();
    all.hands.spawn(1, testSpec(), {});
    all.machine.calls.length = 0;
    all.listener.told.length = 0;
    const token = tokenOf(1, WATCH.channel);
    return {
      ...all,
      token,
      exit: { kind: "exit" as const, token: tokenOf(1, WATCH.process) },
      hear: (bytes: Uint8Array, eof = false) =>
        all.machine.emit([{ kind: "channel", token, bytes, eof }]),
    };
  }

  test("is heard, and listened to again at once", () => {
    const { hear, listener, machine, token } = running();
    hear(Uint8Array.of(1, 5));
    expect(listener.told).toEqual([{ kind: "bytes", handle: 1, bytes: [1, 5] }]);
    expect(machine.calls).toEqual([`rearm ${token}`]);
  });

  test("that closes its channel is said so once, after its last bytes", () => {
    const { hear, listener, machine, token } = running();
    hear(Uint8Array.of(17), true);
    hear(new Uint8Array(0), true);
    expect(listener.told.slice(0, 2)).toEqual([
      { kind: "bytes", handle: 1, bytes: [17] },
      { kind: "closed", handle: 1 },
    ]);
    expect(machine.calls).toContain(`unwatch ${token}`);
    expect(machine.calls).not.toContain(`rearm ${token}`);
  });

  test("gets messages as one byte each; a full or lost channel says no", () => {
    const { hands, machine } = running();
    expect(hands.send(1, "reload")).toBe(true);
    expect(hands.send(1, "graceful-stop")).toBe(true);
    expect(machine.calls).toEqual(["write 10 1", "write 10 2"]);
    machine.onWrite = () => 0;
    expect(hands.send(1, "stop")).toBe(false);
    machine.onWrite = () => {
      throw Object.assign(new Error("gone"), { code: "EPIPE" });
    };
    expect(hands.send(1, "stop")).toBe(false);
    expect(hands.send(99, "stop")).toBe(false);
  });

  test("is signalled by pidfd, its tree by group as well", () => {
    const { hands, machine } = running();
    hands.kill(1, "SIGTERM", "process");
    hands.kill(1, "SIGKILL", "tree");
    hands.kill(99, "SIGKILL", "tree");
    expect(machine.calls).toEqual(["signal 12 15", "signal group 1001 9", "signal 12 9"]);
  });

  test("that ends: its group first, its last words, then the reaping, then the news", () => {
    const { listener, machine, exit } = running();
    machine.unread = Uint8Array.of(17);
    machine.status = exitStatus(1);
    machine.emit([exit]);
    expect(machine.calls).toEqual([
      "signal group 1001 9",
      `unwatch ${tokenOf(1, WATCH.channel)}`,
      "read 10 4096",
      "reap 12",
      `unwatch ${exit.token}`,
    ]);
    expect(listener.told).toEqual([
      { kind: "bytes", handle: 1, bytes: [17] },
      { kind: "exited", handle: 1, status: { code: 1, signal: null } },
    ]);
  });

  test("is heard although the watcher had read and not delivered it, and in order", () => {
    const { listener, machine, exit } = running();
    machine.taken = Uint8Array.of(5);
    machine.unread = Uint8Array.of(17);
    machine.emit([exit]);
    expect(listener.told.slice(0, 2)).toEqual([
      { kind: "bytes", handle: 1, bytes: [5] },
      { kind: "bytes", handle: 1, bytes: [17] },
    ]);
  });

  test("is heard before its end is told, also when the watcher saw the end first", () => {
    const { listener, machine, exit, token } = running();
    machine.emit([exit, { kind: "channel", token, bytes: Uint8Array.of(17), eof: true }]);
    expect(listener.told.map(({ kind }) => kind)).toEqual(["bytes", "closed", "exited"]);
    expect(machine.calls).not.toContain(`rearm ${token}`);
  });

  test("is never signalled after it was reaped", () => {
    const { hands, machine, exit } = running();
    machine.emit([exit]);
    machine.calls.length = 0;
    hands.kill(1, "SIGKILL", "tree");
    expect(machine.calls).toEqual([]);
    expect(hands.processesAlive).toBe(0);
  });

  test("gives everything back when it is released, the watcher first", () => {
    const { hands, machine, exit } = running();
    machine.emit([exit]);
    hands.release(1);
    hands.release(1);
    expect(machine.open.size).toBe(0);
    expect(machine.watched.size).toBe(0);
    expect(machine.calls.slice(-2)).toEqual(["close 12", "close 10"]);
  });

  test("released alive is killed, reaped in silence and given back", () => {
    const { hands, machine, listener, exit } = running();
    hands.release(1);
    expect(machine.calls).toEqual(["signal group 1001 9", "signal 12 9"]);
    machine.emit([exit]);
    expect(listener.told).toEqual([]);
    expect(machine.open.size).toBe(0);
  });

  test("that the kernel does not give up yet is asked for again", () => {
    const { machine, listener, exit } = running();
    machine.status = undefined;
    machine.emit([exit]);
    expect(listener.told).toEqual([]);
    machine.status = exitStatus(0);
    vi.advanceTimersByTime(100);
    expect(listener.told).toMatchObject([{ kind: "exited" }]);
  });

  test("that floods is heard slowly and reported once; a second vassal notices nothing", () => {
    const { hands, hear, machine, listener, lines, token, advance } = running();
    hands.spawn(2, testSpec({ name: "b.ini" }), {});
    const chunk = new Uint8Array(256);
    for (let sent = 0; sent <= FLOOD_BYTES; sent += 256) hear(chunk);
    const rearms = () => machine.calls.filter((call) => call === `rearm ${token}`).length;
    expect(rearms()).toBe(FLOOD_BYTES / 256);
    vi.advanceTimersByTime(100);
    expect(rearms()).toBe(FLOOD_BYTES / 256 + 1);
    hear(chunk);
    const other = { kind: "channel" as const, token: tokenOf(2, WATCH.channel), eof: false };
    machine.emit([{ ...other, bytes: Uint8Array.of(1) }]);
    expect(machine.calls.at(-1)).toBe(`rearm ${other.token}`);
    expect(listener.told.at(-1)).toEqual({ kind: "bytes", handle: 2, bytes: [1] });
    expect(lines().filter((line) => line.includes("floods its channel"))).toHaveLength(1);
    advance(1000);
    hear(Uint8Array.of(1));
    expect(machine.calls.at(-1)).toBe(`rearm ${token}`);
  });
});
