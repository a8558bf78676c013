/** Measuring tools of the benchmark: /proc, ends of processes, statistics. Knows no task. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** CLOCK_MONOTONIC in ns, the clock of the stubs' log. */
export function now() {
  return Number(process.hrtime.bigint());
}

export function delay(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Milliseconds until `condition` holds, or undefined after `limitMs`. */
export async function until(condition, limitMs, everyMs = 4) {
  const startedAt = performance.now();
  for (;;) {
    if (condition()) return performance.now() - startedAt;
    if (performance.now() - startedAt > limitMs) return undefined;
    await delay(everyMs);
  }
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return undefined;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function isAlive(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !"ZX".includes(stat[stat.lastIndexOf(")") + 2]);
  } catch {
    return false;
  }
}

/** Processes below `root` (itself included) that run another program than the stub. */
export function supervisorProcesses(root, stubName) {
  const children = new Map();
  const names = new Map();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      names.set(Number(entry), stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")));
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch {
      // It ended meanwhile.
    }
  }
  const found = [];
  const todo = [root];
  while (todo.length > 0) {
    const pid = todo.pop();
    if (names.get(pid)?.startsWith(stubName)) continue;
    found.push(pid);
    todo.push(...(children.get(pid) ?? []));
  }
  return found.filter(isAlive);
}

/** Live processes of this name with this variable in their environment. */
export function processesWith(variable, name) {
  const found = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (!readFileSync(`/proc/${entry}/comm`, "utf8").startsWith(name)) continue;
      if (readFileSync(`/proc/${entry}/environ`, "latin1").split("\0").includes(variable))
        found.push(Number(entry));
    } catch {
      // It ended meanwhile.
    }
  }
  return found.filter(isAlive);
}

/** Share (0..1) of the machine that was busy for `ms`: while nothing of ours runs, with other things. */
export async function busyShare(ms) {
  const read = () => {
    const ticks = readFileSync("/proc/stat", "utf8")
      .split("\n")[0]
      .split(/\s+/)
      .slice(1, 9)
      .map(Number);
    const idle = ticks[3] + ticks[4];
    return { idle, all: ticks.reduce((sum, value) => sum + value, 0) };
  };
  const before = read();
  await delay(ms);
  const after = read();
  return 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all);
}

/** CPU of all threads of these processes, ms. */
export function cpuMs(pids) {
  let ns = 0;
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      try {
        ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
      } catch {
        // The thread ended meanwhile.
      }
    }
  }
  return ns / 1e6;
}

/** MB: resident, proportional share, and its anonymous part. */
export function memory(pids) {
  const sum = { rss: 0, pss: 0, anonymous: 0 };
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const field = (name) =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0) / 1024;
    sum.rss += field("Rss");
    sum.pss += field("Pss");
    sum.anonymous += field("Pss_Anon");
  }
  return sum;
}

/** Watches the end of processes through pidfds (exit-watch.c). */
export class ExitWatch {
  /** pid -> ns */
  ends = new Map();
  #child;

  static async start(program, pids) {
    const watch = new ExitWatch();
    watch.#child = spawn(program, [], { stdio: ["pipe", "pipe", "inherit"] });
    let text = "";
    await new Promise((resolve, reject) => {
      watch.#child.once("error", reject);
      watch.#child.stdout.on("data", (chunk) => {
        text += chunk;
        const lines = text.split("\n");
        text = lines.pop();
        for (const line of lines) {
          const [pid, ns] = line.split(" ");
          if (pid === "ready") resolve();
          else watch.ends.set(Number(pid), Number(ns));
        }
      });
      watch.#child.stdin.end(pids.join("\n"));
    });
    watch.pids = pids;
    return watch;
  }

  /** ns of the last end, or undefined when not all ended within the limit. */
  async last(limitMs) {
    const all = () => this.pids.every((pid) => this.ends.has(pid));
    const done = (await until(all, limitMs, 1)) !== undefined;
    this.close();
    return done ? Math.max(...this.ends.values()) : undefined;
  }

  close() {
    this.#child.kill("SIGKILL");
  }
}
