/**
 * The programs that the runtime starts by itself (commands, daemons), watched by one thread for all of
 * them. A child leads a session of its own; its end is told only when the rest of that session is
 * killed. Decides nothing about restarts.
 */
import {
  close,
  createWatcher,
  openPidfd,
  reap,
  signalGroup,
  setChildSubreaper,
  signalName,
  signalProcess,
  spawn,
} from "@emperor/linux";
import type { ExitStatus, SpawnFailure, SpawnOptions, Watcher } from "@emperor/linux";
import { allProcesses, killAll, processEntry, treeOf } from "./process-tree.ts";

export interface ChildExit {
  /** The exit code, or 128 + the number of the signal. */
  readonly code: number;
  readonly text: string;
}

export interface Child {
  readonly pid: number;
  readonly startedAt: number;
  readonly ended: boolean;
  /** Signals the program itself; nothing happens when it has ended. */
  signal(signal: number): void;
  /** Signals its process group. */
  signalGroup(signal: number): void;
  /** SIGKILL for the program, its session and all of their descendants. */
  kill(): void;
}

type Plan = Omit<SpawnOptions, "session" | "mode">;

class RunningChild implements Child {
  readonly pid: number;
  readonly pidfd: number;
  readonly token: number;
  readonly startedAt = performance.now();
  readonly onExit: (exit: ChildExit) => void;
  readonly keepsTree: boolean;
  ended = false;

  constructor(
    pid: number,
    pidfd: number,
    token: number,
    onExit: (exit: ChildExit) => void,
    keepsTree: boolean,
  ) {
    this.keepsTree = keepsTree;
    this.pid = pid;
    this.pidfd = pidfd;
    this.token = token;
    this.onExit = onExit;
  }

  signal(signal: number): void {
    if (!this.ended) signalProcess(this.pidfd, signal);
  }

  signalGroup(signal: number): void {
    if (!this.ended) signalGroup(this.pid, signal);
  }

  kill(): void {
    if (!this.ended) killAll((processes) => treeOf(this.pid, processes));
  }
}

/** The one family of this process. */
export class Children {
  readonly #running = new Map<number, RunningChild>();
  readonly #readable = new Map<number, () => void>();
  readonly #spared = new Set<number>();
  #watcher: Watcher | undefined;
  #tokens = 0;

