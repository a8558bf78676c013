/**
 * One supervisor with its stubs in a folder of its own, from start to the last process. Knows how
 * configs are dropped, touched and removed, not what is measured thereby.
 */
import { spawn } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { delay, isAlive, now, supervisorProcesses, until } from "./measure.mjs";

/** Soft limit of open files of every supervisor. */
export const OPEN_FILES = 16_384;

export class Session {
  /** Each: { at (ns), event, name, pid }. */
  events = [];
  /** name -> ns of the first start */
  firstStart = new Map();
  #logFd;
  #rest = "";
  #child;
  #exited = false;

  /**
   * `command`: the words before the options; `tools`: paths of the compiled programs; `options`: more
   * of the supervisor's, in which `{dir}` is the session's folder.
   */
  constructor(command, tools, options = []) {
    this.command = command;
    this.options = options;
    this.tools = tools;
    this.path = mkdtempSync(join(tmpdir(), "bench-"));
    this.configs = join(this.path, "vassals");
    this.log = join(this.path, "stub.log");
    mkdirSync(this.configs);
    writeFileSync(this.log, "");
    this.#logFd = openSync(this.log, "r");
  }

  /** Starts the supervisor; gives the instant. */
  start() {
    const output = openSync(join(this.path, "supervisor.log"), "a");
    const all = [...this.command, "--emperor", this.configs, "--emperor-wrapper", this.tools.stub];
    const startedAt = now();
    // Node raised its own limit of open files, and whoever closes descriptors one by one up to the
    // limit would pay for that: everybody gets the same, usual one.
    all.push(...this.options.map((option) => option.replaceAll("{dir}", this.path)));
    const limited = ["-c", `ulimit -Sn ${OPEN_FILES}; exec "$@"`, "sh", ...all];
    this.#child = spawn("/bin/sh", [...limited, "--emperor-stats", join(this.path, "stats.sock")], {
      cwd: this.path,
      env: { PATH: process.env["PATH"], LANG: "C.UTF-8", HOME: this.path, BENCH_LOG: this.log },
      stdio: ["ignore", output, output],
      detached: true,
    });
    this.#child.once("exit", () => {
      this.#exited = true;
    });
    closeSync(output);
    return startedAt;
  }

  get pid() {
    return this.#child.pid;
  }

  own() {
    return supervisorProcesses(this.pid, "stub-vassal");
  }

  /** Reads what the stubs wrote. */
  poll() {
    const chunk = Buffer.alloc(1 << 16);
    for (;;) {
      const size = readSync(this.#logFd, chunk, 0, chunk.length, null);
      if (size === 0) return this;
      const lines = (this.#rest + chunk.toString("latin1", 0, size)).split("\n");
      this.#rest = lines.pop();
      for (const line of lines) {
        const [at, event, name, pid] = line.split(" ");
        this.events.push({ at: Number(at), event, name, pid: Number(pid) });
        if (event === "start" && !this.firstStart.has(name)) this.firstStart.set(name, Number(at));
      }
    }
  }

  /** ns of the last first start of these names, or undefined after the limit. */
  async allStarted(names, limitMs) {
    const there = () => {
      if (this.#exited) throw new Error(`${this.command[0]} ended: ${this.output().slice(-500)}`);
      return this.poll() && names.every((name) => this.firstStart.has(name));
    };
    if ((await until(there, limitMs, names.length > 50 ? 10 : 3)) === undefined) return undefined;
    return Math.max(...names.map((name) => this.firstStart.get(name)));
  }

  /** First event of this kind and name after an instant. */
  async next(event, name, after, limitMs) {
    let found;
    await until(
      () =>
        (found = this.poll().events.findLast(
          (e) => e.name === name && e.event === event && e.at > after,
        )),
      limitMs,
      2,
    );
    return found;
  }

  livePid(name) {
    return this.poll().events.findLast((e) => e.name === name && e.event === "start").pid;
  }

  livePids() {
    return [...new Set(this.poll().events.map((e) => e.pid))].filter(isAlive);
  }

  output() {
    return readFileSync(join(this.path, "supervisor.log"), "utf8");
  }

  // --- what an operator does; each gives the instant

  #prepare(text, ageS) {
    const aside = join(this.path, `aside-${process.hrtime.bigint()}`);
    writeFileSync(aside, `[uwsgi]\n${text}`);
    const at = Date.now() / 1000 - ageS;
    utimesSync(aside, at, at);
    return aside;
  }

  drop(name, text = "", ageS = 0) {
    const aside = this.#prepare(text, ageS);
    const at = now();
    renameSync(aside, join(this.configs, name));
    return at;
  }

  copy(name) {
    const aside = this.#prepare("", 0);
    const at = now();
    copyFileSync(aside, join(this.configs, name));
    unlinkSync(aside);
    return at;
  }

  touch(name) {
    const later = Date.now() / 1000 + 2;
    const at = now();
    utimesSync(join(this.configs, name), later, later);
    return at;
  }

  remove(name) {
    const at = now();
    unlinkSync(join(this.configs, name));
    return at;
  }

  terminate() {
    const at = now();
    process.kill(this.pid, "SIGTERM");
    return at;
  }

  /** Ends whatever is left, by process number, and removes the folder. */
  async close() {
    if (!this.#exited) process.kill(this.pid, "SIGKILL");
    for (let round = 0; round < 100; round++) {
      const left = this.livePids();
      if (left.length === 0 && this.#exited) break;
      for (const pid of left) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It was faster.
        }
      }
      await delay(20);
    }
    closeSync(this.#logFd);
    rmSync(this.path, { recursive: true, force: true });
  }
}
