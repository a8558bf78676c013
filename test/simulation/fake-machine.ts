/**
 * A machine that exists only in a test: processes, channels and one alarm under a clock that moves
 * when it is told to. It is the Emperor's hands, and it keeps the books that real hands cannot: an
 * order that makes no sense for the process it names is a violation. How processes behave is the
 * business of a `Program`.
 */
import type { VassalSpec } from "@emperor/monitors";
import { VASSAL_MESSAGES, type EmperorMessageName } from "@emperor/protocol";
import type {
  Hands,
  HandsListener,
  ProcessHandle,
  ReapedProcess,
  SocketFailure,
  SocketsKey,
  SpawnExtras,
  SpawnFailureReport,
} from "../../emperor/src/court/hands.ts";
import { FakeSockets, nameOf } from "./fake-sockets.ts";
import { Happenings } from "./happenings.ts";

/** A promise of the Emperor was broken. */
export class Violation extends Error {
  override readonly name = "Violation";
}

export interface FakeProcess {
  readonly handle: ProcessHandle;
  readonly spec: VassalSpec;
  /** The on-demand sockets that it was given. */
  readonly sockets: SocketsKey | undefined;
  /** It takes connections from its sockets. */
  serves: boolean;
  /** `spawning`: ordered, no outcome yet. `reaped`: its end was reported. */
  state: "spawning" | "alive" | "reaped";
  pid: number | undefined;
  readonly orderedAt: number;
  /** The vassal's end of the channel. */
  channelOpen: boolean;
  /** Bytes that the vassal has not read yet make the channel full. */
  channelFull: boolean;
  /** When the Emperor first wanted it to stop and tried to say so. */
  askedToStopAt: number | undefined;
  /** When a message could not be written although the process lived. */
  sendFailedAt: number | undefined;
  /** When SIGKILL was first sent to all of it. */
  killedAt: number | undefined;
  released: boolean;
}

/** What a simulated vassal does. All calls come at the machine's present time. */
export interface Program {
  /** The Emperor ordered a spawn; the program decides about its outcome, now or later. */
  ordered(process: FakeProcess): void;
  heard(process: FakeProcess, message: EmperorMessageName): void;
  configured(process: FakeProcess, config: Uint8Array): void;
  signalled(process: FakeProcess, signal: "SIGTERM" | "SIGKILL", scope: "process" | "tree"): void;
}

const SIGKILL = 9;

export class FakeMachine implements Hands {
  listener: HandsListener | undefined;
  /** Ordered and not released, by handle. */
  readonly processes = new Map<ProcessHandle, FakeProcess>();
  readonly sockets = new FakeSockets();
  readonly #program: Program;
  readonly #future = new Happenings();
  #now: number;
  #wallOffset = 1_700_000_000_000;
  #alarmAt: number | undefined;
  #lastPid = 1000;

  constructor(program: Program, now = 0) {
    this.#program = program;
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#now + this.#wallOffset;
  }

  /** Somebody sets the clock on the wall; nothing that decides may notice. */
  jumpWallClock(byMs: number): void {
    this.#wallOffset += byMs;
  }

  setAlarm(at: number | undefined): void {
    if (at !== undefined && Number.isNaN(at)) throw new Violation("the alarm is set to no number");
    this.#alarmAt = at;
  }

  get alarmAt(): number | undefined {
    return this.#alarmAt;
  }

  /** Something happens `afterMs` from now. */
  in(afterMs: number, happen: () => void): void {
    this.#future.add(this.#now + afterMs, happen);
  }

  /** Lets the next thing happen, be it the alarm; false when nothing lies ahead (before `until`). */
  advance(until = Infinity): boolean {
    const nextAt = this.#future.nextAt ?? Infinity;
    const alarmAt = this.#alarmAt ?? Infinity;
    const at = Math.min(nextAt, alarmAt);
    if (at === Infinity || at > until) {
      if (until !== Infinity) this.#now = Math.max(this.#now, until);
      return false;
    }
    this.#now = Math.max(this.#now, at);
    if (alarmAt <= nextAt) {
      this.#alarmAt = undefined;
      this.#listening().onAlarm();
    } else this.#future.take()?.();
    return true;
  }

  spawn(handle: ProcessHandle, spec: VassalSpec, extras: SpawnExtras = {}): void {
    if (this.processes.has(handle)) throw new Violation(`handle ${handle} is used twice`);
    for (const other of this.processes.values()) {
      if (
        extras.zergNumber === undefined &&
        other.spec.name === spec.name &&
        other.spec.monitor === spec.monitor
      ) {
        throw new Violation(`${spec.name}: a second process is started while there is one`);
      }
    }
    const process: FakeProcess = {
      handle,
      spec,
      sockets: extras.sockets,
      serves: false,
      state: "spawning",
      pid: undefined,
      orderedAt: this.#now,
      channelOpen: true,
      channelFull: false,
      askedToStopAt: undefined,
      sendFailedAt: undefined,
      killedAt: undefined,
      released: false,
    };
    this.processes.set(handle, process);
    if (extras.sockets !== undefined) {
      const bound = this.sockets.bind(extras.sockets, spec);
      if (!("key" in bound)) {
        const cause = bound.lasting ? "exile" : "vassal";
        return this.spawnFails(process, { cause, detail: bound.detail });
      }
    }
    this.#program.ordered(process);
  }

