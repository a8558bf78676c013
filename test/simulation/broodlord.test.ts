/**
 * Demand that goes up and down, in simulated time: the real Emperor, simulated vassals that ask for
 * reinforcements as often as they like, zergs that leave, die or cannot be started. Judged from outside.
 */
import { VASSAL_MESSAGES } from "@emperor/protocol";
import type { ImperialMonitor, MonitorSink, VassalSpec } from "@emperor/monitors";
import { expect, test } from "vitest";
import { createEmperor } from "../../emperor/src/court/emperor.ts";
import type { RunningEmperor } from "../../emperor/src/court/running-emperor.ts";
import { loggerOf } from "../../emperor/src/log/logger.ts";
import { buildSettings } from "../../emperor/src/options/build-settings.ts";
import { EntryReader } from "../../emperor/src/options/entry-reader.ts";
import type { BroodlordSettings, Settings } from "../../emperor/src/options/settings.ts";
import { Chance } from "./chance.ts";
import { FakeMachine, Violation, type FakeProcess, type Program } from "./fake-machine.ts";

/** How zergs of this run behave. */
interface Manners {
  /** A zerg says that it is done after so long; 0: never. */
  readonly leavesAfterMs: number;
  readonly dies: boolean;
  readonly spawnFails: "system" | "vassal" | undefined;
}

const GOOD: Manners = { leavesAfterMs: 0, dies: false, spawnFails: undefined };

class Hive implements Program, ImperialMonitor {
  readonly id = "dir:/simulated";
  readonly address = "/simulated";
  readonly machine = new FakeMachine(this);
  readonly lines: string[] = [];
  readonly emperor: RunningEmperor;
  readonly #chance: Chance;
  sink: MonitorSink | undefined;
  manners: Manners = GOOD;
  starts = 0;
  most = 0;

  constructor(chance: Chance, changes: Partial<BroodlordSettings>, others: Partial<Settings> = {}) {
    this.#chance = chance;
    const settings = buildSettings(new EntryReader([]), {
      startDirectory: "/",
      defaultBinaryPath: "/vassal",
    });
    const broodlord = { most: 4, perVassal: 4, attribute: "zergs", cooldownMs: 3000, ...changes };
    this.emperor = createEmperor({
      settings: { ...settings, broodlord, ...others },
      logger: loggerOf(
        (line) => {
          this.lines.push(line.message);
          if (line.level === "fatal") throw new Violation(`${line.message} ${line.detail ?? ""}`);
        },
        () => undefined,
      ),
      monitors: [this],
      createHands: (listener) => {
        this.machine.listener = listener;
        return this.machine;
      },
      hooks: {
        vassalEnded: () => undefined,
        idle: async () => undefined,
        abandon: () => undefined,
      },
      refusalOf: () => undefined,
      version: "0.0.0",
      identity: { pid: 1, uid: 0, gid: 0, cwd: "/" },
    });
  }

  async start(sink: MonitorSink): Promise<void> {
    this.sink = sink;
  }

  rescan(): void {
    // Everything is said by `wants`.
  }

  async close(): Promise<void> {
    this.sink = undefined;
  }

  wants(name: string, version = "1", changes: Partial<VassalSpec> = {}): void {
    this.sink?.upsert({
      name,
      monitor: this.id,
      version,
      modifiedAt: 0,
      cwd: "/",
      attributes: {},
      ...changes,
    });
  }

