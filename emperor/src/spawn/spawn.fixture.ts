/** Settings, specs and a machine without processes, for the tests of this folder. */
import type { ExitStatus, SpawnOptions, SpawnResult, Watcher, WatchEvent } from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import type { HandsListener, ReapedProcess, SpawnFailureReport } from "../court/hands.ts";
import type { HookAction, Settings } from "../options/settings.ts";
import type { Machine } from "./machine.ts";

const DEFAULTS: Settings = {
  broodlord: { most: 0, perVassal: 0, attribute: undefined, cooldownMs: 3000 },
  onDemand: {
    extension: undefined,
    directory: undefined,
    exec: undefined,
    attribute: undefined,
    idleMs: 0,
    mode: 0o660,
    owner: undefined,
    backlog: 100,
  },
  hookAsOnDemandVassal: [],
  hookAsOnConfigVassal: [],
  emperor: [],
  frequencySeconds: 3,
  nofollow: false,
  extraExtensions: [],
  magicExec: false,
  forceConfigPipe: false,
  ignoreHidden: false,
  quietMs: 40,
  throttleMs: 1000,
  throttleExplicit: false,
  maxThrottleMs: 180_000,
  blacklist: true,
  maxStarting: 16,
  healthyAfterMs: 10_000,
  requiredHeartbeatMs: 30_000,
  curseToleranceMs: 30_000,
  reloadMercyMs: 30_000,
  gracefulShutdown: false,
  tyrant: false,
  tyrantNofollow: false,
  tyrantInitgroups: false,
  capabilities: undefined,
  cloneFlags: 0,
  binaryPath: "/opt/vassal",
  wrapper: undefined,
  wrapperOverride: [],
  wrapperFallback: [],
  wrapperAttribute: undefined,
  chdirAttribute: undefined,
  collectAttributes: [],
  safeFds: [],
  inheritBefore: [],
  includeBefore: [],
  set: [],
  inherit: [],
  include: [],
  startHook: undefined,
  stopHook: undefined,
  hookAsap: [],
  hookAsRoot: [],
  hookAsUser: [],
  hookEmperorStart: [],
  hookAsEmperor: [],
  hookAsEmperorBeforeVassal: [],
  hookAsVassal: [],
  hookAsVassalBeforeDrop: [],
  shells: [],
  hookTimeoutMs: 10_000,
  statsAddresses: [],
  control: undefined,
  remote: {
    commandSockets: [],
    waitForCommand: false,
    waitForCommandIgnore: [],
    triggerSockets: [],
    fifos: [],
    proxySocket: undefined,
    proxyTimeoutMs: 30_000,
  },
  forkServer: {
    address: undefined,
    attribute: undefined,
    bases: [],
    subreaper: false,
    timeoutMs: 4000,
  },
  statsHttp: false,
  statsMinified: false,
  chmodSocket: undefined,
  abstractSocket: false,
  listenBacklog: 100,
  startDirectory: "/",
  workingDirectory: "/",
  procname: "uWSGI Emperor",
  pidfiles: [],
  pidfilesAfterDrop: [],
  daemonize: undefined,
  logto: undefined,
  logtoAfterDrop: undefined,
  logLevel: "info",
  logFormat: "text",
  maxFd: undefined,
  vassalOpenFiles: undefined,
  uid: undefined,
  gid: undefined,
  addGids: [],
  initgroups: false,
  immediateUid: undefined,
  immediateGid: undefined,
  ownCapabilities: undefined,
  chdir: undefined,
  umask: undefined,
  environment: [],
};

export function testSettings(changes: Partial<Settings> = {}): Settings {
  return { ...DEFAULTS, ...changes };
}

export function testSpec(changes: Partial<VassalSpec> = {}): VassalSpec {
  return {
    name: "a.ini",
    monitor: "dir:/etc/vassals",
    version: "1",
    modifiedAt: 0,
    cwd: "/etc/vassals",
    attributes: {},
    ...changes,
  };
}

export function hook(action: string, argument: string, origin = "hook-as-vassal"): HookAction {
  return { action, argument, origin };
}

/** What the listener was told, as one list in order. */
export type Told =
  | { readonly kind: "spawned"; readonly handle: number; readonly pid: number }
  | { readonly kind: "failed"; readonly handle: number; readonly failure: SpawnFailureReport }
  | { readonly kind: "bytes"; readonly handle: number; readonly bytes: readonly number[] }
  | { readonly kind: "closed"; readonly handle: number }
  | { readonly kind: "exited"; readonly handle: number; readonly status: ReapedProcess }
  | { readonly kind: "connection"; readonly key: number }
  | { readonly kind: "deserted"; readonly handle: number }
  | { readonly kind: "alarm" };

export class RecordingListener implements HandsListener {
  readonly told: Told[] = [];
  /** Called after each entry, so a test can wait for one. */
  onTold: () => void = () => undefined;

  onSpawned(handle: number, pid: number): void {
    this.#tell({ kind: "spawned", handle, pid });
  }

  onSpawnFailed(handle: number, failure: SpawnFailureReport): void {
    this.#tell({ kind: "failed", handle, failure });
  }

  onBytes(handle: number, bytes: Uint8Array): void {
    this.#tell({ kind: "bytes", handle, bytes: [...bytes] });
  }

  onChannelClosed(handle: number): void {
    this.#tell({ kind: "closed", handle });
  }

  onExited(handle: number, status: ReapedProcess): void {
    this.#tell({ kind: "exited", handle, status });
  }

  onConnectionWaiting(key: number): void {
    this.#tell({ kind: "connection", key });
  }

  onDeserted(handle: number): void {
    this.#tell({ kind: "deserted", handle });
  }

