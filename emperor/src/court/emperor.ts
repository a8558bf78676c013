/**
 * The Emperor: monitors on one side, the court on the other, and what an operator may ask for. It
 * knows no process and no descriptor; those are the hands'.
 */
import { realpathSync } from "node:fs";
import type { ImperialMonitor, VassalSpec } from "@emperor/monitors";
import type { StatsDocument } from "@emperor/protocol";
import { Gate, type Policy } from "../lifecycle/index.ts";
import type { Logger } from "../log/logger.ts";
import { quoteName } from "../log/quoting.ts";
import { RepeatLimiter } from "../log/repeats.ts";
import type { Settings } from "../options/settings.ts";
import { announce } from "./announce.ts";
import { Broodlord } from "./broodlord.ts";
import { FileClaims } from "./claims.ts";
import { Court } from "./court.ts";
import type { CgroupAccount, Hands, HandsListener } from "./hands.ts";
import { OnDemandSource, type AddressAnswer } from "./on-demand-source.ts";
import { MonitorDesk, type DeskListener } from "./monitor-desk.ts";
import { Operator } from "./operator.ts";
import { policyOf } from "./policy.ts";
import type { CourtRecord, Observer, Publication } from "./record.ts";
import type { RunningEmperor } from "./running-emperor.ts";
import { statsDocument } from "./statistics.ts";
import { mostZergsOf, waitingForCommands, wantedOf } from "./wishes.ts";

/** After SIGKILL a process can stay for as long as the kernel holds it; the Emperor does not wait for ever. */
const LAST_WAIT_MS = 5000;
/** A number that no process has. */
const NO_HANDLE = -1;
/** A second signal within this time is the same wish twice (a terminal and a wrapper), not impatience. */
const SAME_SIGNAL_MS = 250;

/** Commands that the Emperor runs around a vassal's life, outside of it. */
export interface VassalHooks {
  /** The process of this vassal is gone (`vassals-stop-hook`). Never blocks, never throws. */
  vassalEnded(spec: VassalSpec): void;
  /** It waits for connections (`hook-as-on-demand-vassal`). */
  vassalWaits?(spec: VassalSpec): void;
  /** Its config changed while it waited (`hook-as-on-config-vassal`). */
  vassalChanged?(spec: VassalSpec): void;
  /** Resolves when no hook runs any more. */
  idle(): Promise<void>;
  /** Ends the hooks that still run: nobody waits any longer. */
  abandon(): void;
}

export interface EmperorParts {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly monitors: readonly ImperialMonitor[];
  readonly createHands: (listener: HandsListener) => Hands;
  readonly hooks: VassalHooks;
  /** Why a spec may not be run (tyrant mode), or undefined. */
  readonly refusalOf: (spec: VassalSpec) => string | undefined;
  /** Runs `emperor-on-demand-exec`; absent: there is none. */
  readonly askAddress?: (spec: VassalSpec) => Promise<AddressAnswer>;
  readonly version: string;
  /** Further subscribers of the stream of transitions. */
  readonly observers?: readonly Observer[];
  /** Ids of this process, for the stats. */
  readonly identity: {
    readonly pid: number;
    readonly uid: number;
    readonly gid: number;
    readonly cwd: string;
  };
}

export function createEmperor(parts: EmperorParts): RunningEmperor {
  return new Emperor(parts);
}

class Emperor implements RunningEmperor, DeskListener {
  readonly finished: Promise<void>;
  readonly operator: Operator;
  superiorPid: number | undefined;
  readonly #parts: EmperorParts;
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #policy: Policy;
  readonly #gate: Gate<CourtRecord>;
  readonly #hands: Hands;
  readonly #court: Court;
  readonly #desks: readonly MonitorDesk[];
  readonly #onDemand: OnDemandSource;
  readonly #broodlord: Broodlord;
  /** Only with several monitors: with one, no file can be found twice. */
  readonly #claims: FileClaims | undefined;
  /** What was refused, by monitor and name, so that it is said once per change. */
  readonly #refused = new Map<string, string>();
  /** A machine that is full refuses everybody, again and again: a few lines a minute tell that. */
  readonly #refusals = new RepeatLimiter({ burst: 5, intervalMs: 60_000, capacity: 2 });
  #finish: () => void = () => undefined;
  #ending: { readonly since: number; readonly mercyAt: number; mercyOver: boolean } | undefined;
  #governedListener: ((governed: number) => void) | undefined;
  #governedNoted = false;
  /** The last record may go within `shutdown` itself, which asks as well. */
  #buried = false;

