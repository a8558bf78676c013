/** Starting a process: options in, result or failure out. Decides nothing about either. */
import { constants } from "node:os";
import { errnoName } from "./constants.ts";
import { native } from "./native.ts";
import { packPlan, SPAWN_STAGES } from "./plan.ts";
import type { SpawnFailure, SpawnOptions, SpawnResult } from "./types.ts";

/** A failure out of the addon's numbers. */
export function makeFailure(
  stage: number,
  errno: number,
  index: number,
  waitStatus: number,
): SpawnFailure {
  return {
    ok: false,
    stage: SPAWN_STAGES[stage] ?? "prepare",
    errno,
    code: errnoName(errno),
    index,
    waitStatus,
  };
}

function malformed(): SpawnFailure {
  return makeFailure(0, constants.errno.EINVAL, -1, 0);
}

/**
 * Starts a child as `options` say and never throws for what the machine or the options refuse: a
 * full process table (EAGAIN), no descriptor left (EMFILE), a string with a NUL or a combination that
 * is not allowed (stage `prepare`, EINVAL), a step of the set-up. After a failure neither a process
 * nor a descriptor is left. The result's descriptors belong to the caller.
 *
 * The parent-death signal is tied to the calling thread, as the kernel has it: spawn from the main one.
 */
export function spawn(options: SpawnOptions): SpawnResult {
  const plan = packPlan(options);
  if (plan === undefined) return malformed();
  const [ok, first = 0, second = 0, third = 0, fourth = 0] = native.spawn(plan.numbers, plan.text);
  if (ok !== 1) return makeFailure(first, second, third, fourth);
  const child = { ok: true, pid: first, pidfd: second, program: fourth } as const;
  return options.mode === "copied" ? { ...child, statusFd: third } : child;
}

/** STARTS_SEATS of `native/starts.h`, and the numbers of one record. */
const SEATS = 16;
const RECORD_NUMBERS = 6;

const ANSWER = { failed: 0, begun: 1, full: 2 } as const;

interface Start {
  readonly options: SpawnOptions;
  readonly callback: (result: SpawnResult) => void;
}

/** Starts that wait for a seat, and those that have one. One object for the whole process. */
class Starts {
  readonly #records = new Float64Array(SEATS * RECORD_NUMBERS);
  /** By seat. */
  readonly #begun: (Start | undefined)[] = [];
  #queue: Start[] = [];
  #state: "unused" | "open" | "closed" = "unused";

  add(start: Start): void {
    if (this.#state === "unused") this.#open();
    if (this.#state === "closed") return;
    // Who came first goes first.
    if (this.#queue.length > 0 || !this.#begin(start)) this.#queue.push(start);
  }

  #open(): void {
    native.startsOpen(() => this.#onWake());
    this.#state = "open";
    // `process.exit` tears no environment down, so the addon would not hear of it.
    process.once("exit", () => {
      this.#state = "closed";
      native.startsClose();
    });
  }

  /** False: no seat is free, and `#onWake` will come. */
  #begin(start: Start): boolean {
    if (!native.startsHaveRoom()) return false;
    const plan = packPlan(start.options);
    if (plan === undefined) {
      setImmediate(start.callback, malformed());
      return true;
    }
    const [answer, first = 0, second = 0, third = 0, fourth = 0] = native.start(
      plan.numbers,
      plan.text,
    );
    if (answer === ANSWER.full) return false;
    if (answer === ANSWER.begun) this.#begun[first] = start;
    else setImmediate(start.callback, makeFailure(first, second, third, fourth));
    return true;
  }

  #onWake(): void {
    // A wake-up may still be under way.
    if (this.#state === "closed") return;
    const count = native.startsTake(this.#records);
    const ended: [Start, SpawnResult][] = [];
    for (let at = 0; at < count * RECORD_NUMBERS; at += RECORD_NUMBERS) {
      const [seat = 0, ok, first = 0, second = 0, third = 0, fourth = 0] = this.#records.subarray(
        at,
        at + RECORD_NUMBERS,
      );
      const start = this.#begun[seat];
      this.#begun[seat] = undefined;
      const result =
        ok === 1
          ? ({ ok: true, pid: first, pidfd: second, program: third } as const)
          : makeFailure(first, second, third, fourth);
      if (start !== undefined) ended.push([start, result]);
    }
    // First the next ones, which then run beside the work that the callbacks make.
    let begun = 0;
    for (const start of this.#queue) {
      if (!this.#begin(start)) break;
      begun += 1;
    }
    if (begun > 0) this.#queue = this.#queue.slice(begun);
    for (const [start, result] of ended) {
      try {
        start.callback(result);
      } catch (error) {
        // Uncaught, as it should be; but the others must hear of their children.
        setImmediate(() => {
          throw error;
        });
      }
    }
  }
}

const starts = new Starts();

/**
 * Starts a `shared` child without waiting for its exec: the calling thread only clones it, so a child
 * that gets stuck in its set-up holds up nothing else. Results are those of `spawn`, given to
 * `callback` in any order and never before this returns. The descriptors of the plan belong to the
 * caller and have to stay open until then. Up to min(4, processors + 1) children are in their set-up
 * at once, those that take longer than 50 ms not counted; further starts wait for their turn.
 *
 * Also here the calling thread is the child's parent to whose death the parent-death signal is tied:
 * the threads that wait for the children may come and go, and the children survive an `execve` of it.
 * The process does not end by itself before the callbacks came; when it is ended, children whose
 * callback did not come are killed.
 */
export function spawnAsync(options: SpawnOptions, callback: (result: SpawnResult) => void): void {
  starts.add({ options, callback });
}