  onAlarm(): void {
    this.#tell({ kind: "alarm" });
  }

  #tell(entry: Told): void {
    this.told.push(entry);
    this.onTold();
  }
}

/** A machine that starts nothing, counts every descriptor, and says what it was asked for. */
export class FakeMachine implements Machine {
  readonly calls: string[] = [];
  readonly spawned: SpawnOptions[] = [];
  readonly open = new Set<number>();
  readonly watched = new Map<number, string>();
  /** Answers to `spawn` and `spawnAsync`; default: the next pid runs. */
  answer: ((options: SpawnOptions) => SpawnResult) | undefined;
  /** The n-th call of `socketPair` from now fails with this code. */
  pairFailure: { after: number; readonly code: string } | undefined;
  watchFailure: string | undefined;
  unread: Uint8Array | undefined;
  /** What the watcher has read and not delivered, for the next `remove`. */
  taken: Uint8Array | undefined;
  status: ExitStatus | undefined = exitStatus(0);
  /** What `writeChannel` answers; default: everything fits. */
  onWrite: ((bytes: Uint8Array) => number) | undefined;
  emit: (events: WatchEvent[]) => void = () => undefined;
  #lastFd = 9;
  #lastPid = 1000;

  newFd(): number {
    this.#lastFd += 1;
    this.open.add(this.#lastFd);
    return this.#lastFd;
  }

  spawn(options: SpawnOptions): SpawnResult {
    this.spawned.push(options);
    if (this.answer !== undefined) return this.answer(options);
    return this.running(options);
  }

  /** `spawnAsync` answers when the test calls what it finds here, in any order; default: at once. */
  held: (() => void)[] | undefined;

  spawnAsync(options: SpawnOptions, callback: (result: SpawnResult) => void): void {
    if (this.held === undefined) return callback(this.spawn(options));
    this.held.push(() => callback(this.spawn(options)));
  }

  /** The calls alone, as the package gives them: functions that may be copied. */
  functions(): Machine {
    return {
      spawn: (options) => this.spawn(options),
      spawnAsync: (options, callback) => this.spawnAsync(options, callback),
      createWatcher: (onEvents) => this.createWatcher(onEvents),
      socketpair: () => this.socketpair(),
      readChannel: (fd, size) => this.readChannel(fd, size),
      writeChannel: (fd, bytes) => this.writeChannel(fd, bytes),
      close: (fd) => this.close(fd),
      reap: (pidfd) => this.reap(pidfd),
      signalProcess: (pidfd, signal) => this.signalProcess(pidfd, signal),
      signalGroup: (pgid, signal) => this.signalGroup(pgid, signal),
    };
  }

  /** A start that succeeds. */
  running(options: SpawnOptions): SpawnResult {
    this.#lastPid += 1;
    const pid = this.#lastPid;
    const pidfd = this.newFd();
    return options.mode === "copied"
      ? { ok: true, pid, pidfd, statusFd: this.newFd(), program: -1 }
      : { ok: true, pid, pidfd, program: 0 };
  }

  createWatcher(onEvents: (events: WatchEvent[]) => void): Watcher {
    this.emit = onEvents;
    const { calls, watched } = this;
    const add = (kind: string, fd: number, token: number): void => {
      if (this.watchFailure !== undefined) {
        throw Object.assign(new Error("watch"), { code: this.watchFailure });
      }
      watched.set(token, kind);
      calls.push(`watch ${kind} ${fd}`);
    };
    return {
      addProcess: (fd, token) => add("process", fd, token),
      addChannel: (fd, token) => add("channel", fd, token),
      addListener: (fd, token) => add("listener", fd, token),
      addStatus: (fd, token) => add("status", fd, token),
      addReadable: (fd, token) => add("readable", fd, token),
      rearm: (token) => void calls.push(`rearm ${token}`),
      remove: (token) => {
        if (watched.delete(token)) calls.push(`unwatch ${token}`);
        const taken = this.taken;
        this.taken = undefined;
        return taken;
      },
      get size() {
        return watched.size;
      },
      unref: () => undefined,
      ref: () => undefined,
      close: () => void calls.push("close watcher"),
    };
  }

  socketpair(): [number, number] {
    if (this.pairFailure !== undefined) {
      if (this.pairFailure.after === 0) {
        throw Object.assign(new Error("socketpair"), { code: this.pairFailure.code });
      }
      this.pairFailure.after -= 1;
    }
    return [this.newFd(), this.newFd()];
  }

  writeChannel(fd: number, bytes: Uint8Array): number {
    this.calls.push(
      `write ${fd} ${bytes.length > 8 ? `${bytes.length} bytes` : [...bytes].join(" ")}`,
    );
    return this.onWrite === undefined ? bytes.length : this.onWrite(bytes);
  }

  readChannel(fd: number, size: number): Uint8Array | undefined {
    this.calls.push(`read ${fd} ${size}`);
    const bytes = this.unread;
    this.unread = undefined;
    return bytes;
  }

  close(fd: number): void {
    if (!this.open.delete(fd)) throw new Error(`descriptor ${fd} closed twice`);
    this.calls.push(`close ${fd}`);
  }

  signalProcess(pidfd: number, signal: number): boolean {
    this.calls.push(`signal ${pidfd} ${signal}`);
    return true;
  }

  signalGroup(pgid: number, signal: number): boolean {
    this.calls.push(`signal group ${pgid} ${signal}`);
    return true;
  }

  reap(pidfd: number): ExitStatus | undefined {
    this.calls.push(`reap ${pidfd}`);
    return this.status;
  }
}

export function exitStatus(code: number | null, signal: number | null = null): ExitStatus {
  return { code, signal, coreDumped: false, userMs: 0, systemMs: 0, maxRssKb: 0 };
}
