import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { fakeHands } from "./fake-hands.fixture.ts";
import { testSpec } from "./spawn.fixture.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("config packets", () => {
  test("that do not fit are finished later, one at a time", () => {
    const { machine, hands } = fakeHands();
    let room = 6;
    const written: number[] = [];
    machine.onWrite = (bytes) => {
      const count = Math.min(room, bytes.length);
      room -= count;
      if (count > 0) written.push(...bytes.subarray(0, count));
      return count;
    };
    hands.spawn(1, testSpec({ config: text("abcdef") }), {});
    hands.sendConfig(1, text("XXXXXX"));
    expect(written).toHaveLength(6);
    room = 100;
    vi.advanceTimersByTime(100);
    expect(new TextDecoder().decode(Uint8Array.from(written).subarray(4))).toBe("abcdef");
    hands.sendConfig(1, text("second"));
    expect(new TextDecoder().decode(Uint8Array.from(written).subarray(14))).toBe("second");
  });

  test("for a vassal without a pipe, or too long ones, are not written", () => {
    const { machine, hands, lines } = fakeHands();
    hands.spawn(1, testSpec(), {});
    hands.spawn(2, testSpec({ config: text("x") }), {});
    machine.calls.length = 0;
    hands.sendConfig(1, text("x"));
    hands.sendConfig(2, new Uint8Array(65_536));
    expect(machine.calls).toEqual([]);
    expect(lines().join()).toContain("has 65536 bytes");
  });
});

describe("the alarm", () => {
  test("rings once, at its instant, and the last call counts", () => {
    const { hands, listener, advance } = fakeHands();
    hands.setAlarm(1500);
    hands.setAlarm(1200);
    vi.advanceTimersByTime(199);
    expect(listener.told).toEqual([]);
    advance(200);
    vi.advanceTimersByTime(1);
    expect(listener.told).toEqual([{ kind: "alarm" }]);
    vi.advanceTimersByTime(10_000);
    expect(listener.told).toHaveLength(1);
  });

  test("set again by the one it rings, may be taken away, and waits longer than Node's timers can", () => {
    const { hands, listener, advance } = fakeHands();
    hands.setAlarm(1100);
    hands.setAlarm(undefined);
    vi.advanceTimersByTime(1000);
    expect(listener.told).toEqual([]);
    hands.setAlarm(1000 + 2 ** 31 + 5000);
    vi.advanceTimersByTime(2 ** 31 - 1);
    expect(listener.told).toEqual([]);
    advance(2 ** 31 + 5000);
    vi.advanceTimersByTime(2 ** 31 - 1);
    expect(listener.told).toEqual([{ kind: "alarm" }]);
  });
});

test("closing gives every descriptor back and stops the clock", async () => {
  const { hands, machine, listener } = fakeHands();
  hands.spawn(1, testSpec({ config: text("x") }), {});
  hands.setAlarm(1100);
  await hands.close();
  vi.advanceTimersByTime(1000);
  expect(machine.open.size).toBe(0);
  expect(machine.calls.at(-1)).toBe("close watcher");
  expect(listener.told).toHaveLength(1);
});
