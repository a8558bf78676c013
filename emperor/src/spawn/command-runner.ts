/**
 * Runs the administrator's commands in the Emperor, none of them in the way of the event loop: a few
 * at a time, each with a limit. Owns that limit; it must not know what a command is for.
 */
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  /** Complete environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undefined, or gone meanwhile: where the Emperor is. */
  readonly cwd: string | undefined;
}

/** How a command ended. `status` is what a shell would show: an exit status, or 128 + signal. */
export interface CommandResult {
  readonly status: number;
  /** What went wrong, for a message; undefined when the status is 0. */
  readonly problem: string | undefined;
}

/** What a command printed, if nothing went wrong. */
export interface CaptureResult {
  readonly output: string;
  readonly problem: string | undefined;
}

export type CaptureCommand = (command: Command) => Promise<CaptureResult>;
export type RunCommand = (command: Command) => Promise<CommandResult>;

const NOT_STARTED = 127;
/** Far more than the longest list of addresses. */
const MOST_OUTPUT_BYTES = 8192;

/** Leaders of the groups that run now. */
const running = new Set<number>();
let watchesExit = false;
/** How often everything that runs was ended: what is just about to start must notice, too. */
let endings = 0;

/** Commands have sessions of their own, so nobody else would end them with the Emperor. */
function endWithEmperor(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  running.add(pid);
  child.once("exit", () => running.delete(pid));
  if (watchesExit) return;
  watchesExit = true;
  process.once("exit", endRunningCommands);
}

/** Kills every command that runs now or is about to, with all it started: their results say so. */
export function endRunningCommands(): void {
  endings += 1;
  for (const leader of running) killGroup(leader);
}

function signalNumber(name: string): number {
  return Object.entries(constants.signals).find(([known]) => known === name)?.[1] ?? 0;
}

/**
 * Runs one command to its end, or to the end of its time: then its whole process group is killed.
 *
 * Its output goes to the Emperor's own descriptors 1 and 2, never through the heap; so a command that
 * leaves something running in the background does not hold anybody up either.
 */
export async function runCommand(command: Command, timeoutMs: number): Promise<CommandResult> {
  const { status, problem } = await run(command, timeoutMs, false);
  return { status, problem };
}

/** As `runCommand`, but takes what the command prints: at most a page, more is a failure. */
export async function captureCommand(command: Command, timeoutMs: number): Promise<CaptureResult> {
  const { output, problem } = await run(command, timeoutMs, true);
  return { output, problem };
}

async function run(
  command: Command,
  timeoutMs: number,
  captures: boolean,
): Promise<CommandResult & CaptureResult> {
  // Loaded when the first hook runs: an Emperor without hooks does not pay for it.
  const endingsBefore = endings;
  const { execa } = await import("execa");
  if (endings !== endingsBefore) {
    return { status: 128 + 9, output: "", problem: "it was ended before it started" };
  }
  const child = execa(command.file, command.args, {
    env: command.env,
    extendEnv: false,
    ...(command.cwd !== undefined && existsSync(command.cwd) ? { cwd: command.cwd } : {}),
    stdin: "ignore",
    stdout: captures ? "pipe" : "inherit",
    stderr: "inherit",
    reject: false,
    buffer: captures ? { stdout: true } : false,
    maxBuffer: MOST_OUTPUT_BYTES,
    // Its own session, so that the limit ends everything it started.
    detached: true,
  });
  const { pid } = child;
  endWithEmperor(child);
  let ended: string | undefined;
  const endNow = (why: string): void => {
    ended ??= why;
    // A child that libuv reaped has one of the two set: its pid may be another's by now.
    if (pid !== undefined && child.exitCode === null && child.signalCode === null) killGroup(pid);
    // Somebody whom it left behind may still hold the pipe.
    child.stdout?.destroy();
  };
  const timer =
    timeoutMs > 0 && Number.isFinite(timeoutMs)
      ? setTimeout(() => endNow(`it took longer than ${timeoutMs} ms and was killed`), timeoutMs)
      : undefined;
  const result = await child;
  clearTimeout(timer);
  const output = typeof result.stdout === "string" ? result.stdout : "";
  if (result.isMaxBuffer) {
    endNow("");
    return {
      status: 128 + 9,
      output: "",
      problem: `it printed more than ${MOST_OUTPUT_BYTES} bytes and was killed`,
    };
  }
  if (ended !== undefined) return { status: 128 + 9, output: "", problem: ended };
  if (result.signal !== undefined) {
    const problem = `it was ended by ${result.signal}`;
    return { status: 128 + signalNumber(result.signal), output: "", problem };
  }
  if (result.exitCode === undefined) {
    const problem = `it could not be started (${result.code ?? "unknown reason"})`;
    return { status: NOT_STARTED, output: "", problem };
  }
  const status = result.exitCode;
  const problem = status === 0 ? undefined : `it ended with status ${status}`;
  return { status, output, problem };
}

function killGroup(pid: number): void {
  if (pid <= 1) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Gone in this very moment: that is what was wanted.
  }
}

/** Lets at most `limit` jobs run at one time, in the order of their arrival. */
export class Lanes {
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #idle: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Jobs that run or wait. */
  get size(): number {
    return this.#running + this.#waiting.length;
  }

  async run<Result>(job: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#limit)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await job();
    } finally {
      // The lane is handed over, not freed and taken: nobody can slip in between.
      const next = this.#waiting.shift();
      if (next !== undefined) next();
      else {
        this.#running -= 1;
        if (this.#running === 0) this.#idle.splice(0).forEach((resolve) => resolve());
      }
    }
  }

  /** Resolves when nothing runs or waits. */
  async untilIdle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }
}
