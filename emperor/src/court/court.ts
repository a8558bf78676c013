/**
 * The court: all vassals, the queue of events, the gate, and the one place where effects of the
 * life-cycle become orders to the hands. It has no timer, descriptor or process of its own, so the
 * simulation runs exactly this file with other hands. It must not know monitors, options or files.
 */
import type { VassalSpec } from "@emperor/monitors";
import { decodeVassalMessage } from "@emperor/protocol";
import {
  deadlineOf,
  type Gate,
  newVassal,
  step,
  type Effect,
  type ExitReason,
  type Notice,
  type Policy,
  type VassalEvent,
  type Wanted,
} from "../lifecycle/index.ts";
import { Deadlines } from "./deadlines.ts";
import { Schedule } from "./schedule.ts";
import type {
  Hands,
  HandsListener,
  ProcessHandle,
  ReapedProcess,
  SpawnFailureReport,
} from "./hands.ts";
import type { CourtRecord, Observer } from "./record.ts";
import { addUsage } from "./usage.ts";

/** Between the end of a dying process's channel and its exit there is rarely more than this. */
const DYING_MS = 100;

export interface CourtOptions {
  readonly hands: Hands;
  readonly policy: Policy;
  readonly gate: Gate<CourtRecord>;
  /** Maps a spec to what the life-cycle must know of it. */
  readonly wantedOf: (spec: VassalSpec) => Wanted;
  readonly observer: Observer;
  /** The record is gone: nothing of the vassal is left. */
  readonly onForgotten: (record: CourtRecord) => void;
  /** An assertion of the life-cycle failed for one vassal: it is killed and started afresh. */
  readonly onBrokenInvariant: (record: CourtRecord, event: VassalEvent, error: unknown) => void;
  /** Byte 30 of a running vassal. */
  readonly onReinforcementsWanted?: (record: CourtRecord) => void;
}

interface Posted {
  readonly record: CourtRecord;
  readonly event: VassalEvent;
}

export class Court implements HandsListener {
  readonly #options: CourtOptions;
  readonly #hands: Hands;
  readonly #gate: Gate<CourtRecord>;
  readonly #byMonitor = new Map<string, Map<string, CourtRecord>>();
  readonly #byHandle = new Map<ProcessHandle, CourtRecord>();
  readonly #deadlines = new Deadlines<CourtRecord>();
  readonly #schedule = new Schedule();
  #events: Posted[] = [];
  #draining = false;
  #lastHandle: ProcessHandle = 0;
  #alarmAt: number | undefined;
  #size = 0;

  constructor(options: CourtOptions) {
    this.#options = options;
    this.#hands = options.hands;
    this.#gate = options.gate;
  }

  /** Number of records, with or without a process. */
  get size(): number {
    return this.#size;
  }

  /** Number of records that have a process or are just getting one. */
  get processes(): number {
    return this.#byHandle.size;
  }

  /** Number of deadlines, for tests of leaks. */
  get deadlines(): number {
    return this.#deadlines.size;
  }

