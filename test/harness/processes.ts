/**
 * What /proc tells about the processes that a test started. They are found by a marker in their
 * environment, so a test sees and ends its own and nobody else's.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  /** Letter of /proc/PID/stat: R, S, T (stopped), Z (zombie)... */
  readonly state: string;
  readonly group: number;
  readonly session: number;
  readonly command: string;
}

/** Undefined when there is no such process (any more). */
export function processInfo(pid: number): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
    const [state = "?", parent = "0", group = "0", session = "0"] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ");
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return {
      pid,
      parent: Number(parent),
      state,
      group: Number(group),
      session: Number(session),
      command: command === "" ? `[${name}]` : command,
    };
  } catch {
    return undefined;
  }
}

/** Signals one process, never a group: 0, which is what an empty pidfile reads as, would be the tests' own. */
export function signalTo(pid: number, signal: NodeJS.Signals): void {
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`${pid} is no pid to send ${signal} to`);
  process.kill(pid, signal);
}

/** Runs and is no zombie. */
export function isAlive(pid: number): boolean {
  const info = processInfo(pid);
  return info !== undefined && info.state !== "Z" && info.state !== "X";
}

export function allProcesses(): ProcessInfo[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processInfo(Number(name)))
    .filter((info) => info !== undefined);
}

/** Live processes whose environment has the marker (`NAME=value`), the asking one left out. */
export function markedProcesses(marker: string): ProcessInfo[] {
  return allProcesses().filter((info) => {
    if (info.pid === process.pid || info.state === "Z" || info.state === "X") return false;
    try {
      return `\0${readFileSync(`/proc/${info.pid}/environ`, "latin1")}`.includes(`\0${marker}\0`);
    } catch {
      return false;
    }
  });
}

export function childrenOf(pid: number): ProcessInfo[] {
  return allProcesses().filter((info) => info.parent === pid);
}

/** Open descriptors of a process: number -> what it is. */
export function descriptorsOf(pid: number): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      found.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`));
    } catch {
      // Closed between the two calls.
    }
  }
  return found;
}

/** One line per process, children below their parents. */
export function renderTree(processes: readonly ProcessInfo[]): string {
  const known = new Set(processes.map((info) => info.pid));
  const lines: string[] = [];
  const render = (parent: ProcessInfo, depth: number): void => {
    lines.push(
      `${"  ".repeat(depth + 1)}${parent.pid} ${parent.state} ${parent.command.slice(0, 120)}`,
    );
    for (const info of processes) if (info.parent === parent.pid) render(info, depth + 1);
  };
  for (const info of processes) if (!known.has(info.parent)) render(info, 0);
  return lines.length === 0 ? "  (none)" : lines.join("\n");
}