  ordered(process: FakeProcess): void {
    const { spec } = process;
    const isZerg = spec.name.endsWith(":zerg");
    if (isZerg) {
      this.starts += 1;
      if (this.manners.spawnFails !== undefined)
        return this.machine.spawnFails(process, { cause: this.manners.spawnFails, detail: "so" });
    }
    this.machine.spawned(process);
    this.says(process, VASSAL_MESSAGES.spawned, VASSAL_MESSAGES.accepting, VASSAL_MESSAGES.loyal);
    if (!isZerg) return;
    if (this.manners.dies)
      this.machine.in(this.#chance.integer(1, 500), () => this.#ends(process, 1));
    const { leavesAfterMs } = this.manners;
    if (leavesAfterMs > 0)
      this.machine.in(leavesAfterMs, () => this.says(process, VASSAL_MESSAGES.done));
  }

  heard(process: FakeProcess, message: string): void {
    if (message === "reload") return this.says(process, VASSAL_MESSAGES.accepting);
    this.machine.in(this.#chance.integer(0, 20), () => this.#ends(process, 0));
  }

  configured(): void {
    // Any config will do.
  }

  signalled(process: FakeProcess): void {
    if (process.state === "alive") this.machine.dies(process);
  }

  #ends(process: FakeProcess, code: number): void {
    if (process.state === "alive") this.machine.exits(process, { code, signal: null });
  }

  says(process: FakeProcess, ...bytes: readonly number[]): void {
    if (process.state === "alive") this.machine.writes(process, bytes);
  }

  of(name: string): FakeProcess[] {
    return [...this.machine.processes.values()].filter(({ spec }) => spec.name === name);
  }

  /** The vassal asks once. */
  asks(name: string): void {
    for (const process of this.of(name)) this.says(process, VASSAL_MESSAGES.reinforcements);
  }

  pass(ms: number): void {
    const until = this.machine.now() + ms;
    while (this.machine.advance(until)) this.#count();
    this.#count();
  }

  #count(): void {
    const zergs = [...this.machine.processes.values()].filter(({ spec }) =>
      spec.name.endsWith(":zerg"),
    ).length;
    this.most = Math.max(this.most, zergs);
  }

  zergs(): readonly number[] {
    return this.emperor.stats().vassals.flatMap(({ zerg_number: number }) => number ?? []);
  }

  async end(): Promise<void> {
    this.emperor.shutdown();
    this.pass(60_000);
    await this.emperor.finished;
    expect(this.machine.processes.size).toBe(0);
    expect(this.machine.alarmAt).toBeUndefined();
    expect(this.emperor.stats().vassals).toEqual([]);
  }
}

async function hive(
  changes: Partial<BroodlordSettings> = {},
  others: Partial<Settings> = {},
  seed = 1,
): Promise<Hive> {
  const made = new Hive(new Chance(seed), changes, others);
  await made.emperor.start();
  made.wants("a.ini");
  made.pass(10);
  return made;
}

test("a thousand requests a second are one start a second, up to the limit", async () => {
  const world = await hive();
  for (let count = 0; count < 10_000; count++) {
    world.asks("a.ini");
    world.pass(1);
  }
  expect(world.starts).toBe(4);
  expect(world.zergs()).toEqual([1, 2, 3, 4]);
  // Each start in a line, and what was refused in very few.
  expect(world.lines.filter((line) => line.includes("going in broodlord mode"))).toHaveLength(4);
  expect(world.lines.filter((line) => line.includes("gets none"))).toHaveLength(2);
  await world.end();
});

test.each([
  ["leave at once", { ...GOOD, leavesAfterMs: 200 }],
  ["die", { ...GOOD, dies: true }],
  ["cannot be started", { ...GOOD, spawnFails: "vassal" as const }],
  ["are refused by the system", { ...GOOD, spawnFails: "system" as const }],
])("a vassal whose demand never ends and whose zergs %s does not flap", async (_what, manners) => {
  const world = await hive({ most: 1 });
  world.manners = manners;
  const minutes = 60;
  for (let second = 0; second < minutes * 60; second++) {
    world.asks("a.ini");
    world.pass(1000);
  }
  // 3, 6, 12, 24, 48 s apart, then a minute.
  expect(world.starts).toBeGreaterThan(minutes / 2);
  expect(world.starts).toBeLessThanOrEqual(6 + minutes);
  expect(world.of("a.ini")).toHaveLength(1);
  await world.end();
});

test("each vassal has its own limit, an attribute lowers it and cannot raise it", async () => {
  const world = await hive({ most: 10, perVassal: 2 });
  world.wants("b.ini", "1", { attributes: { zergs: ["1"] } });
  world.wants("c.ini", "1", { attributes: { zergs: ["1000"] } });
  for (let second = 0; second < 20; second++) {
    for (const name of ["a.ini", "b.ini", "c.ini"]) world.asks(name);
    world.pass(1000);
  }
  expect(["a", "b", "c"].map((name) => world.of(`${name}.ini:zerg`).length)).toEqual([2, 1, 2]);
  await world.end();
});