  send(handle: ProcessHandle, message: EmperorMessageName): boolean {
    const process = this.#held(handle, `send ${message}`);
    if (process.state === "spawning")
      throw new Violation(`${process.spec.name}: ${message} before there is a process`);
    if (message !== "reload") process.askedToStopAt ??= this.#now;
    if (process.state !== "alive" || !process.channelOpen || process.channelFull) {
      process.sendFailedAt ??= this.#now;
      return false;
    }
    if (message !== "reload") process.serves = false;
    this.#program.heard(process, message);
    return true;
  }

  sendConfig(handle: ProcessHandle, config: Uint8Array): void {
    this.#program.configured(this.#held(handle, "send a config"), config);
  }

  kill(handle: ProcessHandle, signal: "SIGTERM" | "SIGKILL", scope: "process" | "tree"): void {
    const process = this.#held(handle, signal);
    if (process.state === "spawning")
      throw new Violation(`${process.spec.name}: ${signal} before there is a process`);
    if (signal === "SIGKILL" && scope === "tree") process.killedAt ??= this.#now;
    // Dead and not reaped yet: the signal reaches nobody.
    if (process.state !== "alive") return;
    this.#program.signalled(process, signal, scope);
  }

  watchSockets(key: SocketsKey, spec: VassalSpec): SocketFailure | undefined {
    for (const other of this.processes.values()) {
      if (nameOf(other.spec) === nameOf(spec))
        throw new Violation(`${spec.name}: its sockets are watched while it has a process`);
    }
    const bound = this.sockets.bind(key, spec);
    if (!("key" in bound)) return bound;
    bound.watched = true;
    if (bound.waiting > 0) this.#wake(key);
    return undefined;
  }

  unwatchSockets(key: SocketsKey): void {
    const socket = this.sockets.byKey(key);
    if (socket !== undefined) socket.watched = false;
  }

  closeSockets(key: SocketsKey): void {
    this.sockets.close(key);
  }

  /** Somebody connects to an on-demand vassal (monitor, NUL, name); false: refused. */
  connects(vassal: string): boolean {
    const socket = this.sockets.of(vassal);
    if (socket === undefined) return false;
    for (const process of this.processes.values())
      if (process.sockets === socket.key && process.serves && process.state === "alive")
        return true;
    if (socket.waiting === 0) socket.waitingSince = this.#now;
    socket.waiting += 1;
    if (socket.watched) this.#wake(socket.key);
    return true;
  }

  /** For programs: it accepts from now on; whoever waited is served. */
  accepts(process: FakeProcess): void {
    if (process.state !== "alive" || process.sockets === undefined) return;
    process.serves = true;
    const socket = this.sockets.byKey(process.sockets);
    if (socket !== undefined) socket.waiting = 0;
  }

  /** The report of a connection is one shot, and crosses what happens meanwhile. */
  #wake(key: SocketsKey): void {
    this.in(1, () => {
      const socket = this.sockets.byKey(key);
      if (socket?.watched === true && socket.waiting > 0)
        this.#listening().onConnectionWaiting(key);
    });
  }

  release(handle: ProcessHandle): void {
    const process = this.#held(handle, "release");
    if (process.state !== "reaped")
      throw new Violation(`${process.spec.name}: released while ${process.state}`);
    process.released = true;
    this.processes.delete(handle);
  }

  /** For programs: the spawn succeeded. */
  spawned(process: FakeProcess): void {
    if (process.state !== "spawning") return;
    process.state = "alive";
    process.pid = ++this.#lastPid;
    this.#listening().onSpawned(process.handle, process.pid);
  }

  /** For programs: it did not, or a hook between it and the program failed. */
  spawnFails(process: FakeProcess, failure: SpawnFailureReport): void {
    if (process.state === "reaped") return;
    process.state = "reaped";
    this.#listening().onSpawnFailed(process.handle, failure);
  }

  /** For programs: bytes through the channel. */
  writes(process: FakeProcess, bytes: readonly number[]): void {
    if (process.state !== "alive" || !process.channelOpen || bytes.length === 0) return;
    // Whoever says that it is done takes no further connection.
    if (bytes.includes(VASSAL_MESSAGES.done)) process.serves = false;
    this.#listening().onBytes(process.handle, Uint8Array.from(bytes));
  }

  /** For programs: the end of the channel, without the end of the process. */
  closes(process: FakeProcess): void {
    if (process.state !== "alive" || !process.channelOpen) return;
    process.channelOpen = false;
    this.#listening().onChannelClosed(process.handle);
  }

  /** For programs: the process ends and is reaped now. */
  exits(process: FakeProcess, status: ReapedProcess): void {
    if (process.state !== "alive") return;
    process.state = "reaped";
    this.#listening().onExited(process.handle, status);
  }

  /** For programs: killed by SIGKILL. */
  dies(process: FakeProcess, signal = SIGKILL): void {
    this.exits(process, { code: null, signal });
  }

  #held(handle: ProcessHandle, order: string): FakeProcess {
    const process = this.processes.get(handle);
    if (process === undefined)
      throw new Violation(`${order} to handle ${handle}, which is no process any more`);
    return process;
  }

  #listening(): HandsListener {
    if (this.listener === undefined) throw new Error("the fake machine has no listener yet");
    return this.listener;
  }
}