  constructor(parts: EmperorParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.#logger = parts.logger;
    this.#policy = policyOf(parts.settings);
    this.#gate = new Gate<CourtRecord>({
      maxStarting: parts.settings.maxStarting,
      spacingMs: parts.settings.throttleExplicit ? parts.settings.throttleMs : 0,
    });
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    // The hands need a listener before the court exists that will be it.
    const listener: HandsListener = {
      onSpawned: (handle, pid, adopted) => this.#court.onSpawned(handle, pid, adopted),
      onSpawnFailed: (handle, failure) => this.#court.onSpawnFailed(handle, failure),
      onBytes: (handle, bytes) => this.#court.onBytes(handle, bytes),
      onChannelClosed: (handle) => this.#court.onChannelClosed(handle),
      onExited: (handle, status) => this.#court.onExited(handle, status),
      onConnectionWaiting: (key) => this.#court.onConnectionWaiting(key),
      onDeserted: (handle) => this.#court.onDeserted(handle),
      onAlarm: () => this.#court.onAlarm(),
    };
    this.#hands = parts.createHands(listener);
    this.#court = new Court({
      hands: this.#hands,
      policy: this.#policy,
      gate: this.#gate,
      ...waitingForCommands(parts.settings),
      wantedOf: (spec) => wantedOf(this.#settings, spec),
      observer: (publication) => this.#observe(publication),
      onForgotten: (record) => this.#forgotten(record),
      onBrokenInvariant: (record, event, error) => this.#brokenInvariant(record, event.type, error),
      onReinforcementsWanted: (record) => this.#broodlord.ask(record),
    });
    this.#broodlord = new Broodlord({
      policy: parts.settings.broodlord,
      court: this.#court,
      mostOf: (base) => mostZergsOf(this.#settings, base.spec),
      gateIsShort: () => this.#gate.waiting > 0,
      now: () => this.#hands.now(),
      log: (level, message) => this.log(level, message),
    });
    this.operator = new Operator(this.#court, () => this.#hands.now());
    this.#onDemand = new OnDemandSource({
      settings: parts.settings.onDemand,
      ask: parts.askAddress,
      later: (afterMs, act) => this.#court.schedule(this.#hands.now() + afterMs, act),
      logError: (message) => this.log("error", message),
      resolved: (spec) => this.#resolved(spec),
    });
    this.#desks = parts.monitors.map((monitor) => new MonitorDesk(monitor, this));
    this.#claims = parts.monitors.length > 1 ? new FileClaims(cachedRealPath()) : undefined;
  }

  async start(): Promise<void> {
    await Promise.all(
      this.#desks.map(async (desk) => {
        await desk.monitor.start(desk);
        if (desk.state === "starting") desk.available();
      }),
    );
    this.#gate.firstScanDone();
  }

  get governed(): number {
    return this.#court.processes;
  }

  onGovernedChange(listener: (governed: number) => void): void {
    this.#governedListener = listener;
  }

  freeze({ handle }: CourtRecord, frozen: boolean): string | undefined {
    if (handle === undefined) return "it has no process";
    const hands = this.#hands;
    if (hands.freeze === undefined || hands.thaw === undefined) return "there are no cgroups";
    return frozen ? hands.freeze(handle) : hands.thaw(handle);
  }

  stats(): StatsDocument {
    const accounts = this.#accounts();
    return statsDocument({
      identity: this.#parts.identity,
      version: this.#parts.version,
      superiorPid: this.superiorPid,
      tyrant: this.#settings.tyrant,
      policy: this.#policy,
      records: this.#court.records(),
      desks: this.#desks,
      throttleLevelMs: this.#gate.throttleLevelMs,
      starting: this.#gate.starting,
      queued: this.#gate.waiting,
      now: this.#hands.now(),
      wallNow: this.#hands.wallNow(),
      ...(accounts === undefined ? {} : { accounts }),
    });
  }

  /** All at once: a thousand cgroups are read in one call. */
  #accounts(): ReadonlyMap<CourtRecord, CgroupAccount> | undefined {
    if (this.#hands.accounts === undefined) return undefined;
    const living = [...this.#court.records()].filter(({ handle }) => handle !== undefined);
    const answers = this.#hands.accounts(living.map(({ handle = NO_HANDLE }) => handle));
    const accounts = new Map<CourtRecord, CgroupAccount>();
    for (const [index, record] of living.entries()) {
      const account = answers[index];
      if (account !== undefined) accounts.set(record, account);
    }
    return accounts;
  }

  shutdown(): void {
    const now = this.#hands.now();
    if (this.#ending !== undefined) return this.#hurry(now);
    this.#ending = { since: now, mercyAt: now + this.#settings.reloadMercyMs, mercyOver: false };
    this.#logger.write({
      level: "info",
      dated: false,
      message: "[emperor] *** RAGNAROK EVOKED ***",
    });
    for (const desk of this.#desks) {
      desk.close();
      void desk.monitor.close();
    }
    this.#onDemand.close();
    this.#broodlord.close();
    this.#court.schedule(this.#ending.mercyAt, () => this.#mercyOver());
    this.#court.postToAll({ type: "shutdown" });
    if (this.#court.size === 0) this.#bury();
  }

  reloadAll(): void {
    this.#court.postToAll({ type: "reload-requested" });
  }

  monitorAddress(id: string): string {
    return this.#desks.find(({ monitor }) => monitor.id === id)?.monitor.address ?? id;
  }

  rescan(): void {
    for (const desk of this.#desks) desk.monitor.rescan();
  }

  clearBlacklist(): void {
    this.#logger.write({ level: "info", message: "[emperor] cleaning up blacklist ..." });
    this.#court.postToAll({ type: "forgiven" });
  }

  logStatus(): void {
    for (const record of this.#court.records()) {
      const phase = record.vassal.phase;
      const loyal = "loyal" in phase && phase.loyal ? 1 : 0;
      const status = phase.name === "stopping" ? 1 : 0;
      this.#logger.write({
        level: "info",
        message:
          `vassal instance ${quoteName(record.spec.name)} (last modified ${Math.floor(record.facts.lastModified)})` +
          ` status ${status} loyal ${loyal} zerg ${record.zerg === undefined ? 0 : 1} state ${phase.name}` +
          (record.zerg === undefined ? "" : ` number ${record.zerg.number}`),
      });
    }
  }

  wanted(spec: VassalSpec): void {
    if (this.#ending !== undefined || this.#isRefused(spec)) return;
    const claim = this.#claims?.claim(spec);
    if (claim?.outcome === "shadowed") {
      if (claim.first) {
        const file = quoteName(spec.path ?? spec.name);
        this.log(
          "warning",
          `[emperor] ${file} of monitor ${spec.monitor} is governed already as ${quoteName(claim.owner.name)} of monitor ${claim.owner.monitor}: one vassal, not two`,
        );
      }
      return;
    }
    this.#onDemand.resolve(spec);
  }

  unwanted(monitor: string, name: string): void {
    this.#refused.delete(`${monitor}\0${name}`);
    if (this.#claims?.dropShadow(monitor, name) === true) return;
    this.#onDemand.drop(monitor, name);
    this.#court.unwant(monitor, name);
  }

  *namesOf(monitor: string): IterableIterator<string> {
    yield* this.#court.namesOf(monitor);
    yield* this.#onDemand.namesOf(monitor);
    yield* this.#claims?.shadowedNames(monitor) ?? [];
  }

  log(level: "info" | "warning" | "error", message: string): void {
    this.#logger.write({ level, message });
  }

  now(): number {
    return this.#hands.wallNow();
  }

  /** The spec is complete. */
  #resolved(spec: VassalSpec): void {
    this.#court.want(spec);
    const record = this.#court.find(spec.monitor, spec.name);
    if (record !== undefined) this.#broodlord.renewed(record);
  }

  /** Refused specs are said once per version; a running vassal that is refused now is stopped. */
  #isRefused(spec: VassalSpec): boolean {
    const refusal = this.#parts.refusalOf(spec);
    const id = `${spec.monitor}\0${spec.name}`;
    if (refusal === undefined) {
      this.#refused.delete(id);
      return false;
    }
    const text = `${spec.version} ${refusal}`;
    if (this.#refused.get(id) !== text) {
      this.#refused.set(id, text);
      this.log("error", refusal);
    }
    // What it wanted before is refused with it: neither as a vassal nor as somebody's heir it stays.
    this.#claims?.dropShadow(spec.monitor, spec.name);
    this.#onDemand.drop(spec.monitor, spec.name);
    this.#court.unwant(spec.monitor, spec.name);
    return true;
  }

  #observe(publication: Publication): void {
    const { record, notice } = publication;
    this.#logTransition(publication);
    this.#broodlord.observe(publication);
    if (notice.kind === "exited") this.#parts.hooks.vassalEnded(record.spec);
    if (notice.kind === "listening") this.#parts.hooks.vassalWaits?.(record.spec);
    if (notice.kind === "config-changed-while-waiting" && record.vassal.phase.name === "dormant")
      this.#parts.hooks.vassalChanged?.(record.spec);
    if (notice.kind === "started" || notice.kind === "exited" || notice.kind === "spawn-failed")
      this.#noteGoverned();
    this.operator.observe(publication);
    for (const observer of this.#parts.observers ?? []) observer(publication);
  }

  #logTransition({ record, notice }: Publication): void {
    const isRefusal =
      (notice.kind === "spawn-failed" && notice.cause === "system") ||
      (notice.kind === "queued" && notice.reason === "system");
    if (isRefusal) {
      const answer = this.#refusals.ask(notice.kind, this.#hands.now());
      if (!answer.pass) return;
      if (answer.suppressed > 0)
        this.log(
          "warning",
          `[emperor] ${answer.suppressed} lines on starts that the system refused were left out`,
        );
    }
    // uWSGI's words stay as they are; which of several zergs is meant stands behind them.
    const zerg = record.zerg === undefined ? {} : { zerg: record.zerg.number };
    const which = record.zerg === undefined ? "" : ` (zerg ${record.zerg.number})`;
    for (const line of announce(record, quoteName(record.spec.name), notice, this.#settings)) {
      const { name: phase } = record.vassal.phase;
      this.#logger.write({
        level: line.severity,
        dated: line.dated,
        message: line.message + which,
        fields: { vassal: record.spec.name, event: notice.kind, phase, ...zerg },
      });
    }
  }

  /** Many vassals may start in one turn of the loop; the systemd status is told once. */
  #noteGoverned(): void {
    if (this.#governedNoted || this.#governedListener === undefined) return;
    this.#governedNoted = true;
    setImmediate(() => {
      this.#governedNoted = false;
      this.#governedListener?.(this.governed);
    });
  }

  #forgotten(record: CourtRecord): void {
    this.#broodlord.forgotten(record);
    const heirs = this.#claims?.release(record.spec) ?? [];
    if (this.#ending === undefined) for (const heir of heirs) this.wanted(heir);
    else if (this.#court.size === 0) this.#bury();
  }

  #hurry(now: number): void {
    const ending = this.#ending;
    if (ending === undefined) return;
    const same = now - ending.since < SAME_SIGNAL_MS;
    const left = same ? Math.max(0, Math.ceil((ending.mercyAt - now) / 1000)) : 0;
    this.#logger.write({
      level: "info",
      dated: false,
      message: `[emperor] *** RAGNAROK ALREADY EVOKED (mercyless in ${left} seconds)***`,
    });
    if (!same) this.#mercyOver();
  }

  #mercyOver(): void {
    if (this.#ending === undefined || this.#ending.mercyOver) return;
    this.#ending.mercyOver = true;
    this.#parts.hooks.abandon();
    this.#court.schedule(this.#hands.now() + LAST_WAIT_MS, () => this.#giveUp());
    this.#court.postToAll({ type: "mercy-over" });
  }

  #giveUp(): void {
    if (this.#court.size === 0) return;
    const names = [...this.#court.records()].map((record) => quoteName(record.spec.name));
    this.log(
      "error",
      `[emperor] ${names.length} vassals are still there ${LAST_WAIT_MS / 1000} s after SIGKILL, leaving them to the kernel: ${names.slice(0, 20).join(", ")}`,
    );
    this.#bury();
  }

  #bury(): void {
    if (this.#buried) return;
    this.#buried = true;
    void this.#parts.hooks.idle().then(() => {
      this.#logger.write({ level: "info", message: "The Emperor is buried." });
      this.#finish();
    });
  }

  #brokenInvariant(record: CourtRecord, event: string, error: unknown): void {
    this.#logger.write({
      level: "fatal",
      message: `[emperor] the state of vassal ${quoteName(record.spec.name)} is broken at event ${event}: killing it and starting it afresh; please report this bug`,
      fields: { vassal: record.spec.name, state: record.vassal },
      detail: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }
}

/** Directories rarely change their real name while an Emperor runs; a missing one keeps its own. */
function cachedRealPath(): (directory: string) => string {
  const known = new Map<string, string>();
  return (directory) => {
    let real = known.get(directory);
    if (real === undefined) {
      try {
        real = realpathSync(directory);
        known.set(directory, real);
      } catch {
        // Not cached: it may appear later.
        real = directory;
      }
    }
    return real;
  };
}
