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
import { newRecord, noteForDisplay } from "./display.ts";
import { Schedule } from "./schedule.ts";
import type {
  Hands,
  HandsListener,
  ProcessHandle,
  ReapedProcess,
  SocketsKey,
  SpawnFailureReport,
} from "./hands.ts";
import type { CourtRecord, Observer } from "./record.ts";

/** Between the end of a dying process's channel and its exit there is rarely more than this. */
const DYING_MS = 100;

export interface CourtOptions {
  readonly hands: Hands;
  readonly policy: Policy;
  readonly gate: Gate<CourtRecord>;
  /** This vassal waits for a command when it is seen first. Absent: none does. */
  readonly waitsForCommand?: (spec: VassalSpec) => boolean;
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
  /** Reinforcements: no monitor knows them, and several have one name. */
  readonly #zergs = new Set<CourtRecord>();
  readonly #byHandle = new Map<ProcessHandle, CourtRecord>();
  readonly #bySockets = new Map<SocketsKey, CourtRecord>();
  readonly #deadlines = new Deadlines<CourtRecord>();
  readonly #schedule = new Schedule();
  #events: Posted[] = [];
  #draining = false;
  #lastHandle: ProcessHandle = 0;
  #lastSockets: SocketsKey = 0;
  #alarmAt: number | undefined;
  #size = 0;
  #lastZerg = 0;

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
    yield* this.#zergs;
  }

  /** Reinforcements that there are, in the order of their arrival. */
  get zergs(): ReadonlySet<CourtRecord> {
    return this.#zergs;
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

  /** One reinforcement of `base`, or of the vassal whose reinforcement `base` is. */
  addZerg(base: CourtRecord): CourtRecord {
    this.#lastZerg += 1;
    const record = newRecord(zergSpec(base.spec), this.#hands.wallNow());
    record.zerg = { base, number: this.#lastZerg };
    this.#zergs.add(record);
    this.#size += 1;
    this.#wantZerg(record);
    return record;
  }

  /** Its vassal is wanted differently now. */
  renewZerg(record: CourtRecord): void {
    if (record.zerg === undefined) return;
    record.spec = zergSpec(record.zerg.base.spec);
    this.#wantZerg(record);
  }

  #wantZerg(record: CourtRecord): void {
    const wanted = { ...this.#options.wantedOf(record.spec), zerg: true } as const;
    this.post(record, { type: "wanted", wanted });
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

  onSpawned(handle: ProcessHandle, pid: number, adopted = false): void {
    const record = this.#byHandle.get(handle);
    if (record === undefined) return;
    record.facts.adopted = adopted;
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
    // Released first: by the time the life-cycle hears of the death nothing of the process is left.
    this.#releaseHandle(record, handle);
    this.post(record, { type: "exited", generation, exit: exitReason(status) });
  }

  onConnectionWaiting(key: SocketsKey): void {
    const record = this.#bySockets.get(key);
    if (record !== undefined) this.post(record, { type: "connection-waiting" });
  }

  onDeserted(handle: ProcessHandle): void {
    const record = this.#byHandle.get(handle);
    if (record !== undefined)
      this.post(record, { type: "deserted", generation: record.handleGeneration });
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
      const result = step(record.vassal, event, now, this.#policyFor(record, event));
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

  /** Only the first `wanted` of a vassal asks whether it waits for a command. */
  #policyFor(record: CourtRecord, event: VassalEvent): Policy {
    const { policy, waitsForCommand } = this.#options;
    if (waitsForCommand === undefined || event.type !== "wanted") return policy;
    // Who ran before was told to; that its state broke is no reason to ask for another command.
    const isNew = record.facts.firstRun === 0 && record.zerg === undefined;
    const waits = isNew && waitsForCommand(record.spec);
    return waits ? { ...policy, waitForCommand: true } : policy;
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
        return this.#watchSockets(record);
      case "unwatch-socket":
        return this.#hands.unwatchSockets(record.sockets);
      case "close-socket":
        return this.#closeSockets(record);
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
    const onDemand = record.vassal.wanted?.onDemand === true;
    const extras = {
      ...(onDemand ? { sockets: this.#socketsOf(record) } : {}),
      ...(record.zerg === undefined
        ? {}
        : { zergNumber: this.#zergNumber(record.zerg, generation === 1) }),
    };
    this.#hands.spawn(record.handle, record.spec, extras);
  }

  /** Each process has a number of its own; the first of a record has the record's. */
  #zergNumber(zerg: NonNullable<CourtRecord["zerg"]>, isFirst: boolean): number {
    if (!isFirst) zerg.number = ++this.#lastZerg;
    return zerg.number;
  }

  #socketsOf(record: CourtRecord): SocketsKey {
    if (record.sockets !== 0) return record.sockets;
    this.#lastSockets += 1;
    record.sockets = this.#lastSockets;
    this.#bySockets.set(record.sockets, record);
    return record.sockets;
  }

  #watchSockets(record: CourtRecord): void {
    const failure = this.#hands.watchSockets(this.#socketsOf(record), record.spec);
    const event: VassalEvent =
      failure === undefined ? { type: "socket-watched" } : { type: "socket-failed", ...failure };
    if (failure !== undefined) record.lastFailure = failure.detail;
    this.#events.push({ record, event });
  }

  #closeSockets(record: CourtRecord): void {
    if (record.sockets === 0) return;
    this.#hands.closeSockets(record.sockets);
    this.#bySockets.delete(record.sockets);
    record.sockets = 0;
  }

  #releaseHandle(record: CourtRecord, handle: ProcessHandle): void {
    this.#byHandle.delete(handle);
    record.handle = undefined;
    this.#hands.release(handle);
  }

  #forget(record: CourtRecord): void {
    this.#deadlines.set(record, undefined);
    this.#closeSockets(record);
    if (this.#zergs.delete(record)) this.#size -= 1;
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
    this.#hands.unwatchSockets(record.sockets);
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

/**
 * What a reinforcement is started with: the `[zerg]` section of the same config, in a file or pushed. It
 * takes its sockets from its vassal, so it has none of its own.
 */
function zergSpec(base: VassalSpec): VassalSpec {
  const { socket: _socket, socketOwner: _owner, fileId: _file, ...rest } = base;
  return { ...rest, name: `${base.name}:zerg` };
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}

function exitReason(status: ReapedProcess): ExitReason {
  return status.signal === null
    ? { kind: "code", code: status.code ?? 0 }
    : { kind: "signal", signal: status.signal };
}
