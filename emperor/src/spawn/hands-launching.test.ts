/** What happens to a process between the order to start it and the answer. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SpawnFailure } from "@emperor/linux";
import type { Settings } from "../options/settings.ts";
import { fakeHands } from "./fake-hands.fixture.ts";
import { tokenOf, WATCH } from "./process-table.ts";
import { hook, testSpec } from "./spawn.fixture.ts";

const FAILURE: SpawnFailure = {
  ...{ ok: false, stage: "exec", errno: 2, code: "ENOENT" },
  ...{ index: 0, waitStatus: 0 },
};

/** One start that is under way; `launched` lets it come to its end. */
function launching(changes: Partial<Settings> = {}, config?: Uint8Array) {
  const all = fakeHands(changes);
  const held: (() => void)[] = [];
  all.machine.held = held;
  all.hands.spawn(1, testSpec(config === undefined ? {} : { config }), {});
  return {
    ...all,
    launched: (): void => held.shift()?.(),
    exit: (): void => all.machine.emit([{ kind: "exit", token: tokenOf(1, WATCH.process) }]),
  };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a start under way", () => {
  test("is told, watched and written to only when it is over, and keeps the vassal's ends until then", () => {
    const { machine, listener, hands, launched } = launching({}, Uint8Array.of(97));
    expect(listener.told).toEqual([]);
    expect(machine.calls).toEqual([]);
    expect([...machine.open]).toEqual([10, 11, 12, 13]);
    expect(hands.processesAlive).toBe(1);
    expect(hands.send(1, "stop")).toBe(false);
    hands.sendConfig(1, Uint8Array.of(98));
    launched();
    expect(machine.calls).toEqual([
      ...[
        "close 11",
        "close 13",
        "watch process 14",
        "watch channel 10",
        "write 12 5 0 1 0 97",
      ].map((call) => (call.startsWith("write") ? expect.stringMatching(/^write 12 /) : call)),
    ]);
    expect(listener.told).toEqual([{ kind: "spawned", handle: 1, pid: 1001 }]);
  });

  test("that fails gives everything back and is told once", () => {
    const { machine, listener, hands, launched } = launching({}, Uint8Array.of(97));
    machine.answer = () => FAILURE;
    launched();
    expect(listener.told).toMatchObject([{ kind: "failed", handle: 1 }]);
    expect(machine.open.size).toBe(0);
    expect(hands.processesAlive).toBe(0);
  });

  test("may end in another order than it was begun", () => {
    const { machine, listener, hands } = launching();
    hands.spawn(2, testSpec({ name: "b.ini" }), {});
    const [first, second] = machine.held ?? [];
    second?.();
    first?.();
    expect(listener.told).toEqual([
      { kind: "spawned", handle: 2, pid: 1001 },
      { kind: "spawned", handle: 1, pid: 1002 },
    ]);
    hands.kill(2, "SIGTERM", "process");
    expect(machine.calls.at(-1)).toBe("signal 14 15");
  });

  test("runs the hooks after it, not before", async () => {
    const { hands, lines, launched } = launching({ hookAsEmperor: [hook("log", "hello", "as")] });
    await vi.advanceTimersByTimeAsync(0);
    expect(lines()).not.toContain("hello");
    launched();
    const closing = hands.close();
    await vi.runAllTimersAsync();
    await closing;
    expect(lines()).toContain("hello");
  });
});

