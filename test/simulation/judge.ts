/**
 * The promises of the Emperor, checked after every step from outside: from what it was told, what it
 * ordered, what its vassals did, and the statistics that it publishes. It knows nothing of phases,
 * effects or queues.
 */
import type { StatsDocument, StatsVassal, EmperorMessageName } from "@emperor/protocol";
import type { VassalSpec } from "@emperor/monitors";
import type { Policy } from "../../emperor/src/lifecycle/index.ts";
import { Violation, type FakeMachine, type FakeProcess } from "./fake-machine.ts";
import type { FakeSource } from "./fake-source.ts";
import { keyOf, type Ledger, type Tenants } from "./tenants.ts";

export interface Rules {
  readonly policy: Policy;
  readonly maxStarting: number;
  readonly spaced: boolean;
  readonly tyrant: boolean;
  readonly mercyMs: number;
}

/** What the judge knows of one entry of one monitor. */
interface Book {
  spec: VassalSpec;
  wanted: boolean;
  /** The last time it was not wanted, or was wanted with another identity. */
  overthrownAt: number;
  /** How often that happened. */
  overthrows: number;
  /** Deaths without health in a row, at least. */
  deaths: number;
  lastDeathAt: number;
  /** Orders to spawn within the last second. */
  orders: number[];
}

/** More starts of one vassal within a second than any rule allows. */
const HOT_LOOP = 40;
/** A closed channel may be the first sign of an exit: so long the Emperor may wait for the second. */
const DYING_MS = 100;
/** Clocks and rounding. */
const SLACK_MS = 1;

export class Judge {
  readonly #rules: Rules;
  readonly #machine: FakeMachine;
  readonly #tenants: Tenants;
  readonly #sources: readonly FakeSource[];
  readonly #books = new Map<string, Book>();
  /** First sight of each that waits on demand. */
  readonly #dormantSince = new Map<string, number>();
  readonly #overthrowsAtOrder = new Map<number, number>();
  #shutdownAt: number | undefined;
  #mercyOver = false;

  constructor(
    rules: Rules,
    machine: FakeMachine,
    tenants: Tenants,
    sources: readonly FakeSource[],
  ) {
    this.#rules = rules;
    this.#machine = machine;
    this.#tenants = tenants;
    this.#sources = sources;
    tenants.onOrdered = (ledger) => this.#ordered(ledger);
    tenants.onEnded = (ledger) => this.#ended(ledger);
    tenants.onHeard = (ledger, message) => this.#heard(ledger, message);
    tenants.onSignalled = (ledger, signal) => this.#signalled(ledger, signal);
    for (const source of sources) {
      source.onDelivered = (spec) => this.#delivered(spec);
      source.onRemoved = (name) => this.#removed(`${source.id}\0${name}`);
    }
  }

  /** Told of what the sources say, for the trace. */
  note: (text: string) => void = () => undefined;

  shutdownBegins(): void {
    this.#shutdownAt ??= this.#machine.now();
  }

  /** A second signal: the mercy is over at once. */
  hurried(): void {
    this.#mercyOver = true;
  }

