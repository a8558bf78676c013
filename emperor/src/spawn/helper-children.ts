/**
 * Short-lived children that do one thing for the Emperor (mount, mkdir, write a fifo...) so that the
 * Emperor itself never blocks in it. They share its namespaces, so what they do lasts. It must not
 * know hooks.
 */
import type { SetupAction, SpawnFailure, Watcher } from "@emperor/linux";
import type { Machine } from "./machine.ts";
import { NONE, tokenOf, WATCH } from "./process-table.ts";

interface Helper {
  readonly pidfd: number;
  readonly timer: NodeJS.Timeout | undefined;
  readonly resolve: (problem: string | undefined) => void;
  statusFd: number;
  failure: SpawnFailure | undefined;
  timedOut: boolean;
  /** Exit code, or -1 for a signal; undefined while it lives. */
  exit: number | undefined;
}

export class HelperChildren {
  readonly #machine: Machine;
  readonly #watcher: () => Watcher;
  readonly #timeoutMs: number;
  readonly #helpers = new Map<number, Helper>();
  #lastNumber = 0;

  constructor(machine: Machine, watcher: () => Watcher, timeoutMs: number) {
    this.#machine = machine;
    this.#watcher = watcher;
    this.#timeoutMs = timeoutMs;
  }

  get size(): number {
    return this.#helpers.size;
  }

  /** Performs one action. Resolves to what went wrong, or to undefined. */
  async perform(action: SetupAction): Promise<string | undefined> {
    const result = this.#machine.spawn({
      programs: [],
      args: [],
      env: [],
      fds: [
        { from: NONE, to: 0 },
        { from: 1, to: 1 },
        { from: 2, to: 2 },
      ],
      session: true,
      actions: [action, { kind: "exit", code: 0 }],
      mode: "copied",
    });
    if (!result.ok) return result.code;
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    return new Promise((resolve) => {
      const helper: Helper = {
        pidfd: result.pidfd,
        timer:
          this.#timeoutMs > 0 ? setTimeout(() => this.#expire(number), this.#timeoutMs) : undefined,
        resolve,
        statusFd: result.statusFd ?? NONE,
        failure: undefined,
        timedOut: false,
        exit: undefined,
      };
      this.#helpers.set(number, helper);
      this.#watcher().addProcess(result.pidfd, tokenOf(number, WATCH.helper));
      if (helper.statusFd !== NONE) {
        this.#watcher().addStatus(helper.statusFd, tokenOf(number, WATCH.helperStatus));
      }
    });
  }

  /** The watcher saw its end. */
  onExit(number: number): void {
    const helper = this.#helpers.get(number);
    const status = helper === undefined ? undefined : this.#machine.reap(helper.pidfd);
    if (helper === undefined || status === undefined) return;
    helper.exit = status.code ?? -1;
    this.#settle(number, helper);
  }

  /** The watcher read how its steps went. */
  onStatus(number: number, failure: SpawnFailure | undefined): void {
    const helper = this.#helpers.get(number);
    if (helper === undefined || helper.statusFd === NONE) return;
    helper.failure = failure;
    this.#watcher().remove(tokenOf(number, WATCH.helperStatus));
    this.#machine.close(helper.statusFd);
    helper.statusFd = NONE;
    this.#settle(number, helper);
  }

  #settle(number: number, helper: Helper): void {
    if (helper.exit === undefined || helper.statusFd !== NONE) return;
    clearTimeout(helper.timer);
    this.#helpers.delete(number);
    this.#watcher().remove(tokenOf(number, WATCH.helper));
    this.#machine.close(helper.pidfd);
    if (helper.timedOut) helper.resolve(`it took longer than ${this.#timeoutMs} ms and was killed`);
    else if (helper.exit === 0) helper.resolve(undefined);
    else helper.resolve(whatWentWrong(helper.failure));
  }

  #expire(number: number): void {
    const helper = this.#helpers.get(number);
    if (helper === undefined || helper.exit !== undefined) return;
    helper.timedOut = true;
    this.#machine.signal(helper.pidfd, "SIGKILL");
  }
}

function whatWentWrong(failure: SpawnFailure | undefined): string {
  if (failure === undefined) return "its child was killed";
  if (failure.code !== "") return failure.code;
  const signal = failure.waitStatus & 0x7f;
  return signal === 0 ? `status ${(failure.waitStatus >> 8) & 0xff}` : `signal ${signal}`;
}
