import type { VassalSpec } from "@emperor/monitors";
import { VASSAL_MESSAGES, type EmperorMessageName } from "@emperor/protocol";
import { describe, expect, test } from "vitest";
import { Gate, type Policy } from "../lifecycle/index.ts";
import { Court, type CourtOptions } from "./court.ts";
import type { Hands, ProcessHandle } from "./hands.ts";
import type { CourtRecord } from "./record.ts";

const POLICY: Policy = {
  throttleMs: 1000,
  maxThrottleMs: 180_000,
  blacklist: true,
  healthyAfterMs: 30_000,
  quickDeathMs: 3000,
  quickDeathsFree: 8,
  heartbeatMs: 30_000,
  curseToleranceMs: 30_000,
  heartbeatGraceMs: 2000,
  startGraceMs: 1000,
  startTimeoutMs: 0,
  waitForCommand: false,
  gracefulStop: false,
  systemRetryMs: 100,
  systemRetryMaxMs: 10_000,
};

/** Hands that note their orders; processes live until the test says otherwise. */
class NotingHands implements Hands {
  readonly orders: string[] = [];
  readonly alarms: (number | undefined)[] = [];
  time = 0;
  onSpawn: (handle: ProcessHandle) => void = () => undefined;

  spawn(handle: ProcessHandle, spec: VassalSpec): void {
    this.orders.push(`spawn ${handle} ${spec.name}`);
    this.onSpawn(handle);
  }
  send(handle: ProcessHandle, message: EmperorMessageName): boolean {
    this.orders.push(`send ${handle} ${message}`);
    return true;
  }
  sendConfig(handle: ProcessHandle): void {
    this.orders.push(`config ${handle}`);
  }
  kill(handle: ProcessHandle, signal: string, scope: string): void {
    this.orders.push(`kill ${handle} ${signal} ${scope}`);
  }
  release(handle: ProcessHandle): void {
    this.orders.push(`release ${handle}`);
  }
  watchSockets(key: number, spec: VassalSpec): undefined {
    this.orders.push(`watch ${key} ${spec.socket}`);
  }
  unwatchSockets(key: number): void {
    this.orders.push(`unwatch ${key}`);
  }
  closeSockets(key: number): void {
    this.orders.push(`close ${key}`);
  }
  now(): number {
    return this.time;
  }
  wallNow(): number {
    return 1_700_000_000_000 + this.time;
  }
  setAlarm(at: number | undefined): void {
    this.alarms.push(at);
  }
}

function spec(name: string, version = "1"): VassalSpec {
  return { name, monitor: "dir:/v", version, modifiedAt: 5, cwd: "/v", attributes: {} };
}

function court(policy: Policy = POLICY, more: Partial<CourtOptions> = {}) {
  const hands = new NotingHands();
  const notices: string[] = [];
  const forgotten: string[] = [];
  const broken: string[] = [];
  const it = new Court({
    hands,
    policy,
    gate: new Gate<CourtRecord>({ maxStarting: 2 }),
    wantedOf: (wanted) => ({
      version: wanted.version,
      identity: "",
      pushed: wanted.config !== undefined,
      onDemand: false,
    }),
    observer: ({ record, notice }) => void notices.push(`${record.spec.name} ${notice.kind}`),
    onForgotten: (record) => void forgotten.push(record.spec.name),
    onBrokenInvariant: (record, event) => void broken.push(`${record.spec.name} ${event.type}`),
    ...more,
  });
  hands.onSpawn = (handle) => it.onSpawned(handle, 1000 + handle);
  return { court: it, hands, notices, forgotten, broken };
}

const LOYAL = Uint8Array.of(
  VASSAL_MESSAGES.spawned,
  VASSAL_MESSAGES.accepting,
  VASSAL_MESSAGES.loyal,
);

