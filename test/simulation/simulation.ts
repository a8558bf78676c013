/**
 * One run: the real Emperor with a simulated machine, simulated sources and simulated vassals, all
 * drawn from one seed. Chaos first, then a calm in which everything wanted has to run, then the end,
 * after which nothing may be left.
 */
import { createEmperor, type EmperorParts } from "../../emperor/src/court/emperor.ts";
import type { Hands, HandsListener } from "../../emperor/src/court/hands.ts";
import type { Notice, Vassal } from "../../emperor/src/lifecycle/index.ts";
import { policyOf } from "../../emperor/src/court/policy.ts";
import type { RunningEmperor } from "../../emperor/src/court/running-emperor.ts";
import { loggerOf } from "../../emperor/src/log/logger.ts";
import { buildSettings } from "../../emperor/src/options/build-settings.ts";
import { EntryReader } from "../../emperor/src/options/entry-reader.ts";
import type { Settings } from "../../emperor/src/options/settings.ts";
import { Chance } from "./chance.ts";
import { FakeMachine, Violation } from "./fake-machine.ts";
import { FakeSource, type Entry } from "./fake-source.ts";
import { Faults } from "./faults.ts";
import { Judge } from "./judge.ts";
import { Tenants } from "./tenants.ts";

/** Breaks something on purpose, to show that the judge sees it. */
export interface Sabotage {
  /** Stands between the Emperor and its hands. */
  readonly between?: (
    hands: Hands,
    listener: HandsListener,
  ) => { readonly hands: Hands; readonly listener: HandsListener };
  /** Changes the state that `step` decided on, as a broken `step` would have; called with each notice. */
  readonly decide?: (vassal: Vassal, notice: Notice) => Vassal;
}

export interface Report {
  readonly seed: number;
  readonly faults: string;
  readonly steps: number;
  readonly starts: number;
  readonly simulatedMs: number;
  readonly notices: ReadonlySet<Notice["kind"]>;
}

const TRACE_LINES = 60;
/** Far more than any run needs; a run that does not end is a violation. */
const MAX_STEPS = 400_000;
/** Whatever a process of the chaos still had in mind is over by then. */
const AFTERMATH_MS = 30_000;

export class Simulation {
  readonly #seed: number;
  readonly #chance: Chance;
  readonly #faults: Faults;
  readonly #settings: Settings;
  readonly #tenants: Tenants;
  readonly #machine: FakeMachine;
  readonly #sources: readonly FakeSource[];
  readonly #judge: Judge;
  readonly #emperor: RunningEmperor;
  readonly #trace: string[] = [];
  readonly #notices = new Set<Notice["kind"]>();
  #steps = 0;
  #starts = 0;
  #versions = 0;
  #finished = false;