  /**
   * Starts a program in a session of its own. `onExit` is called once, later. `keepsTree`: what it leaves
   * in its session is meant to stay.
   */
  start(
    plan: Plan,
    onExit: (exit: ChildExit) => void,
    options: { readonly keepsTree: boolean } = { keepsTree: false },
  ): Child | SpawnFailure {
    const result = spawn({ ...plan, session: true, mode: "shared" });
    if (!result.ok) return result;
    const token = (this.#tokens += 1);
    const child = new RunningChild(result.pid, result.pidfd, token, onExit, options.keepsTree);
    this.#running.set(child.token, child);
    this.#watch().addProcess(child.pidfd, child.token);
    return child;
  }

  /** Calls back when the descriptor has something to read; the returned function ends that. */
  whenReadable(fd: number, callback: () => void): () => void {
    const token = (this.#tokens += 1);
    this.#readable.set(token, callback);
    this.#watch().addReadable(fd, token);
    return () => {
      if (this.#readable.delete(token)) this.#watcher?.remove(token);
    };
  }

  /**
   * From now on processes that a child leaves behind become ours instead of init's, and their corpses
   * are taken, and children keep this process alive. Only for a process that starts its children here: those of Node are in our own session
   * and are left to Node.
   */
  adoptOrphans(): void {
    setChildSubreaper(true);
    this.#watch().ref();
    process.on("SIGCHLD", () => this.#buryOrphans());
  }

  /** The processes of this session are no orphans: they are meant to outlive us. */
  spare(session: number): void {
    this.#spared.add(session);
  }

  /** Ends the orphans that were adopted. */
  killOrphans(): void {
    const own = processEntry(process.pid)?.session;
    const known = new Set([...this.#running.values()].map(({ pid }) => pid));
    killAll((processes) =>
      processes
        .filter(
          ({ pid, parent, session }) =>
            parent === process.pid &&
            session !== own &&
            !known.has(pid) &&
            !known.has(session) &&
            !this.#spared.has(session),
        )
        .flatMap(({ pid, session }) => [
          ...treeOf(pid, processes),
          ...(this.#spared.has(session) ? [] : treeOf(session, processes)),
        ]),
    );
  }

  /**
   * Waits without returning to the loop until the given children, and all that they started, have ended;
   * for the end of the process. Their `onExit` is not called. False: the time was over first.
   */
  collect(children: readonly Child[], withinMs: number): boolean {
    const deadline = performance.now() + withinMs;
    const nap = new Int32Array(new SharedArrayBuffer(4));
    for (;;) {
      const over = performance.now() >= deadline;
      const left = children.filter(
        (child) =>
          child instanceof RunningChild &&
          !child.ended &&
          // The rest of its tree may still be at its last words when it has ended.
          ((!over && hasLiveTree(child)) || !this.#take(child)),
      );
      if (left.length === 0) return true;
      if (over) return false;
      Atomics.wait(nap, 0, 0, 10);
    }
  }

  #watch(): Watcher {
    if (this.#watcher !== undefined) return this.#watcher;
    const watcher = createWatcher((events) => {
      for (const event of events) {
        if (event.kind === "readable") {
          this.#readable.get(event.token)?.();
          if (this.#readable.has(event.token)) this.#watcher?.rearm(event.token);
        } else if (event.kind === "exit") {
          const child = this.#running.get(event.token);
          if (child !== undefined) this.#take(child, true);
        }
      }
    });
    // An app that has nothing left to do must be noticed.
    watcher.unref();
    this.#watcher = watcher;
    return watcher;
  }

  /** Buries a child that has ended; false while it runs. */
  #take(child: RunningChild, tell = false): boolean {
    if (child.ended) return true;
    // As long as the corpse is there nobody else can have its number, which names the session.
    if (processEntry(child.pid)?.zombie !== true) return false;
    if (!child.keepsTree) killAll((processes) => treeOf(child.pid, processes));
    const status = reap(child.pidfd);
    if (status === undefined) return false;
    child.ended = true;
    this.#running.delete(child.token);
    this.#watcher?.remove(child.token);
    close(child.pidfd);
    if (tell) child.onExit(describeExit(status));
    return true;
  }

  #buryOrphans(): void {
    const own = processEntry(process.pid)?.session;
    const known = new Set([...this.#running.values()].map(({ pid }) => pid));
    for (const { pid, parent, session, zombie } of allProcesses()) {
      if (!zombie || parent !== process.pid || session === own || known.has(pid)) continue;
      buryOne(pid);
    }
  }
}

function hasLiveTree({ pid, keepsTree }: RunningChild): boolean {
  return !keepsTree && treeOf(pid, allProcesses()).length > 0;
}

function buryOne(pid: number): void {
  let pidfd: number | undefined;
  try {
    pidfd = openPidfd(pid);
    reap(pidfd);
  } catch {
    // Taken already.
  } finally {
    if (pidfd !== undefined) close(pidfd);
  }
}

/** How a program ended, in the words of the log. */
export function describeExit({ code, signal }: ExitStatus): ChildExit {
  if (signal === null) return { code: code ?? 1, text: `exited with ${code ?? 1}` };
  return { code: 128 + signal, text: `was ended by ${signalName(signal)}` };
}

let shared: Children | undefined;

/** The children of this process. */
export function ourChildren(): Children {
  return (shared ??= new Children());
}

/** Why a program could not be started, for a message. */
export function describeFailure(failure: SpawnFailure, directory: string): string {
  const what =
    failure.stage === "cwd"
      ? `its directory ${JSON.stringify(directory)} cannot be entered`
      : `step ${failure.stage}`;
  return `${what}: ${failure.code}`;
}