describe("a start that is killed under way", () => {
  test("is told first and gets the signal as soon as there is a process", () => {
    const { machine, listener, hands, launched } = launching();
    hands.kill(1, "SIGTERM", "process");
    expect(machine.calls).toEqual([]);
    launched();
    expect(listener.told).toEqual([{ kind: "spawned", handle: 1, pid: 1001 }]);
    expect(machine.calls.filter((call) => call.startsWith("signal"))).toEqual(["signal 12 15"]);
  });

  test("gets the strongest of several signals", () => {
    const { machine, hands, launched } = launching();
    hands.kill(1, "SIGKILL", "process");
    hands.kill(1, "SIGKILL", "tree");
    hands.kill(1, "SIGTERM", "process");
    launched();
    expect(machine.calls.filter((call) => call.startsWith("signal"))).toEqual([
      "signal group 1001 9",
      "signal 12 9",
    ]);
  });

  test("and fails is only told to have failed", () => {
    const { machine, listener, hands, launched } = launching();
    hands.kill(1, "SIGKILL", "tree");
    machine.answer = () => FAILURE;
    launched();
    expect(listener.told).toMatchObject([{ kind: "failed" }]);
    expect(machine.calls.filter((call) => call.startsWith("signal"))).toEqual([]);
  });

  test("by its listener, in answer to the news, is signalled once", () => {
    const { machine, listener, hands, launched } = launching();
    listener.onTold = () => hands.kill(1, "SIGKILL", "process");
    launched();
    expect(machine.calls.filter((call) => call.startsWith("signal"))).toEqual(["signal 12 9"]);
  });
});

describe("a start that is released under way", () => {
  test("is ended, reaped in silence and given back", () => {
    const { machine, listener, hands, launched, exit } = launching({}, Uint8Array.of(97));
    hands.release(1);
    hands.release(1);
    expect(hands.processesAlive).toBe(1);
    launched();
    expect(machine.calls.filter((call) => /^(signal|write)/.test(call))).toEqual([
      "signal group 1001 9",
      "signal 14 9",
    ]);
    exit();
    expect(machine.calls).toContain("reap 14");
    expect(listener.told).toEqual([]);
    expect(machine.open.size).toBe(0);
    expect(hands.processesAlive).toBe(0);
  });

  test("and fails leaves nothing and nobody is told", () => {
    const { machine, listener, hands, launched } = launching();
    hands.release(1);
    machine.answer = () => FAILURE;
    launched();
    expect(listener.told).toEqual([]);
    expect(machine.open.size).toBe(0);
    expect(hands.processesAlive).toBe(0);
  });

  test("and cannot be watched is reaped by asking", () => {
    const { machine, listener, hands, launched } = launching();
    hands.release(1);
    machine.watchFailure = "ENOSPC";
    launched();
    expect(machine.calls).toContain("signal 12 9");
    vi.advanceTimersByTime(100);
    expect(machine.calls).toContain("reap 12");
    expect(listener.told).toEqual([]);
    expect(machine.open.size).toBe(0);
  });
});

describe("hands that are closed while a start is under way", () => {
  /** Closes; says whether the closing is over. */
  function closing(hands: { close: () => Promise<void> }): { over: boolean } {
    const state = { over: false };
    void hands.close().then(() => (state.over = true));
    return state;
  }

  test("wait for it, and end and reap its child", async () => {
    const { machine, listener, hands, launched, exit } = launching();
    const state = closing(hands);
    await vi.advanceTimersByTimeAsync(100);
    expect(state.over).toBe(false);
    launched();
    expect(machine.calls).toContain("signal 12 9");
    await vi.advanceTimersByTimeAsync(100);
    expect(state.over).toBe(false);
    exit();
    await vi.advanceTimersByTimeAsync(0);
    expect(state.over).toBe(true);
    expect(machine.calls).toContain("reap 12");
    expect(machine.calls.at(-1)).toBe("close watcher");
    expect(machine.open.size).toBe(0);
    expect(listener.told).toEqual([]);
  });

  test("do not wait for ever, and its child is ended all the same", async () => {
    const { machine, listener, hands, launched } = launching();
    const state = closing(hands);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(state.over).toBe(true);
    // A closed watcher takes no descriptor.
    machine.watchFailure = "EBADF";
    launched();
    expect(machine.calls).toContain("signal 12 9");
    await vi.advanceTimersByTimeAsync(100);
    expect(machine.calls).toContain("reap 12");
    expect(machine.open.size).toBe(0);
    expect(listener.told).toEqual([]);
  });

  test("are closed at once when it fails", async () => {
    const { machine, hands, launched } = launching();
    const state = closing(hands);
    machine.answer = () => FAILURE;
    await vi.advanceTimersByTimeAsync(0);
    launched();
    await vi.advanceTimersByTimeAsync(0);
    expect(state.over).toBe(true);
    expect(machine.open.size).toBe(0);
  });
});
