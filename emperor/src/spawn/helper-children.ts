/**
 * Short-lived children that do one thing for the Emperor (mount, mkdir, write a fifo...) so that the
 * Emperor itself never blocks in it. They share its namespaces, so what they do lasts. It must not
 * know hooks. Its watcher lives only while there is a child: few Emperors ever need it.
 */
import type { SetupAction, SpawnFailure, Watcher, WatchEvent } from "@emperor/linux";
import type { Variables } from "./environment.ts";
import { errorCode, signalChild, type Machine } from "./machine.ts";
import { exitStatusOf } from "./start-hook.ts";
import { NONE, readToken, tokenOf, WATCH } from "./process-table.ts";

/** Where the descriptor of a process stands in a child that joins its namespaces. */
const PIDFD = 3;

/** Namespaces of another process, which has to be there until the child was made. */
export interface Within {
  readonly pidfd: number;
  /** CLONE_NEW* flags, OR-ed. */
  readonly namespaces: number;
  readonly variables: Variables;
}

interface Helper {
  readonly pidfd: number;
  readonly resolve: (problem: string | undefined) => void;
  timer: NodeJS.Timeout | undefined;
  statusFd: number;
  failure: SpawnFailure | undefined;
  timedOut: boolean;
  /** Exit code, or -1 for a signal; undefined while it lives. */
  exit: number | undefined;
}

export class HelperChildren {
  readonly #machine: Machine;
  readonly #timeoutMs: number;
  readonly #helpers = new Map<number, Helper>();
  #watcher: Watcher | undefined;
  #lastNumber = 0;

  /** `timeoutMs`: after that a child is killed; 0 for never. */
  constructor(machine: Machine, timeoutMs: number) {
    this.#machine = machine;
    this.#timeoutMs = timeoutMs;
  }

  get size(): number {
    return this.#helpers.size;
  }

  /**
   * Performs one action in `cwd`, or in namespaces of another process. Resolves to what went wrong, or
   * to undefined.
   */
  async perform(
    action: SetupAction,
    cwd: string | undefined,
    within?: Within,
  ): Promise<string | undefined> {
    const result = this.#machine.spawn({
      // Never reached: the child ends with its second action.
      programs: [{ path: "/bin/true", argv0: "true" }],
      args: [],
      env: Object.entries({ ...process.env, ...within?.variables }).map(
        ([name, value]) => `${name}=${value ?? ""}`,
      ),
      fds: [
        { from: NONE, to: 0 },
        { from: 1, to: 1 },
        { from: 2, to: 2 },
        ...(within === undefined ? [] : [{ from: within.pidfd, to: PIDFD }]),
      ],
      ...(cwd === undefined ? {} : { cwd }),
      session: true,
      actions: [
        ...(within === undefined
          ? []
          : [{ kind: "setns", fd: PIDFD, namespaces: within.namespaces } as const]),
        action,
        { kind: "exit", code: 0 },
      ],
      mode: "copied",
    });
    if (!result.ok) return result.code;
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    return new Promise((resolve) => {
      const helper: Helper = {
        pidfd: result.pidfd,
        resolve,
        timer: undefined,
        statusFd: result.statusFd ?? NONE,
        failure: undefined,
        timedOut: false,
        exit: undefined,
      };
      this.#helpers.set(number, helper);
      this.#watch(number, helper);
    });
  }

  /** Kills what still works: each resolves with that. */
  endRunning(): void {
    for (const helper of this.#helpers.values()) {
      if (helper.exit === undefined) signalChild(this.#machine, helper.pidfd, "SIGKILL");
    }
  }

  #watch(number: number, helper: Helper): void {
    try {
      this.#watcher ??= this.#machine.createWatcher((events) => this.#onEvents(events));
      this.#watcher.addProcess(helper.pidfd, tokenOf(number, WATCH.process));
      if (helper.statusFd !== NONE) {
        this.#watcher.addStatus(helper.statusFd, tokenOf(number, WATCH.status));
      }
      if (this.#timeoutMs > 0)
        helper.timer = setTimeout(() => this.#expire(number), this.#timeoutMs);
    } catch (error) {
      signalChild(this.#machine, helper.pidfd, "SIGKILL");
      this.#giveBack(number, helper);
      helper.resolve(`its child cannot be watched: ${errorCode(error)}`);
    }
  }

  #onEvents(events: readonly WatchEvent[]): void {
    for (const event of events) {
      const { number } = readToken(event.token);
      if (event.kind === "exit") this.#onExit(number);
      else if (event.kind === "status") this.#onStatus(number, event.failure);
    }
  }

  #onExit(number: number): void {
    const helper = this.#helpers.get(number);
    const status = helper === undefined ? undefined : this.#machine.reap(helper.pidfd);
    if (helper === undefined || status === undefined) return;
    helper.exit = status.code ?? -1;
    this.#settle(number, helper);
  }

  #onStatus(number: number, failure: SpawnFailure | undefined): void {
    const helper = this.#helpers.get(number);
    if (helper === undefined || helper.statusFd === NONE) return;
    helper.failure = failure;
    this.#watcher?.remove(tokenOf(number, WATCH.status));
    this.#machine.close(helper.statusFd);
    helper.statusFd = NONE;
    this.#settle(number, helper);
  }

  /** Exit and outcome may come in either order; both are needed. */
  #settle(number: number, helper: Helper): void {
    if (helper.exit === undefined || helper.statusFd !== NONE) return;
    this.#giveBack(number, helper);
    if (helper.timedOut) {
      helper.resolve(`it took longer than ${this.#timeoutMs} ms and was killed`);
    } else if (helper.exit === 0) helper.resolve(undefined);
    else helper.resolve(whatWentWrong(helper.failure));
  }

  #giveBack(number: number, helper: Helper): void {
    clearTimeout(helper.timer);
    this.#helpers.delete(number);
    this.#watcher?.remove(tokenOf(number, WATCH.process));
    this.#machine.close(helper.pidfd);
    if (helper.statusFd !== NONE) {
      this.#watcher?.remove(tokenOf(number, WATCH.status));
      this.#machine.close(helper.statusFd);
    }
    if (this.#helpers.size > 0) return;
    // Not within its own report, which is still being read.
    setImmediate(() => {
      if (this.#helpers.size > 0) return;
      this.#watcher?.close();
      this.#watcher = undefined;
    });
  }

  #expire(number: number): void {
    const helper = this.#helpers.get(number);
    if (helper === undefined || helper.exit !== undefined) return;
    helper.timedOut = true;
    signalChild(this.#machine, helper.pidfd, "SIGKILL");
  }
}

function whatWentWrong(failure: SpawnFailure | undefined): string {
  if (failure === undefined) return "its child was killed";
  if (failure.code !== "") return failure.code;
  return `status ${exitStatusOf(failure.waitStatus)}`;
}