test("zergs go with their vassal, also where it goes to sleep or is stopped", async () => {
  const world = await hive();
  const grow = (name: string): void => {
    world.pass(BROOD_REST_MS);
    world.asks(name);
    world.pass(100);
    expect(world.of(`${name}:zerg`)).toHaveLength(1);
  };
  grow("a.ini");
  world.sink?.remove("a.ini");
  world.pass(1000);
  expect(world.emperor.stats().vassals).toEqual([]);
  world.wants("b.ini");
  world.pass(100);
  grow("b.ini");
  for (const process of world.of("b.ini")) world.says(process, VASSAL_MESSAGES.done);
  world.pass(1000);
  expect(world.machine.processes.size).toBe(0);
  await world.end();
});

test("zergs survive the crash of their vassal, and ask in its name", async () => {
  const world = await hive();
  world.asks("a.ini");
  world.pass(100);
  for (const process of world.of("a.ini")) world.machine.exits(process, { code: 1, signal: null });
  world.pass(2000);
  expect(world.of("a.ini:zerg")).toHaveLength(1);
  for (const process of world.of("a.ini:zerg")) world.says(process, VASSAL_MESSAGES.reinforcements);
  world.pass(100);
  expect(world.of("a.ini:zerg")).toHaveLength(2);
  expect(world.of("a.ini:zerg:zerg")).toHaveLength(0);
  await world.end();
});

test("a reload replaces each zerg by another with a new number", async () => {
  const world = await hive();
  world.asks("a.ini");
  world.pass(100);
  world.wants("a.ini", "2");
  world.pass(1000);
  expect(world.zergs()).toEqual([2]);
  world.emperor.reloadAll();
  world.pass(1000);
  expect(world.zergs()).toEqual([3]);
  expect(world.of("a.ini:zerg")).toHaveLength(1);
  await world.end();
});

test("a zerg gets the pushed config of its vassal, and its new one", async () => {
  const world = await hive();
  const text = (version: string): Uint8Array => new TextEncoder().encode(`[zerg]\nx=${version}\n`);
  world.wants("p.ini", "1", { config: text("1") });
  world.pass(100);
  world.asks("p.ini");
  world.pass(100);
  world.wants("p.ini", "2", { config: text("2") });
  world.pass(1000);
  expect(world.of("p.ini:zerg").map(({ spec }) => spec.config)).toEqual([text("2")]);
  await world.end();
});

test("where vassals wait for the gate nobody is reinforced", async () => {
  const world = await hive({}, { maxStarting: 1 });
  // A program that says nothing keeps its place for the grace.
  const silent = world.says.bind(world);
  world.says = (process, ...bytes) => {
    if (!process.spec.name.startsWith("slow")) silent(process, ...bytes);
  };
  for (let index = 0; index < 3; index++) world.wants(`slow${index}.ini`);
  world.asks("a.ini");
  world.pass(100);
  expect(world.starts).toBe(0);
  world.pass(5000);
  world.asks("a.ini");
  world.pass(100);
  expect(world.starts).toBe(1);
  await world.end();
});

const BROOD_REST_MS = 1100;

test("any demand, any zergs: the limit holds, nothing is left", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const chance = new Chance(seed);
    const most = chance.integer(1, 5);
    const world = await hive({ most, perVassal: most }, {}, seed);
    world.wants("b.ini");
    for (let step = 0; step < 150; step++) {
      world.manners = {
        leavesAfterMs: chance.pick([0, 0, 50, 5000, 40_000]),
        dies: chance.happens(0.2),
        spawnFails: chance.happens(0.1) ? chance.pick(["system", "vassal"] as const) : undefined,
      };
      const name = chance.pick(["a.ini", "b.ini", "a.ini:zerg"]);
      if (chance.happens(0.6)) world.asks(name);
      if (chance.happens(0.03)) world.wants("a.ini", `v${step}`);
      if (chance.happens(0.03)) world.emperor.reloadAll();
      if (chance.happens(0.02)) world.sink?.remove("b.ini");
      if (chance.happens(0.02)) world.wants("b.ini", `v${step}`);
      world.pass(chance.pick([1, 100, 1000, 5000]));
      const shown = world.zergs();
      expect(new Set(shown).size, `seed ${seed}`).toBe(shown.length);
      expect(shown.length, `seed ${seed}`).toBeLessThanOrEqual(most);
    }
    expect(world.most, `seed ${seed}`).toBeLessThanOrEqual(most);
    await world.end();
  }
});
