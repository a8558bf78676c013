/**
 * Finds the processes that belong to a program we started, wherever they went, and kills them. Reads
 * /proc; signals only through pidfds whose process was checked again, so a reused number is never hit.
 * Knows no vassal and decides nothing.
 */
import { readFileSync, readdirSync } from "node:fs";
import { constants } from "node:os";
import { LinuxError, close, openPidfd, signalProcess } from "@emperor/linux";

export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  readonly zombie: boolean;
  /** Clock ticks since boot: with the pid it names one process for ever. */
  readonly startedAt: string;
}

/** One process; undefined when it is gone. */
export function processEntry(pid: number): ProcessEntry | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The name is in parentheses and may contain anything, also a parenthesis.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state = "", parent = "0", , session = "0"] = fields;
  return {
    pid,
    parent: Number(parent),
    session: Number(session),
    zombie: state === "Z" || state === "X",
    startedAt: fields[19] ?? "",
  };
}

/** All processes that this one can see. */
export function allProcesses(): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const entry = processEntry(Number(name));
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** The members of the session `leader` leads, and every descendant of one of them; zombies left out. */
export function treeOf(leader: number, processes: readonly ProcessEntry[]): ProcessEntry[] {
  const members = new Set([leader]);
  for (const { pid, session } of processes) if (session === leader) members.add(pid);
  let before = 0;
  while (before !== members.size) {
    before = members.size;
    for (const { pid, parent } of processes) if (members.has(parent)) members.add(pid);
  }
  return processes.filter(({ pid, zombie }) => !zombie && members.has(pid));
}

/** Signals exactly the process that was seen. */
export function signalEntry(entry: ProcessEntry, signal: number): void {
  let pidfd: number;
  try {
    pidfd = openPidfd(entry.pid);
  } catch {
    return; // gone
  }
  try {
    if (processEntry(entry.pid)?.startedAt === entry.startedAt) signalProcess(pidfd, signal);
  } catch (error) {
    // It changed its user, which we may not signal any more: the Emperor's cgroup ends it.
    if (!(error instanceof LinuxError)) throw error;
  } finally {
    close(pidfd);
  }
}

/** A tree that forks while it is killed is looked for again, but not for ever. */
const ROUNDS = 10;

/** SIGKILL for everything that `find` names, again until it names nothing that it did not name before. */
export function killAll(
  find: (processes: readonly ProcessEntry[]) => readonly ProcessEntry[],
): void {
  const seen = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    const found = find(allProcesses()).filter(
      ({ pid, startedAt }) => !seen.has(`${pid} ${startedAt}`) && pid !== process.pid,
    );
    if (found.length === 0) return;
    for (const entry of found) {
      seen.add(`${entry.pid} ${entry.startedAt}`);
      signalEntry(entry, constants.signals.SIGKILL);
    }
  }
}
