/**
 * The hands on a real machine: starts processes, hears their channels, signals and reaps them. Does
 * what the court orders and tells it what happened; it must not know why, nor any phase of a vassal.
 */
import type { Watcher, WatchEvent } from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import { encodeEmperorMessage, type EmperorMessageName } from "@emperor/protocol";
import type {
  Hands,
  HandsListener,
  ProcessHandle,
  SocketFailure,
  SocketsKey,
  SpawnExtras,
} from "../court/hands.ts";
import type { Logger } from "../log/logger.ts";
import { quoteName } from "../log/quoting.ts";
import { Alarm } from "./alarm.ts";
import type { ProcessTree } from "./cgroup.ts";
import { continuePacket, packetOf, writePacket } from "./config-pipe.ts";
import type { EmperorHooks } from "./emperor-hooks.ts";
import { countBytes, FLOOD_BYTES, FLOOD_PAUSE_MS } from "./flood.ts";
import type { ForkServerClient } from "./fork-server.ts";
import type { HookSet } from "./hook-set.ts";
import { OnDemandSockets, type SocketMachine, type SocketPolicy } from "./on-demand-sockets.ts";
import { IdleWatch } from "./idle-watch.ts";
import { LateStarts } from "./late-starts.ts";
import { Later } from "./later.ts";
import { failureReport, giveBack, launch, type LaunchOutcome } from "./launch.ts";
import { errorCode, signalChild, writeIfPossible, type Machine } from "./machine.ts";
import type { Plan, Planner } from "./plan.ts";
import { NONE, ProcessRecord, ProcessTable, readToken, tokenOf, WATCH } from "./process-table.ts";
import { describeChoice } from "./programs.ts";
import { startHookResult } from "./start-hook.ts";

/** Most bytes taken from the channel of a dead process: what it said last still counts. */
const LAST_WORDS_BYTES = 4096;

const MESSAGE_BYTES: Readonly<Record<EmperorMessageName, Uint8Array>> = {
  stop: Uint8Array.of(encodeEmperorMessage("stop")),
  reload: Uint8Array.of(encodeEmperorMessage("reload")),
  "graceful-stop": Uint8Array.of(encodeEmperorMessage("graceful-stop")),
};

type StatusEvent = Extract<WatchEvent, { readonly kind: "status" }>;

/** The start hook is the first action, so whatever failed later comes after it. */
function passedStartHook({ failure }: StatusEvent): boolean {
  if (failure === undefined || failure.stage === "late-cwd" || failure.stage === "exec")
    return true;
  return failure.stage === "action" && failure.index > 0;
}