  forgiven(): void {
    for (const book of this.#books.values()) book.deaths = 0;
  }

  /** Everything that has to hold between two steps. */
  check(stats: StatsDocument): void {
    for (const process of this.#machine.processes.values()) this.#checkProcess(process);
    const shown = new Map<string, StatsVassal>();
    for (const vassal of stats.vassals) {
      const source = this.#sources.find((candidate) => candidate.address === vassal.monitor);
      if (source === undefined)
        throw new Violation(`${vassal.id} is shown with the unknown monitor ${vassal.monitor}`);
      const key = `${source.id}\0${vassal.id}`;
      if (shown.has(key)) throw new Violation(`${vassal.id} is shown twice`);
      shown.set(key, vassal);
      this.#checkRecord(key, vassal, stats);
    }
    for (const process of this.#machine.processes.values()) {
      if (!shown.has(keyOf(process)))
        throw new Violation(`${process.spec.name}: its process outlives its record`);
    }
    if (this.#shutdownAt !== undefined) return;
    for (const [key, book] of this.#books) {
      if (book.wanted && book.spec.path === undefined && !shown.has(key)) {
        throw new Violation(`${book.spec.name} is wanted and the Emperor does not know it`);
      }
    }
  }

  /** In the end, without faults: everything wanted runs and nothing is held against anybody. */
  checkCalm(stats: StatsDocument): void {
    const running = new Set(
      stats.vassals.filter((vassal) => vassal.state === "running").map((vassal) => vassal.id),
    );
    for (const book of this.#books.values()) {
      if (book.wanted && !running.has(book.spec.name)) {
        const vassal = stats.vassals.find((candidate) => candidate.id === book.spec.name);
        throw new Violation(
          `${book.spec.name} is wanted and does not run in the end: ${JSON.stringify(vassal)}`,
        );
      }
    }
    for (const vassal of stats.vassals) {
      const wanted = [...this.#books.values()].some(
        (book) => book.wanted && book.spec.name === vassal.id,
      );
      if (!wanted)
        throw new Violation(`${vassal.id} is still there in the end: ${JSON.stringify(vassal)}`);
    }
    if (stats.blacklist.length > 0)
      throw new Violation(`in the end the blacklist is ${JSON.stringify(stats.blacklist)}`);
    if (stats.starting !== 0)
      throw new Violation(`in the end ${stats.starting} slots of the gate are taken`);
    if (this.#machine.processes.size !== stats.vassals.length) {
      throw new Violation(
        `in the end ${this.#machine.processes.size} processes serve ${stats.vassals.length} vassals`,
      );
    }
  }

  #delivered(spec: VassalSpec): void {
    const key = `${spec.monitor}\0${spec.name}`;
    const wanted = !this.#isRefused(spec);
    this.note(`source ${spec.monitor} wants ${spec.name} ${spec.version}`);
    const book = this.#books.get(key);
    if (book === undefined) {
      this.#books.set(key, {
        spec,
        wanted,
        overthrownAt: this.#machine.now(),
        overthrows: 0,
        deaths: 0,
        lastDeathAt: 0,
        orders: [],
      });
      return;
    }
    if (!wanted || !book.wanted || this.#identity(book.spec) !== this.#identity(spec))
      this.#overthrow(book);
    book.spec = spec;
    book.wanted = wanted;
    book.deaths = 0;
  }

  #removed(key: string): void {
    const book = this.#books.get(key);
    if (book === undefined) return;
    this.note(`source ${book.spec.monitor} has no ${book.spec.name} any more`);
    book.wanted = false;
    this.#overthrow(book);
  }

