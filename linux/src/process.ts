/** Processes: their end, signals, limits; this process's name, locks and change into another program. */
import { native, packStrings, withoutNul } from "./native.ts";
import type { ExitStatus } from "./types.ts";

/** Takes the corpse of an ended child; `undefined` while it still runs. ECHILD: it was taken already. */
export function reap(pidfd: number): ExitStatus | undefined {
  const numbers = native.reap(pidfd);
  if (numbers === undefined) return undefined;
  const [code = -1, signal = -1, coreDumped = 0, userMs = 0, systemMs = 0, maxRssKb = 0] = numbers;
  return {
    code: code < 0 ? null : code,
    signal: signal < 0 ? null : signal,
    coreDumped: coreDumped === 1,
    userMs,
    systemMs,
    maxRssKb,
  };
}

/** Signals exactly the process behind the descriptor. `false`: it is gone and reaped. A zombie takes any signal. */
export function signalProcess(pidfd: number, signal: number): boolean {
  return native.signalProcess(pidfd, signal);
}

/**
 * Signals a process group; `false`: it has no member left. 0, 1 and negative numbers, which would
 * reach ourselves or every process there is, are refused (EINVAL).
 */
export function signalGroup(pgid: number, signal: number): boolean {
  return native.signalGroup(pgid, signal);
}

/** A pidfd for a process that is no child; the caller must know by other means that the pid is still the right one. */
export function openPidfd(pid: number): number {
  return native.openPidfd(pid);
}

export interface LimitPair {
  /** `Infinity`: unlimited. */
  readonly soft: number;
  readonly hard: number;
}

/** Limit of a process (0: this one); `resource` from `RLIMIT`. */
export function getrlimit(resource: number, pid = 0): LimitPair {
  const [soft = 0, hard = 0] = native.resourceLimit(pid, resource);
  return { soft, hard };
}

/** Sets a limit and returns the one before. Children started later inherit it. */
export function setrlimit(resource: number, limit: LimitPair, pid = 0): LimitPair {
  const [soft = 0, hard = 0] = native.resourceLimit(pid, resource, limit.soft, limit.hard);
  return { soft, hard };
}

/** Orphans below us become our children instead of init's. */
export function setChildSubreaper(wanted: boolean): void {
  native.setChildSubreaper(wanted);
}

/** The signal this process gets when the thread that started it ends; 0 for none. */
export function setParentDeathSignal(signal: number): void {
  native.setParentDeathSignal(signal);
}

/** No program started from here on can gain privileges. Not to be undone. */
export function setNoNewPrivileges(): void {
  native.setNoNewPrivileges();
}

/** `comm` as ps and top show it, 15 bytes; `process.title` sets the command line. */
export function setProcessName(name: string): void {
  native.setProcessName(withoutNul(name, "prctl"));
}

/** Locks an open file; `false`: somebody else holds it (only with `nonBlocking`). */
export function flock(
  fd: number,
  options: { readonly exclusive: boolean; readonly nonBlocking: boolean },
): boolean {
  return native.flock(fd, options.exclusive ? 2 : 1, options.nonBlocking);
}

/** Gives a lock back. */
export function unlock(fd: number): void {
  native.flock(fd, 0, false);
}

export interface ExecveOptions {
  readonly path: string;
  /** argv[0] included. */
  readonly argv: readonly string[];
  /** Complete environment, `NAME=value`. */
  readonly env: readonly string[];
  /** Stay open beside 0, 1 and 2; everything else is closed by the exec. */
  readonly keepFds?: readonly number[];
}

/**
 * Turns this process into another program: same pid, all threads gone, signals as a shell would give
 * them. Returns only by throwing, with signals restored and the process able to go on.
 */
export function execve(options: ExecveOptions): never {
  const kept = new Set([0, 1, 2, ...(options.keepFds ?? [])]);
  return native.execve(
    withoutNul(options.path, "execve"),
    packStrings(options.argv, "execve"),
    packStrings(options.env, "execve"),
    Float64Array.from(kept),
  );
}
