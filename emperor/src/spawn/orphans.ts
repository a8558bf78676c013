/**
 * What vassals leave behind comes to a child subreaper, and stays a zombie for ever unless somebody
 * takes it. Takes those, and never a child that somebody here waits for. Loaded only for a subreaper.
 */
import { readdirSync, readFileSync } from "node:fs";
import * as linux from "@emperor/linux";

/** Whoever waits for a child of its own has taken it long before this. */
const PATIENCE_MS = 1000;

export class Orphans {
  readonly #isOurs: (pid: number) => boolean;
  readonly #looks = (): void => this.#lookLater();
  /** Zombies of the last look: pid -> start time. */
  #seen = new Map<number, string>();
  #timer: NodeJS.Timeout | undefined;

  /** @param isOurs is this the pid of a vassal? */
  constructor(isOurs: (pid: number) => boolean) {
    this.#isOurs = isOurs;
    process.on("SIGCHLD", this.#looks);
  }

  close(): void {
    process.off("SIGCHLD", this.#looks);
    clearTimeout(this.#timer);
  }

  #lookLater(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#look(), PATIENCE_MS);
    this.#timer.unref();
  }

  /** A zombie that was there already at the last look has nobody who waits for it. */
  #look(): void {
    this.#timer = undefined;
    const seen = new Map<number, string>();
    for (const pid of ownChildren()) {
      if (this.#isOurs(pid)) continue;
      const startedAt = zombieSince(pid);
      if (startedAt === undefined) continue;
      if (this.#seen.get(pid) === startedAt) take(pid);
      else seen.set(pid, startedAt);
    }
    this.#seen = seen;
    if (seen.size > 0) this.#lookLater();
  }
}

function take(pid: number): void {
  try {
    const pidfd = linux.openPidfd(pid);
    try {
      linux.reap(pidfd);
    } finally {
      linux.close(pidfd);
    }
  } catch {
    // Taken by somebody else in this moment, or no descriptor is left: the next death leads to a look.
  }
}

function ownChildren(): number[] {
  const found: number[] = [];
  for (const thread of readdirSync("/proc/self/task")) {
    try {
      const text = readFileSync(`/proc/self/task/${thread}/children`, "utf8");
      for (const pid of text.split(" ")) if (pid !== "") found.push(Number(pid));
    } catch {
      // The thread has ended, or the kernel has no such file: then orphans stay until the Emperor ends.
    }
  }
  return found;
}

/** Start time of a zombie; undefined for what lives or is gone. */
function zombieSince(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? fields[19] : undefined;
  } catch {
    return undefined;
  }
}