  /** From now on no process that there is may stay. */
  #overthrow(book: Book): void {
    book.overthrownAt = this.#machine.now();
    book.overthrows += 1;
  }

  /** The process was ordered for something that is not wanted any more. */
  #isOverthrown(process: FakeProcess, book: Book): boolean {
    return this.#overthrowsAtOrder.get(process.handle) !== book.overthrows;
  }

  #isRefused(spec: VassalSpec): boolean {
    return this.#rules.tyrant && spec.uid === 0;
  }

  #identity(spec: VassalSpec): string {
    return `${this.#rules.tyrant ? spec.uid : ""} ${spec.config !== undefined} ${spec.socket ?? ""}`;
  }

  #bookOf(process: FakeProcess): Book {
    const book = this.#books.get(keyOf(process));
    if (book === undefined) throw new Violation(`${process.spec.name} was never wanted`);
    return book;
  }

  #ordered(ledger: Ledger): void {
    const { process } = ledger;
    const { name } = process.spec;
    const now = this.#machine.now();
    const book = this.#bookOf(process);
    this.#overthrowsAtOrder.set(process.handle, book.overthrows);
    if (this.#shutdownAt !== undefined)
      throw new Violation(`${name} is started after the shutdown began`);
    if (!book.wanted) throw new Violation(`${name} is started although nobody wants it`);
    const file = process.spec.fileId;
    for (const other of this.#machine.processes.values()) {
      if (other !== process && file !== undefined && other.spec.fileId === file) {
        throw new Violation(
          `${name}: one file has two processes, for ${other.spec.monitor} and ${process.spec.monitor}`,
        );
      }
    }
    const starting = [...this.#machine.processes.values()].filter((other) =>
      this.#isStarting(other),
    ).length;
    if (starting > this.#rules.maxStarting)
      throw new Violation(`${starting} vassals start at once, ${this.#rules.maxStarting} may`);
    book.orders = book.orders.filter((at) => at > now - 1000);
    book.orders.push(now);
    if (book.orders.length > HOT_LOOP)
      throw new Violation(`${name} is started ${book.orders.length} times within a second`);
    const { sockets } = process;
    if ((sockets !== undefined) !== (book.spec.socket !== undefined))
      throw new Violation(
        `${name} is started ${sockets === undefined ? "without its" : "with a"} socket`,
      );
    if (sockets !== undefined && (this.#machine.sockets.byKey(sockets)?.waiting ?? 0) === 0)
      throw new Violation(`${name} is started although nobody waits at its socket`);
    this.#checkBackOff(book, now);
  }

  #checkBackOff(book: Book, now: number): void {
    const { throttleMs, maxThrottleMs, blacklist } = this.#rules.policy;
    if (now >= book.lastDeathAt + Math.max(2 * maxThrottleMs, 1000)) book.deaths = 0;
    if (!blacklist || book.deaths < 2) return;
    const least = Math.min((book.deaths - 1) * throttleMs, 0.9 * maxThrottleMs);
    const waited = now - book.lastDeathAt;
    if (waited < least - SLACK_MS) {
      throw new Violation(
        `${book.spec.name} is started ${waited} ms after death ${book.deaths}, not after ${least} ms`,
      );
    }
  }

  /** Between the order to spawn and what gives its slot back. */
  #isStarting(process: FakeProcess): boolean {
    const now = this.#machine.now();
    const startGraceMs = this.#rules.policy.startGraceMs - SLACK_MS;
    if (process.state === "reaped") return false;
    const ledger = this.#tenants.ledgerOf(process);
    if (ledger.spawnedAt === undefined) return now - process.orderedAt < startGraceMs;
    return (
      ledger.spawnedAt - process.orderedAt < startGraceMs &&
      now - ledger.spawnedAt < startGraceMs &&
      ledger.spokeAt === undefined &&
      ledger.closedAt === undefined &&
      process.askedToStopAt === undefined &&
      process.sendFailedAt === undefined
    );
  }

  #ended(ledger: Ledger): void {
    const book = this.#bookOf(ledger.process);
    const now = this.#machine.now();
    if (ledger.spawnFailure === "system" || ledger.spawnFailure === "exile") return;
    const livedMs = now - (ledger.spawnedAt ?? now);
    if (ledger.loyal || livedMs >= this.#rules.policy.healthyAfterMs) book.deaths = 0;
    else if (!this.#isDeliberate(ledger, book) && ledger.exitCode !== 26) {
      book.deaths += 1;
      book.lastDeathAt = now;
    }
  }

  /** Somebody wanted this end: the source, the vassal itself, or whoever ended the Emperor. */
  #isDeliberate(ledger: Ledger, book: Book): boolean {
    return (
      this.#isOverthrown(ledger.process, book) ||
      ledger.saidDone ||
      ledger.deserted ||
      this.#shutdownAt !== undefined
    );
  }

  #heard(ledger: Ledger, message: EmperorMessageName): void {
    if (message === "reload") return;
    const book = this.#bookOf(ledger.process);
    if (
      this.#isDeliberate(ledger, book) ||
      this.#missedHeartbeat(ledger) ||
      book.spec.path !== undefined
    )
      return;
    throw new Violation(
      `${book.spec.name} is told to stop for no reason (its source is ${this.#sourceOf(book).failing ? "failing" : "fine"})`,
    );
  }

  #signalled(ledger: Ledger, signal: "SIGTERM" | "SIGKILL"): void {
    const { process } = ledger;
    if (this.#shutdownAt !== undefined) {
      const over =
        this.#machine.now() - this.#shutdownAt >=
        Math.min(this.#rules.mercyMs, this.#rules.policy.curseToleranceMs) - SLACK_MS;
      const lost = ledger.closedAt !== undefined || process.sendFailedAt !== undefined;
      const before =
        process.askedToStopAt !== undefined && process.askedToStopAt < this.#shutdownAt;
      if (this.#mercyOver || over || before || lost) return;
      throw new Violation(`${process.spec.name} gets ${signal} before the mercy is over`);
    }
    const lostAt = Math.min(ledger.closedAt ?? Infinity, process.sendFailedAt ?? Infinity);
    const since = Math.min(process.askedToStopAt ?? Infinity, lostAt);
    const waited = this.#machine.now() - since;
    const { curseToleranceMs, heartbeatGraceMs } = this.#rules.policy;
    if (signal === "SIGTERM") {
      if (lostAt === Infinity)
        throw new Violation(`${process.spec.name} gets SIGTERM although it can be asked`);
      return;
    }
    const least =
      ledger.beatAt === undefined ? curseToleranceMs : Math.min(curseToleranceMs, heartbeatGraceMs);
    if (!(waited >= least - SLACK_MS))
      throw new Violation(`${process.spec.name} gets SIGKILL ${waited} ms after it was asked`);
  }

  #missedHeartbeat(ledger: Ledger): boolean {
    return (
      ledger.beatAt !== undefined &&
      this.#machine.now() - ledger.beatAt >= this.#rules.policy.heartbeatMs - SLACK_MS
    );
  }

  #checkProcess(process: FakeProcess): void {
    const { name } = process.spec;
    if (process.state === "reaped")
      throw new Violation(`${name}: its dead process was not released`);
    if (process.state !== "alive" || process.killedAt !== undefined) return;
    const now = this.#machine.now();
    const ledger = this.#tenants.ledgerOf(process);
    const spawnedAt = ledger.spawnedAt ?? now;
    if (this.#shutdownAt !== undefined) {
      const until = Math.max(this.#shutdownAt + this.#rules.mercyMs, spawnedAt) + SLACK_MS;
      if (now > until) throw new Violation(`${name} is alive after the mercy and nobody killed it`);
      return;
    }
    const book = this.#bookOf(process);
    const overthrown = this.#isOverthrown(process, book)
      ? Math.max(book.overthrownAt, spawnedAt)
      : Infinity;
    const endsAt = Math.min(
      overthrown,
      process.askedToStopAt ?? Infinity,
      (ledger.closedAt ?? Infinity) + DYING_MS,
      process.sendFailedAt ?? Infinity,
    );
    const { curseToleranceMs, heartbeatGraceMs } = this.#rules.policy;
    const mercyMs =
      ledger.beatAt === undefined ? curseToleranceMs : Math.max(curseToleranceMs, heartbeatGraceMs);
    if (now > endsAt + mercyMs + SLACK_MS) {
      throw new Violation(`${name} should be gone since ${endsAt} and was not even killed`);
    }
    this.#checkHeartbeat(ledger, now, endsAt);
  }

  #checkHeartbeat(ledger: Ledger, now: number, endsAt: number): void {
    const { heartbeatMs, curseToleranceMs } = this.#rules.policy;
    if (ledger.beatAt === undefined || heartbeatMs <= 0 || endsAt !== Infinity) return;
    const excusedUntil = (ledger.reloadedAt ?? -Infinity) + curseToleranceMs;
    const silentSince = Math.max(ledger.beatAt, ledger.heardAt ?? 0, excusedUntil);
    if (now > silentSince + heartbeatMs + SLACK_MS)
      throw new Violation(
        `${ledger.process.spec.name} is silent since ${silentSince} and nobody minds`,
      );
  }

  #checkRecord(key: string, vassal: StatsVassal, stats: StatsDocument): void {
    const book = this.#books.get(key);
    const latest = this.#tenants.latest.get(key);
    const hasProcess = latest !== undefined && latest.endedAt === undefined;
    if (book === undefined) throw new Violation(`${vassal.id} is shown and was never wanted`);
    if (!hasProcess && vassal.pid !== -1)
      throw new Violation(`${vassal.id} is shown with pid ${vassal.pid} and has no process`);
    if (hasProcess && vassal.pid !== (latest.process.pid ?? -1))
      throw new Violation(`${vassal.id} is shown with the wrong pid ${vassal.pid}`);
    if (!hasProcess && (!book.wanted || this.#shutdownAt !== undefined))
      throw new Violation(`${vassal.id} of ${vassal.monitor}: its record outlives it`);
    const now = this.#machine.wallNow() / 1000;
    if (vassal.state !== "dormant") this.#dormantSince.delete(key);
    else if (!this.#dormantSince.has(key)) this.#dormantSince.set(key, this.#machine.now());
    switch (vassal.state) {
      case "queued": {
        if (hasProcess) throw new Violation(`${vassal.id} is queued and has a process`);
        const next = vassal.next_start;
        if (next === undefined) throw new Violation(`${vassal.id} is queued for no time`);
        const { maxThrottleMs, systemRetryMaxMs } = this.#rules.policy;
        if (next > now + Math.max(maxThrottleMs, systemRetryMaxMs, 100) / 1000 + 0.01)
          throw new Violation(`${vassal.id} is queued for ever: ${next - now} s`);
        const free = (stats.starting ?? 0) < this.#rules.maxStarting;
        if (free && !this.#rules.spaced && next < now - 0.01)
          throw new Violation(`${vassal.id} waits although its time came and the gate is open`);
        return;
      }
      case "suspended": {
        const rests =
          this.#machine.sockets.lasting.has(key) ||
          latest?.exitCode === 26 ||
          latest?.spawnFailure === "exile" ||
          latest?.saidDone === true;
        if (!rests) throw new Violation(`${vassal.id} rests for no reason: ${vassal.reason}`);
        return;
      }
      case "dormant": {
        if (hasProcess) throw new Violation(`${vassal.id} is dormant and has a process`);
        const socket = this.#machine.sockets.of(key);
        if (book.spec.socket === undefined || socket?.watched !== true)
          throw new Violation(`${vassal.id} waits on demand and nobody can ask for it`);
        const since = Math.max(socket.waitingSince, this.#dormantSince.get(key) ?? 0);
        if (socket.waiting > 0 && this.#machine.now() > since + 2 * SLACK_MS)
          throw new Violation(`${vassal.id} is dormant although somebody waits at its socket`);
        return;
      }
      case "starting":
      case "running":
      case "stopping":
        if (!hasProcess) throw new Violation(`${vassal.id} is ${vassal.state} without a process`);
        return;
      default:
        throw new Violation(`${vassal.id} is in the strange state ${vassal.state}`);
    }
  }

  #sourceOf(book: Book): FakeSource {
    const source = this.#sources.find((candidate) => candidate.id === book.spec.monitor);
    if (source === undefined) throw new Error(`no source ${book.spec.monitor}`);
    return source;
  }
}