  *records(): IterableIterator<CourtRecord> {
    for (const ofMonitor of this.#byMonitor.values()) yield* ofMonitor.values();
  }

  find(monitor: string, name: string): CourtRecord | undefined {
    return this.#byMonitor.get(monitor)?.get(name);
  }

  /** Names that a monitor's records have, wanted or not. */
  namesOf(monitor: string): IterableIterator<string> {
    return (this.#byMonitor.get(monitor) ?? new Map<string, CourtRecord>()).keys();
  }

  /** A monitor wants this vassal, or wants it differently. */
  want(spec: VassalSpec): void {
    let ofMonitor = this.#byMonitor.get(spec.monitor);
    if (ofMonitor === undefined)
      this.#byMonitor.set(spec.monitor, (ofMonitor = new Map<string, CourtRecord>()));
    let record = ofMonitor.get(spec.name);
    if (record === undefined) {
      record = newRecord(spec, this.#hands.wallNow());
      ofMonitor.set(spec.name, record);
      this.#size += 1;
    }
    record.spec = spec;
    record.facts.lastModified = spec.modifiedAt;
    this.post(record, { type: "wanted", wanted: this.#options.wantedOf(spec) });
  }

  /** Its source no longer has this vassal. Unknown names are ignored. */
  unwant(monitor: string, name: string): void {
    const record = this.find(monitor, name);
    if (record !== undefined) this.post(record, { type: "unwanted" });
  }

  /** The same event for every vassal, in the order of their arrival. */
  postToAll(event: VassalEvent): void {
    for (const record of this.records()) this.#events.push({ record, event });
    this.#drain();
  }

  post(record: CourtRecord, event: VassalEvent): void {
    this.#events.push({ record, event });
    this.#drain();
  }

  onSpawned(handle: ProcessHandle, pid: number): void {
    const record = this.#byHandle.get(handle);
    if (record !== undefined)
      this.post(record, { type: "spawned", generation: record.handleGeneration, pid });
  }

  onSpawnFailed(handle: ProcessHandle, failure: SpawnFailureReport): void {
    const record = this.#byHandle.get(handle);
    if (record === undefined) return;
    const generation = record.handleGeneration;
    this.#releaseHandle(record, handle);
    record.lastFailure = failure.detail;
    this.post(record, {
      type: "spawn-failed",
      generation,
      cause: failure.cause,
      detail: failure.detail,
    });
  }

  onBytes(handle: ProcessHandle, bytes: Uint8Array): void {
    const record = this.#byHandle.get(handle);
    if (record === undefined) return;
    const generation = record.handleGeneration;
    for (const byte of bytes) {
      const message = decodeVassalMessage(byte);
      if (message === undefined) {
        record.facts.unknownBytes += 1;
        continue;
      }
      this.#note(record, message);
      this.#events.push({ record, event: { type: "message", generation, message } });
    }
    this.#drain();
  }

  /**
   * A dying process closes its channel a moment before its exit can be seen. Only one that is still
   * there after that moment closed it while it lives.
   */
  onChannelClosed(handle: ProcessHandle): void {
    if (!this.#byHandle.has(handle)) return;
    this.schedule(this.#hands.now() + DYING_MS, () => {
      const record = this.#byHandle.get(handle);
      if (record === undefined) return;
      this.post(record, { type: "channel-closed", generation: record.handleGeneration });
    });
  }

  onExited(handle: ProcessHandle, status: ReapedProcess): void {
    const record = this.#byHandle.get(handle);
    if (record === undefined) return;
    const generation = record.handleGeneration;
    if (status.usage !== undefined) record.past = addUsage(record.past, status.usage);
    // Released first: by the time the life-cycle hears of the death nothing of the process is left.
    this.#releaseHandle(record, handle);
    this.post(record, { type: "exited", generation, exit: exitReason(status) });
  }

  onAlarm(): void {
    this.#alarmAt = undefined;
    this.#schedule.runDue(this.#hands.now());
    this.#drain();
  }

  /** An errand of the Emperor itself on the same alarm. Returns a function that calls it off. */
  schedule(at: number, run: () => void): () => void {
    const cancel = this.#schedule.at(at, run);
    if (!this.#draining) this.#setAlarm();
    return cancel;
  }

  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      for (;;) {
        this.#deliver();
        const now = this.#hands.now();
        for (const record of this.#deadlines.takeDue(now))
          this.#events.push({ record, event: { type: "timer" } });
        for (const record of this.#gate.grant(now))
          this.#events.push({ record, event: { type: "permitted" } });
        if (this.#events.length === 0) break;
      }
    } finally {
      this.#draining = false;
    }
    this.#setAlarm();
  }

  #deliver(): void {
    while (this.#events.length > 0) {
      const batch = this.#events;
      this.#events = [];
      for (const { record, event } of batch) this.#dispatch(record, event);
    }
  }

  #dispatch(record: CourtRecord, event: VassalEvent): void {
    if (record.broken !== undefined) return this.#dispatchBroken(record, event);
    if (record.vassal.phase.name === "gone") return;
    const now = this.#hands.now();
    const phaseBefore = record.vassal.phase.name;
    let effects: readonly Effect[];
    try {
      const result = step(record.vassal, event, now, this.#options.policy);
      record.vassal = result.vassal;
      effects = result.effects;
      if (result.vassal.phase.name !== phaseBefore)
        record.facts.stateSince = Math.floor(this.#hands.wallNow() / 1000);
    } catch (error) {
      this.#broken(record, event, error);
      return;
    }
    this.#deadlines.set(record, deadlineOf(record.vassal, this.#options.policy));
    for (const effect of effects) this.#perform(record, effect);
  }

  #perform(record: CourtRecord, effect: Effect): void {
    switch (effect.type) {
      case "request-permit":
        return this.#gate.request(record, effect.nuisance);
      case "cancel-permit":
        return this.#gate.cancel(record);
      case "release-permit":
        return this.#gate.release(record);
      case "spawn":
        return this.#spawn(record, effect.generation);
      case "send":
        if (record.handle !== undefined && !this.#hands.send(record.handle, effect.message)) {
          this.#events.push({
            record,
            event: { type: "unheard", generation: effect.generation },
          });
        }
        return;
      case "send-config":
        if (record.handle !== undefined && record.spec.config !== undefined) {
          this.#hands.sendConfig(record.handle, record.spec.config);
        }
        return;
      case "kill":
        if (record.handle !== undefined)
          this.#hands.kill(record.handle, effect.signal, effect.scope);
        return;
      case "watch-socket":
      case "unwatch-socket":
        return;
      case "reinforce":
        return this.#options.onReinforcementsWanted?.(record);
      case "publish":
        return this.#publish(record, effect.notice);
      case "forget":
        return this.#forget(record);
    }
  }

  #spawn(record: CourtRecord, generation: number): void {
    this.#lastHandle += 1;
    record.handle = this.#lastHandle;
    record.handleGeneration = generation;
    this.#byHandle.set(record.handle, record);
    this.#hands.spawn(record.handle, record.spec, {});
  }

  #releaseHandle(record: CourtRecord, handle: ProcessHandle): void {
    this.#byHandle.delete(handle);
    record.handle = undefined;
    this.#hands.release(handle);
  }

  #forget(record: CourtRecord): void {
    this.#deadlines.set(record, undefined);
    const ofMonitor = this.#byMonitor.get(record.spec.monitor);
    if (ofMonitor?.get(record.spec.name) === record && ofMonitor.delete(record.spec.name))
      this.#size -= 1;
    if (ofMonitor?.size === 0) this.#byMonitor.delete(record.spec.monitor);
    this.#options.onForgotten(record);
  }

  #publish(record: CourtRecord, notice: Notice): void {
    const at = this.#hands.wallNow();
    noteForDisplay(record, notice, Math.floor(at / 1000));
    this.#options.observer({ record, notice, at });
  }