  constructor(seed: number, sabotage?: Sabotage) {
    this.#seed = seed;
    this.#chance = new Chance(seed);
    this.#faults = new Faults(this.#chance);
    this.#settings = drawSettings(this.#chance);
    const policy = policyOf(this.#settings);
    this.#tenants = new Tenants(this.#chance, this.#faults, {
      heartbeatMs: policy.heartbeatMs,
      toleranceMs: policy.curseToleranceMs,
    });
    this.#machine = new FakeMachine(this.#tenants, this.#chance.integer(0, 5000));
    this.#tenants.inhabit(this.#machine);
    this.#machine.sockets.fails = () => {
      const lasting = this.#faults.strikes("bad-socket");
      if (!lasting && !this.#faults.strikes("socket-taken")) return undefined;
      return { lasting, detail: "the simulation says so" };
    };
    const names = this.#faults.exists("two-monitors") ? ["one", "two"] : ["one"];
    this.#sources = names.map((name) => new FakeSource(name, this.#machine, this.#faults));
    this.#judge = new Judge(
      {
        policy,
        maxStarting: this.#settings.maxStarting,
        spaced: this.#settings.throttleExplicit,
        tyrant: this.#settings.tyrant,
        mercyMs: this.#settings.reloadMercyMs,
      },
      this.#machine,
      this.#tenants,
      this.#sources,
    );
    this.#judge.note = (text) => this.#note(text);
    this.#emperor = createEmperor(this.#parts(sabotage));
    void this.#emperor.finished.then(() => {
      this.#finished = true;
    });
  }

  /** Runs to the end. Throws a `Violation` that tells the seed, the faults and what happened last. */
  async run(): Promise<Report> {
    const startedAt = this.#machine.now();
    try {
      for (let count = this.#chance.integer(1, 10); count > 0; count--) this.#add();
      await this.#emperor.start();
      this.#chaos();
      if (this.#chance.happens(0.25)) await this.#end();
      else {
        this.#calm();
        this.#faults.stop();
        await this.#end();
      }
    } catch (error) {
      throw this.#explained(error);
    }
    return {
      seed: this.#seed,
      faults: this.#faults.toString(),
      steps: this.#steps,
      starts: this.#starts,
      simulatedMs: this.#machine.now() - startedAt,
      notices: this.#notices,
    };
  }

  #parts(sabotage: Sabotage = {}): EmperorParts {
    const { between, decide } = sabotage;
    return {
      settings: this.#settings,
      logger: loggerOf(
        (line) => {
          this.#note(line.message);
          if (line.level === "fatal") throw new Violation(`${line.message} ${line.detail ?? ""}`);
        },
        () => undefined,
      ),
      monitors: this.#sources,
      createHands: (listener) => {
        const broken = between?.(this.#machine, listener) ?? { hands: this.#machine, listener };
        this.#machine.listener = broken.listener;
        return broken.hands;
      },
      hooks: {
        vassalEnded: () => undefined,
        idle: async () => undefined,
        abandon: () => undefined,
      },
      refusalOf: (spec) =>
        this.#settings.tyrant && spec.uid === 0 ? `${spec.name} belongs to root` : undefined,
      version: "0.0.0",
      identity: { pid: 1, uid: 0, gid: 0, cwd: "/" },
      observers: [
        ({ record, notice }) => {
          this.#notices.add(notice.kind);
          if (notice.kind === "spawning") this.#starts += 1;
          if (decide !== undefined) record.vassal = decide(record.vassal, notice);
        },
      ],
    };
  }

  #chaos(): void {
    const until = this.#machine.now() + this.#chance.integer(20_000, 200_000);
    while (this.#machine.now() < until) {
      this.#passTime(this.#chance.duration(1, 4000));
      this.#meddle();
    }
  }

  /** One thing that an operator, a tenant or the machine's owner does. */
  #meddle(): void {
    if (this.#faults.strikes("churn")) this.#churn();
    if (this.#faults.strikes("failing-monitor"))
      this.#chance.pick(this.#sources).failFor(this.#chance.duration(100, 20_000));
    if (this.#faults.strikes("wall-clock-jumps"))
      this.#machine.jumpWallClock(this.#chance.integer(-86_400_000, 86_400_000));
    if (this.#faults.strikes("sighup")) this.#emperor.reloadAll();
    if (this.#faults.strikes("sigurg")) {
      this.#judge.forgiven();
      this.#emperor.clearBlacklist();
    }
    if (this.#faults.strikes("connections")) this.#connect(this.#chance.pick(this.#sources));
    if (this.#chance.happens(0.05)) this.#emperor.rescan();
    if (this.#chance.happens(0.02)) JSON.parse(JSON.stringify(this.#emperor.stats()));
    this.#check();
  }

  /** One client, or a burst of them, at a vassal that may be asleep, awake or without a socket. */
  #connect(source: FakeSource): void {
    const names = [...source.entries.keys()];
    if (names.length === 0) return;
    const vassal = `${source.id}\0${this.#chance.pick(names)}`;
    for (let count = this.#chance.pick([1, 1, 1, 100]); count > 0; count--)
      if (!this.#machine.connects(vassal)) return;
  }

  #drawSocket(name: string): string {
    return this.#faults.strikes("on-demand")
      ? `/simulated/${name}.${this.#chance.integer(1, 2)}`
      : "";
  }

  #churn(): void {
    const source = this.#chance.pick(this.#sources);
    const names = [...source.entries.keys()];
    const entry = names.length === 0 ? undefined : source.entries.get(this.#chance.pick(names));
    if (entry === undefined || this.#chance.happens(0.25)) return this.#add();
    if (this.#chance.happens(0.3)) return source.remove(entry.name);
    const uid = this.#faults.strikes("refused-owner")
      ? 0
      : this.#faults.strikes("owner-change")
        ? this.#chance.integer(1000, 1003)
        : entry.uid;
    // The address may come, go or change; both monitors have to say the same of one file.
    const socket =
      !entry.shared && this.#chance.happens(0.2) ? this.#drawSocket(entry.name) : entry.socket;
    source.set({ ...entry, uid, socket, version: ++this.#versions });
    // Twice in a moment, as editors and rsync do it.
    if (this.#chance.happens(0.2)) source.set({ ...entry, uid, version: ++this.#versions });
  }

  #add(): void {
    const shared = this.#sources.length > 1 && this.#chance.happens(0.3);
    const name = `${shared ? "shared" : "v"}${this.#chance.integer(1, 9)}.ini`;
    const source = this.#chance.pick(this.#sources);
    const entry: Entry = {
      name,
      shared,
      version: ++this.#versions,
      uid: 1000,
      pushed: this.#chance.happens(0.2),
      socket: shared ? "" : this.#drawSocket(name),
    };
    for (const each of shared ? this.#sources : [source]) {
      if (!each.entries.has(name)) each.set(entry);
    }
  }

  /** No faults any more; whoever was exiled or asleep is changed, so that it is wanted to run. */
  #calm(): void {
    this.#note("--- calm ---");
    this.#faults.stop();
    this.#passTime(AFTERMATH_MS);
    for (const source of this.#sources) {
      for (const entry of [...source.entries.values()]) {
        source.set({
          ...entry,
          uid: entry.uid === 0 ? 1000 : entry.uid,
          version: ++this.#versions,
        });
      }
    }
    this.#passTime(this.#patienceMs());
    // Whoever waits on demand has to answer the first who asks.
    for (const source of this.#sources)
      for (const { name, socket } of source.entries.values())
        if (socket !== "" && !this.#machine.connects(`${source.id}\0${name}`))
          throw new Violation(`${name}: nobody can connect to its socket`);
    this.#passTime(this.#patienceMs());
    this.#judge.checkCalm(this.#emperor.stats());
    this.#note("--- every second one is removed ---");
    for (const source of this.#sources) {
      for (const [index, name] of [...source.entries.keys()].entries())
        if (index % 2 === 0) source.remove(name);
    }
    this.#passTime(this.#patienceMs());
    this.#judge.checkCalm(this.#emperor.stats());
  }

  /** Longer than any chain of delays that a run without faults can have left. */
  #patienceMs(): number {
    const { maxThrottleMs, curseToleranceMs, requiredHeartbeatMs, healthyAfterMs } = this.#settings;
    return 4 * (maxThrottleMs + curseToleranceMs + requiredHeartbeatMs + healthyAfterMs) + 60_000;
  }

  async #end(): Promise<void> {
    this.#note("--- shutdown ---");
    this.#judge.shutdownBegins();
    this.#emperor.shutdown();
    this.#check();
    if (this.#chance.happens(0.3)) {
      this.#passTime(this.#chance.integer(0, 2000));
      this.#judge.hurried();
      this.#emperor.shutdown();
      this.#check();
    }
    this.#faults.stop();
    while (this.#step());
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.#finished) throw new Violation("the Emperor is not buried");
    if (this.#machine.processes.size > 0)
      throw new Violation(`${this.#machine.processes.size} processes are left in the end`);
    const left = this.#emperor.stats().vassals;
    if (left.length > 0)
      throw new Violation(`in the end there are still records: ${JSON.stringify(left)}`);
    if (this.#machine.sockets.open > 0)
      throw new Violation(`${this.#machine.sockets.open} sockets are left in the end`);
    if (this.#machine.alarmAt !== undefined)
      throw new Violation("an alarm outlives the last vassal");
    if (this.#emperor.governed !== 0)
      throw new Violation(`${this.#emperor.governed} processes are governed in the end`);
  }

  #passTime(ms: number): void {
    const until = this.#machine.now() + ms;
    while (this.#step(until));
  }

  #step(until?: number): boolean {
    this.#steps += 1;
    if (this.#steps > MAX_STEPS) throw new Violation(`no end after ${MAX_STEPS} steps`);
    const happened = this.#machine.advance(until);
    this.#check();
    return happened;
  }

  #check(): void {
    this.#judge.check(this.#emperor.stats());
  }

  #note(text: string): void {
    this.#trace.push(`${this.#machine.now()} ${text}`);
    if (this.#trace.length > 2 * TRACE_LINES) this.#trace.splice(0, TRACE_LINES);
  }

  #explained(error: unknown): Error {
    const reason = error instanceof Error ? error.message : String(error);
    const lines = [
      `${reason}`,
      `at ${this.#machine.now()} ms; replay with SIM_SEED=${this.#seed}`,
      `faults: ${this.#faults.toString()}`,
      "what happened last:",
      ...this.#trace.slice(-TRACE_LINES),
    ];
    return error instanceof Violation
      ? new Violation(lines.join("\n"), { cause: error })
      : new Error(lines.join("\n"), { cause: error });
  }
}

/** The defaults of the Emperor, with times short enough that a run sees every deadline pass. */
function drawSettings(chance: Chance): Settings {
  const defaults = buildSettings(new EntryReader([]), {
    startDirectory: "/",
    defaultBinaryPath: "/vassal",
  });
  const spaced = chance.happens(0.15);
  return {
    ...defaults,
    throttleMs: spaced ? chance.pick([100, 1000]) : chance.pick([0, 100, 1000]),
    throttleExplicit: spaced,
    maxThrottleMs: chance.pick([0, 1200, 5000]),
    blacklist: chance.happens(0.85),
    maxStarting: chance.pick([1, 2, 3, 16]),
    healthyAfterMs: chance.pick([4000, 30_000]),
    requiredHeartbeatMs: chance.pick([2000, 6000]),
    curseToleranceMs: chance.pick([0, 1000, 3000]),
    reloadMercyMs: chance.pick([2000, 5000]),
    gracefulShutdown: chance.happens(0.3),
    tyrant: chance.happens(0.3),
  };
}