describe("Court", () => {
  test("a vassal is started, governed, stopped and forgotten, and nothing is left", () => {
    const { court: it, hands, forgotten } = court();
    it.want(spec("a.ini"));
    it.onBytes(1, LOYAL);
    it.want(spec("a.ini", "2"));
    it.unwant("dir:/v", "a.ini");
    it.onExited(1, { code: 0, signal: null });
    expect(hands.orders).toEqual(["spawn 1 a.ini", "send 1 reload", "send 1 stop", "release 1"]);
    expect(forgotten).toEqual(["a.ini"]);
    expect([it.size, it.processes, it.deadlines]).toEqual([0, 0, 0]);
  });

  test("what arrives for a process of the past reaches nobody", () => {
    const { court: it, notices } = court();
    it.want(spec("a.ini"));
    it.onBytes(1, LOYAL);
    it.onExited(1, { code: null, signal: 9 });
    const before = notices.length;
    it.onBytes(1, LOYAL);
    it.onChannelClosed(1);
    it.onExited(1, { code: 1, signal: null });
    it.onSpawned(1, 7);
    expect(notices.length).toBe(before);
    expect(it.processes).toBe(1);
  });

  test("the gate lets in as many as it has slots, and the next when one speaks", () => {
    const { court: it, hands } = court();
    for (const name of ["a.ini", "b.ini", "c.ini"]) it.want(spec(name));
    expect(hands.orders).toEqual(["spawn 1 a.ini", "spawn 2 b.ini"]);
    it.onBytes(2, Uint8Array.of(VASSAL_MESSAGES.spawned));
    expect(hands.orders.at(-1)).toBe("spawn 3 c.ini");
  });

  test("who shall wait for a command waits, through changes, until one starts it", () => {
    const { court: it, hands } = court(POLICY, {
      waitsForCommand: ({ name }) => name !== "b.ini",
    });
    it.want(spec("a.ini"));
    it.want(spec("b.ini"));
    it.want(spec("a.ini", "2"));
    expect(hands.orders).toEqual(["spawn 1 b.ini"]);
    const a = it.find("dir:/v", "a.ini");
    if (a === undefined) throw new Error("a.ini is not there");
    expect(a.vassal.phase).toEqual({ name: "suspended", reason: "wait-for-command" });
    it.post(a, { type: "start-requested" });
    expect(hands.orders.at(-1)).toBe("spawn 2 a.ini");
    it.onBytes(2, LOYAL);
    it.onExited(2, { code: 1, signal: null });
    // It was told once: a death needs no further command.
    expect(hands.orders.at(-1)).toBe("spawn 3 a.ini");
  });

  test("who has run is started afresh after a broken invariant, without another command", () => {
    const { court: it, hands, broken } = court(POLICY, { waitsForCommand: () => true });
    it.want(spec("a.ini"));
    const a = it.find("dir:/v", "a.ini");
    if (a === undefined) throw new Error("a.ini is not there");
    it.post(a, { type: "start-requested" });
    a.vassal = { ...a.vassal, phase: { name: "nowhere" } as never };
    it.post(a, { type: "timer" });
    expect(broken).toEqual(["a.ini timer"]);
    it.onExited(1, { code: null, signal: 9 });
    expect(hands.orders.filter((order) => order.startsWith("spawn"))).toEqual([
      "spawn 1 a.ini",
      "spawn 2 a.ini",
    ]);
  });

  test("unknown bytes are counted and change nothing", () => {
    const { court: it, notices } = court();
    it.want(spec("a.ini"));
    const before = notices.length;
    it.onBytes(1, Uint8Array.of(200, 201));
    expect(it.find("dir:/v", "a.ini")?.facts.unknownBytes).toBe(2);
    expect(notices.length).toBe(before);
  });

  test("the alarm is set for the earliest deadline and never put off", () => {
    const { court: it, hands } = court();
    it.want(spec("a.ini"));
    expect(hands.alarms).toEqual([POLICY.startGraceMs]);
    it.onBytes(1, LOYAL);
    expect(hands.alarms).toEqual([POLICY.startGraceMs]);
    hands.time = POLICY.startGraceMs;
    it.onAlarm();
    expect(hands.alarms.length).toBeLessThanOrEqual(2);
  });

  test("errands run at their time, and not after they were called off", () => {
    const { court: it, hands } = court();
    const done: string[] = [];
    it.schedule(50, () => void done.push("mercy"));
    const cancel = it.schedule(40, () => void done.push("called off"));
    cancel();
    hands.time = 50;
    it.onAlarm();
    expect(done).toEqual(["mercy"]);
  });

  test("a broken state costs that vassal its process, once, and it starts afresh after the exit", () => {
    let fails = false;
    const policy = new Proxy(POLICY, {
      get(target, key, receiver): unknown {
        if (fails && key === "gracefulStop") throw new Error("invariant");
        return Reflect.get(target, key, receiver);
      },
    });
    const { court: it, hands, broken } = court(policy);
    it.want(spec("a.ini"));
    it.want(spec("b.ini"));
    for (const handle of [1, 2]) it.onBytes(handle, LOYAL);
    const victim = it.find("dir:/v", "a.ini");
    if (victim === undefined) throw new Error("a.ini is not there");
    fails = true;
    it.post(victim, { type: "stop-requested" });
    fails = false;
    expect(broken).toEqual(["a.ini stop-requested"]);
    expect(hands.orders.at(-1)).toBe("kill 1 SIGKILL tree");
    it.onBytes(1, LOYAL);
    expect(it.processes).toBe(2);
    it.onExited(1, { code: null, signal: 9 });
    expect(hands.orders.slice(-2)).toEqual(["release 1", "spawn 3 a.ini"]);
    it.unwant("dir:/v", "b.ini");
    expect(hands.orders.at(-1)).toBe("send 2 stop");
  });
});