  /** Repeated messages change a time in the stats although the life-cycle has nothing to publish. */
  #note(record: CourtRecord, message: string): void {
    const seconds = Math.floor(this.#hands.wallNow() / 1000);
    if (message === "heartbeat") record.facts.lastHeartbeat = seconds;
    else if (message === "spawned") record.facts.lastReady = seconds;
    else if (message === "accepting") record.facts.lastAccepting = seconds;
    else if (message === "loyal") record.facts.lastLoyal = seconds;
  }

  /**
   * One vassal's state is not what the code believes: that vassal pays, nobody else. Its process is
   * killed, and only when that is reaped the vassal starts afresh, so there are never two.
   */
  #broken(record: CourtRecord, event: VassalEvent, error: unknown): void {
    this.#options.onBrokenInvariant(record, event, error);
    this.#gate.cancel(record);
    this.#gate.release(record);
    this.#deadlines.set(record, undefined);
    record.broken = { wanted: record.vassal.wanted };
    if (record.handle === undefined) this.#startAfresh(record);
    else this.#hands.kill(record.handle, "SIGKILL", "tree");
  }

  /** Events of a broken vassal: only what its source wants and the end of its process count. */
  #dispatchBroken(record: CourtRecord, event: VassalEvent): void {
    if (event.type === "wanted") record.broken = { wanted: event.wanted };
    else if (event.type === "unwanted" || event.type === "shutdown")
      record.broken = { wanted: undefined };
    if (record.handle === undefined) this.#startAfresh(record);
    else if (event.type === "spawned") this.#hands.kill(record.handle, "SIGKILL", "tree");
  }

  #startAfresh(record: CourtRecord): void {
    const wanted = record.broken?.wanted;
    record.broken = undefined;
    record.vassal = newVassal();
    if (wanted === undefined) this.#forget(record);
    else this.#events.push({ record, event: { type: "wanted", wanted } });
  }

  /**
   * The alarm is only ever moved forward: one that rings early finds nothing due and sets the next,
   * which is cheaper than a system timer moved by every heartbeat.
   */
  #setAlarm(): void {
    const at = earliest(this.#gate.nextAt, earliest(this.#deadlines.next, this.#schedule.next));
    if (at === undefined || (this.#alarmAt !== undefined && this.#alarmAt <= at)) return;
    this.#alarmAt = at;
    this.#hands.setAlarm(at);
  }
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}

function newRecord(spec: VassalSpec, wallNowMs: number): CourtRecord {
  return {
    spec,
    vassal: newVassal(),
    handle: undefined,
    handleGeneration: 0,
    deadlineAt: 0,
    heapIndex: -1,
    broken: undefined,
    lastExit: undefined,
    lastFailure: undefined,
    facts: {
      firstRun: 0,
      lastRun: 0,
      lastReady: 0,
      lastAccepting: 0,
      lastLoyal: 0,
      lastHeartbeat: 0,
      cursedAt: 0,
      respawns: 0,
      stateSince: Math.floor(wallNowMs / 1000),
      lastModified: spec.modifiedAt,
      unknownBytes: 0,
    },
  };
}

/** The times that uWSGI's stats show, kept up from the published transitions. */
function noteForDisplay(record: CourtRecord, notice: Notice, seconds: number): void {
  const facts = record.facts;
  switch (notice.kind) {
    case "spawning":
      facts.firstRun = seconds;
      facts.lastRun = seconds;
      facts.lastReady = 0;
      facts.lastAccepting = 0;
      facts.lastLoyal = 0;
      facts.lastHeartbeat = 0;
      facts.cursedAt = 0;
      facts.respawns = 0;
      facts.unknownBytes = 0;
      return;
    case "reloading":
      facts.respawns += 1;
      facts.lastRun = seconds;
      return;
    case "stopping":
    case "channel-lost":
    case "heartbeat-missed":
      if (facts.cursedAt === 0) facts.cursedAt = seconds;
      return;
    case "exited":
      record.lastExit = {
        exit: notice.exit,
        at: seconds,
        uptimeMs: notice.uptimeMs,
        expected: notice.expected,
      };
      return;
    default:
  }
}

function exitReason(status: ReapedProcess): ExitReason {
  return status.signal === null
    ? { kind: "code", code: status.code ?? 0 }
    : { kind: "signal", signal: status.signal };
}