/** What the hands are made of; `createHands` puts it together. */
export interface HandsParts {
  readonly machine: Machine;
  readonly listener: HandsListener;
  readonly logger: Logger;
  readonly planner: Planner;
  readonly hooks: HookSet;
  readonly emperorHooks: EmperorHooks;
  readonly tree: ProcessTree;
  /** Absent: no vassal is started by a fork server. */
  readonly forkServer?: ForkServerClient | undefined;
  readonly sockets: {
    readonly machine: SocketMachine;
    readonly policy: SocketPolicy;
    /** `emperor-on-demand-idle`; 0: off. */
    readonly idleMs: number;
  };
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export class MachineHands implements Hands {
  readonly #parts: HandsParts;
  readonly #machine: Machine;
  readonly #listener: HandsListener;
  readonly #table = new ProcessTable();
  readonly #alarm: Alarm;
  readonly watcher: Watcher;
  readonly #later: Later;
  #closed = false;
  readonly #late = new LateStarts();
  readonly #sockets: OnDemandSockets;
  readonly #idle: IdleWatch;

  constructor(parts: HandsParts) {
    this.#parts = parts;
    this.#machine = parts.machine;
    this.#listener = parts.listener;
    this.#alarm = new Alarm(parts.now, () => parts.listener.onAlarm());
    this.#later = new Later(FLOOD_PAUSE_MS, {
      resume: (record) => {
        if (record.channelFd !== NONE) this.watcher.rearm(tokenOf(record.handle, WATCH.channel));
      },
      write: (record) => continuePacket(this.#machine, record) === "blocked",
      reap: (record) => this.#onExit(record.handle),
    });
    this.watcher = parts.machine.createWatcher((events) => this.#onEvents(events));
    this.#sockets = new OnDemandSockets({
      ...parts.sockets,
      watcher: this.watcher,
      warn: (message) => parts.logger.warning(message),
      onConnection: (key) => this.#listener.onConnectionWaiting(key),
    });
    this.#idle = new IdleWatch({
      idleMs: parts.sockets.idleMs,
      now: parts.now,
      sockets: this.#sockets,
      warn: (message) => parts.logger.warning(message),
      deserted: (handle) => this.#listener.onDeserted(handle),
    });
  }

  /** Children that were not reaped yet. */
  get processesAlive(): number {
    return this.#table.alive;
  }

  /** Is this the pid of a child that is looked after here? */
  hasProcess(pid: number): boolean {
    for (const record of this.#table.values()) if (record.pid === pid) return true;
    return false;
  }

  now(): number {
    return this.#parts.now();
  }

  wallNow(): number {
    return Date.now();
  }

  setAlarm(at: number | undefined): void {
    if (!this.#closed) this.#alarm.set(at);
  }

  watchSockets(key: SocketsKey, spec: VassalSpec): SocketFailure | undefined {
    return this.#sockets.watch(key, spec);
  }

  unwatchSockets(key: SocketsKey): void {
    this.#sockets.unwatch(key);
  }

  closeSockets(key: SocketsKey): void {
    this.#sockets.close(key);
  }

  spawn(handle: ProcessHandle, spec: VassalSpec, extras: SpawnExtras): void {
    const record = new ProcessRecord(handle, spec);
    if (extras.sockets !== undefined) {
      const failure = this.#sockets.bind(extras.sockets, spec);
      if (failure !== undefined) {
        const cause = failure.lasting ? "exile" : "vassal";
        return this.#listener.onSpawnFailed(handle, { cause, detail: failure.detail });
      }
      record.sockets = this.#sockets.descriptors(extras.sockets);
      record.socketsKey = extras.sockets;
    }
    const answer = this.#parts.planner.plan(spec, extras.zergNumber, record.sockets.length);
    if (!answer.ok)
      return this.#listener.onSpawnFailed(handle, { cause: "exile", detail: answer.detail });
    if (!this.#parts.emperorHooks.hasBeforeVassal) return this.#start(record, answer.plan);
    this.#table.add(record);
    void this.#startAfterHooks(record, answer.plan);
  }

  async #startAfterHooks(record: ProcessRecord, plan: Plan): Promise<void> {
    const problem = await this.#parts.emperorHooks.beforeVassal(record.spec);
    this.#table.delete(record.handle);
    // Released meanwhile: nobody waits for an answer.
    if (record.abandoned || this.#closed) return;
    if (problem === undefined) this.#start(record, plan);
    else this.#listener.onSpawnFailed(record.handle, { cause: "vassal", detail: problem });
  }

  #start(record: ProcessRecord, plan: Plan): void {
    const { handle, spec } = record;
    const frame = plan.piped && spec.config !== undefined ? packetOf(spec.config) : undefined;
    if (frame?.ok === false) {
      const detail = `its config ${frame.problem}`;
      return this.#listener.onSpawnFailed(handle, { cause: "exile", detail });
    }
    for (const text of this.#parts.hooks.vassalTexts) this.#parts.logger.info(text);
    if (this.#parts.hooks.startHook !== undefined) {
      this.#parts.logger.info(
        `[emperor] running vassal start-hook: ${this.#parts.hooks.startHook.text} ${quoteName(spec.name)}`,
      );
    }
    this.#table.add(record);
    const launched = (outcome: LaunchOutcome): void =>
      this.#launched(record, frame?.bytes, outcome);
    const forkServer = this.#parts.forkServer?.addressFor(spec);
    if (forkServer !== undefined)
      return this.#parts.forkServer?.start(forkServer, plan, record, launched);
    launch(this.#machine, this.#parts.planner, plan, this.#parts.hooks, record, launched);
  }

  /** `packet`: its config, if it gets one through the pipe. */
  #launched(record: ProcessRecord, packet: Uint8Array | undefined, outcome: LaunchOutcome): void {
    const { handle, spec } = record;
    if (typeof outcome !== "number") {
      this.#forget(record);
      // Released meanwhile: nobody waits for an answer.
      if (!record.abandoned) this.#listener.onSpawnFailed(handle, outcome);
      return;
    }
    if (!this.#watch(record)) return;
    // A child that nobody wants any more is ended before it is heard of, and reaped in silence.
    if (record.abandoned) return this.kill(handle, "SIGKILL", "tree");
    if (record.socketsKey !== undefined) this.#idle.add(handle, record.socketsKey);
    if (record.statusFd === NONE) this.#sayChoice(record, outcome);
    // The first packet comes unasked; later ones are answers to `config-wanted`.
    if (packet !== undefined) this.#writePacket(record, packet);
    this.#listener.onSpawned(handle, record.pid, record.adopted);
    this.#parts.emperorHooks.afterSpawn(spec, record.pid);
    const { killAtStart } = record;
    if (killAtStart !== undefined) this.kill(handle, killAtStart.signal, killAtStart.scope);
  }

  /** A child that nobody would hear of is ended at once; it is reaped by asking. */
  #watch(record: ProcessRecord): boolean {
    const { handle } = record;
    try {
      this.watcher.addProcess(record.pidfd, tokenOf(handle, WATCH.process));
      this.watcher.addChannel(record.channelFd, tokenOf(handle, WATCH.channel));
      if (record.statusFd !== NONE)
        this.watcher.addStatus(record.statusFd, tokenOf(handle, WATCH.status));
      return true;
    } catch (error) {
      const unknown = record.abandoned;
      this.kill(handle, "SIGKILL", "tree");
      record.abandoned = true;
      this.#later.reap(record);
      if (unknown) return false;
      const detail = `its process cannot be watched: ${errorCode(error)}`;
      this.#listener.onSpawnFailed(handle, { cause: "system", detail });
      return false;
    }
  }

  send(handle: ProcessHandle, message: EmperorMessageName): boolean {
    const record = this.#table.get(handle);
    if (record === undefined || record.channelFd === NONE) return false;
    return writeIfPossible(this.#machine, record.channelFd, MESSAGE_BYTES[message]) === 1;
  }

  sendConfig(handle: ProcessHandle, config: Uint8Array): void {
    const record = this.#table.get(handle);
    if (record === undefined || record.configFd === NONE) return;
    const frame = packetOf(config);
    if (!frame.ok) {
      const name = quoteName(record.spec.name);
      this.#parts.logger.error(
        `[emperor] the config of vassal ${name} ${frame.problem}: not sent, so its reload will fail`,
      );
      return;
    }
    this.#writePacket(record, frame.bytes);
  }

  #writePacket(record: ProcessRecord, packet: Uint8Array): void {
    if (writePacket(this.#machine, record, packet) === "blocked") this.#later.write(record);
  }

  kill(handle: ProcessHandle, signal: "SIGTERM" | "SIGKILL", scope: "process" | "tree"): void {
    const record = this.#table.get(handle);
    if (record?.stage === "launching") return record.killWhenStarted(signal, scope);
    if (record === undefined || record.stage !== "alive") return;
    if (scope === "tree") this.#parts.tree.signal(record.pid, signal);
    const problem = signalChild(this.#machine, record.pidfd, signal);
    if (problem === undefined) return;
    const name = quoteName(record.spec.name);
    this.#parts.logger.error(
      `[emperor] ${signal} to vassal ${name} (pid: ${record.pid}) failed: ${problem}`,
    );
  }

  release(handle: ProcessHandle): void {
    const record = this.#table.get(handle);
    if (record === undefined) return;
    record.abandoned = true;
    // `#launched` looks after its child, as `#startAfterHooks` sees to it that there will be none.
    if (record.stage === "preparing" || record.stage === "launching") return;
    // One that still lives is ended and kept until it is reaped: no child is ever forgotten.
    if (record.stage === "alive") return this.kill(handle, "SIGKILL", "tree");
    this.#drop(record);
  }

  /**
   * Stops hearing and timing, waits for hooks that still run, ends what is being started, gives every
   * descriptor back.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#alarm.set(undefined);
    for (const record of this.#table.values()) {
      if (record.stage !== "launching") continue;
      record.abandoned = true;
      this.#late.add(record);
    }
    await this.#parts.emperorHooks.idle();
    await this.#late.untilGone();
    this.#later.close();
    this.#idle.close();
    // A start that is still under way keeps its record: `#launched` ends its child also without a watcher.
    for (const record of this.#table.values()) if (record.stage !== "launching") this.#drop(record);
    this.#sockets.closeAll();
    this.watcher.close();
  }

  /**
   * One batch. What a process said comes before its end, also where the watcher saw the end first:
   * its last byte may decide whether its death is held against it. The channel of an ended process is
   * not listened to again, so that its last words wait in the kernel and not with the watcher.
   */
  #onEvents(events: readonly WatchEvent[]): void {
    for (const event of events) {
      const ended =
        event.kind === "exit" ? this.#table.get(readToken(event.token).number) : undefined;
      if (ended !== undefined) ended.ending = true;
    }
    for (const event of events) if (event.kind !== "exit") this.#onEvent(event);
    for (const event of events) if (event.kind === "exit") this.#onEvent(event);
  }

  #onEvent(event: WatchEvent): void {
    const { number } = readToken(event.token);
    switch (event.kind) {
      case "channel":
        return this.#onChannel(number, event.bytes, event.eof);
      case "status":
        return this.#onStatus(number, event);
      case "exit":
        return this.#onExit(number);
      case "listen":
        return this.#sockets.heard(number);
      case "readable":
        // Nothing of the kind is watched here.
        return;
    }
  }

  #onChannel(handle: ProcessHandle, bytes: Uint8Array, eof: boolean): void {
    const record = this.#table.get(handle);
    if (record === undefined || record.abandoned) return;
    const answer = bytes.length === 0 ? "calm" : countBytes(record, bytes.length, this.now());
    if (answer === "flood-begins") {
      this.#parts.logger.warning(
        `[emperor] vassal ${quoteName(record.spec.name)} (pid: ${record.pid}) floods its channel, more than ${FLOOD_BYTES} bytes in a second: heard every ${FLOOD_PAUSE_MS} ms until it calms down`,
      );
    }
    if (bytes.length > 0) this.#listener.onBytes(handle, bytes);
    if (eof) {
      this.watcher.remove(tokenOf(handle, WATCH.channel));
      // The court may have released the process in answer to the bytes.
      if (!record.abandoned) this.#listener.onChannelClosed(handle);
    } else if (record.ending) return;
    else if (answer === "calm") this.watcher.rearm(tokenOf(handle, WATCH.channel));
    else {
      this.#later.resume(record);
    }
  }

  #onStatus(handle: ProcessHandle, status: StatusEvent): void {
    const record = this.#table.get(handle);
    if (record === undefined || record.statusFd === NONE) return;
    this.watcher.remove(tokenOf(handle, WATCH.status));
    this.#machine.close(record.statusFd);
    record.statusFd = NONE;
    record.failure = status.failure;
    if (this.#parts.hooks.startHook !== undefined && passedStartHook(status)) {
      const failed = status.tolerated?.find(
        ({ stage, index }) => stage === "action" && index === 0,
      );
      this.#parts.logger.info(startHookResult(record.spec.name, failed));
    }
    if (status.failure === undefined) this.#sayChoice(record, status.program);
    if (record.stage === "ended") this.#settle(record);
  }

  #onExit(handle: ProcessHandle): void {
    const record = this.#table.get(handle);
    if (record === undefined || record.stage !== "alive") return;
    // The leader is a zombie now: its pid, and so the group's number, is still its own. After the
    // reaping it could be anybody's.
    this.#parts.tree.signal(record.pid, "SIGKILL");
    this.#lastWords(record);
    const status = this.#machine.reap(record.pidfd);
    if (status === undefined) return this.#later.reap(record);
    this.watcher.remove(tokenOf(handle, WATCH.process));
    record.stage = "ended";
    record.exit = { code: status.code, signal: status.signal };
    // In `copied` mode the end may be seen before the outcome of the start, which says what it means.
    if (record.statusFd === NONE || record.abandoned) this.#settle(record);
  }

  /** The process is reaped and its start is understood: tells the court which of the two it was. */
  #settle(record: ProcessRecord): void {
    const { handle, failure, plan, exit } = record;
    if (record.abandoned || exit === undefined) return this.#drop(record);
    if (failure !== undefined && plan !== undefined) {
      this.#drop(record);
      return this.#listener.onSpawnFailed(handle, failureReport(plan, this.#parts.hooks, failure));
    }
    this.#listener.onExited(handle, exit);
  }

  /** Bytes that the dead process had written and nobody had read. */
  #lastWords(record: ProcessRecord): void {
    if (record.abandoned || record.channelFd === NONE) return;
    // The watcher's thread may have taken some of it in this moment.
    const taken = this.watcher.remove(tokenOf(record.handle, WATCH.channel));
    if (taken !== undefined) this.#listener.onBytes(record.handle, taken);
    let bytes: Uint8Array | undefined;
    try {
      bytes = this.#machine.readChannel(record.channelFd, LAST_WORDS_BYTES);
    } catch {
      // ECONNRESET: it died with messages of ours unread. There is nothing to hear.
    }
    if (bytes !== undefined && bytes.length > 0) this.#listener.onBytes(record.handle, bytes);
  }

  #sayChoice(record: ProcessRecord, program: number): void {
    const { plan } = record;
    record.plan = undefined;
    if (plan === undefined || plan.programs.choices.length === 1) return;
    for (const line of describeChoice(plan.programs, program)) this.#parts.logger.info(line);
  }

  #forget(record: ProcessRecord): void {
    this.#table.delete(record.handle);
    this.#later.forget(record);
    this.#idle.delete(record.handle);
    this.#late.gone(record);
  }

  #drop(record: ProcessRecord): void {
    giveBack(this.#machine, this.watcher, record);
    this.#forget(record);
  }
}
