/**
 * Runs the programs that accompany the app. Ordinary ones live as long as the vassal, restarted with a
 * growing pause; smart ones are found by their pidfile and outlive it. Loaded when there are any. Knows
 * neither the app nor its workers.
 */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import { close, openPidfd } from "@emperor/linux";
import { ENVIRONMENT } from "@emperor/protocol";
import { nextDelayMs } from "./back-off.ts";
import { describeFailure, ourChildren } from "./children.ts";
import type { Child } from "./children.ts";
import { applyEnvironment } from "./credentials.ts";
import type { DaemonSetting } from "./daemon-settings.ts";
import { RuntimeError } from "./errors.ts";
import { atLeaving } from "./leaving.ts";
import type { Leaving } from "./leaving.ts";
import { childOutput } from "./log-outputs.ts";
import { log, quote } from "./log.ts";
import { assignments, findGroup, findUser, groupsOf } from "./platform.ts";
import { processEntry } from "./process-tree.ts";
import type { Vassal } from "./vassal.ts";

const SHELL = "/bin/sh";
const { SIGKILL } = constants.signals;
/** A stop of the vassal waits at least so long for its daemons, even when it must not wait for requests. */
const LEAST_MERCY_MS = 1000;

/** Starts them all; they end with this process, except the smart ones. */
export function startDaemons(vassal: Vassal): void {
  const { settings } = vassal;
  const daemons = settings.daemons.map((setting) => new Daemon(vassal, setting));
  for (const daemon of daemons) daemon.begin();
  atLeaving((why) => {
    const told = daemons.flatMap((daemon) => daemon.leave(why));
    const mercyMs = Math.max(LEAST_MERCY_MS, settings.reloadMercyMs);
    if (ourChildren().collect(told, mercyMs)) return;
    log(`daemons did not end within ${mercyMs / 1000} s: killed`);
    for (const child of told) child.kill();
    ourChildren().collect(told, LEAST_MERCY_MS);
  });
}

class Daemon {
  readonly #vassal: Vassal;
  readonly #setting: DaemonSetting;
  readonly #directory: string;
  #child: Child | undefined;
  #delayMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(vassal: Vassal, setting: DaemonSetting) {
    this.#vassal = vassal;
    this.#setting = setting;
    const { launch, settings } = vassal;
    this.#directory = resolve(launch.cwd, settings.chdir ?? "", setting.chdir ?? "");
  }

  begin(): void {
    const running = this.#follow();
    if (running !== undefined) log(`${this.#name} runs already as process ${running}`);
    else this.#start();
  }

  /** Tells it to end; the child to wait for, if there is one. */
  leave(why: Leaving): Child[] {
    clearTimeout(this.#timer);
    if (this.#child === undefined || this.#setting.pidfile !== undefined) return [];
    const { stopSignal, reloadSignal } = this.#setting;
    this.#child.signalGroup(why === "reload" ? (reloadSignal ?? stopSignal) : stopSignal);
    return [this.#child];
  }

  get #name(): string {
    return `daemon ${quote(this.#setting.line)}`;
  }

  #start(): void {
    this.#timer = undefined;
    const { line, origin } = this.#setting;
    const smart = this.#setting.pidfile !== undefined;
    // One that outlives this process must not depend on it for its output.
    const output = childOutput(smart);
    try {
      const credentials = this.#credentials();
      const result = ourChildren().start(
        {
          programs: [{ path: SHELL, argv0: "sh" }],
          args: ["-c", line],
          env: assignments(this.#environment()),
          cwd: this.#directory,
          fds: [
            { from: -1, to: 0 },
            { from: output.fd[0], to: 1 },
            { from: output.fd[1], to: 2 },
          ],
          ...(smart ? {} : { parentDeathSignal: SIGKILL }),
          ...(credentials === undefined ? {} : { credentials }),
        },
        (exit) => this.#exited(exit.text),
        { keepsTree: smart },
      );
      if ("ok" in result) throw new Error(describeFailure(result, this.#directory));
      this.#child = result;
      log(`${this.#name} runs as process ${result.pid}`);
    } catch (error) {
      if (error instanceof RuntimeError) throw error;
      return this.#startLater(
        0,
        `${origin}: ${this.#name} cannot be started: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    output.close();
    if (smart) this.#lookAgain();
  }

  #exited(how: string): void {
    const livedMs = performance.now() - (this.#child?.startedAt ?? 0);
    this.#child = undefined;
    if (this.#setting.pidfile !== undefined) {
      const running = this.#follow();
      if (running !== undefined) return log(`${this.#name} runs as process ${running}`);
    }
    this.#ended(livedMs, how);
  }

  #ended(livedMs: number, how: string): void {
    const what = `${this.#name} ${how}`;
    if (this.#setting.control) {
      log(`${what}: it is attach-control-daemon, stopping`);
      process.kill(process.pid, "SIGTERM");
      return;
    }
    this.#startLater(livedMs, what);
  }

  #startLater(livedMs: number, what: string): void {
    this.#delayMs = nextDelayMs(this.#delayMs, livedMs, this.#setting.mostDelayMs);
    log(`${what}: starting it again${this.#delayMs > 0 ? ` in ${this.#delayMs} ms` : ""}`);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.begin(), this.#delayMs);
  }

  /** Looks for the process of the pidfile until it is there, and follows it then. */
  #lookAgain(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#follow() === undefined && this.#child !== undefined) this.#lookAgain();
    }, this.#setting.lookAgainMs);
    this.#timer.unref();
  }

  /** Watches the process that the pidfile names; its pid, or undefined when there is none. */
  #follow(): number | undefined {
    const { pidfile } = this.#setting;
    if (pidfile === undefined) return undefined;
    const pid = readPid(resolve(this.#directory, pidfile));
    const entry = pid === undefined ? undefined : processEntry(pid);
    if (pid === undefined || entry === undefined || entry.zombie) return undefined;
    ourChildren().spare(entry.session);
    if (pid === this.#child?.pid) return pid; // its exit is told anyway
    clearTimeout(this.#timer);
    const since = performance.now();
    const pidfd = openPidfd(pid);
    const unwatch = ourChildren().whenReadable(pidfd, () => {
      unwatch();
      close(pidfd);
      this.#ended(performance.now() - since, `(process ${pid}) ended`);
    });
    return pid;
  }

  #environment(): Record<string, string> {
    const { launch, settings } = this.#vassal;
    const result = applyEnvironment(launch.environment, settings.environment);
    for (const name of [ENVIRONMENT.emperorFd, ENVIRONMENT.emperorFdConfig, ENVIRONMENT.reloads])
      delete result[name];
    return result;
  }

  #credentials(): { uid: number; gid: number; groups: readonly number[] } | undefined {
    const { uid, gid, origin } = this.#setting;
    if (uid === undefined && gid === undefined) return undefined;
    const user = uid === undefined ? undefined : findUser(uid);
    const group = gid === undefined ? undefined : findGroup(gid);
    if ((uid !== undefined && user === undefined) || (gid !== undefined && group === undefined))
      throw new RuntimeError(
        "VASSAL_CREDENTIALS",
        `${origin}: there is no ${user === undefined && uid !== undefined ? `user ${quote(uid)}` : `group ${quote(gid ?? "")}`}; the daemon cannot be started`,
      );
    const number = group?.gid ?? user?.gid ?? process.getgid?.() ?? 0;
    return {
      uid: user?.uid ?? process.getuid?.() ?? 0,
      gid: number,
      groups: user === undefined ? [] : groupsOf(user.name, number),
    };
  }
}

function readPid(file: string): number | undefined {
  try {
    const [, digits] = /^\s*(\d{1,9})\s*$/.exec(readFileSync(file, "utf8")) ?? [];
    const pid = Number(digits ?? 0);
    return pid > 1 ? pid : undefined;
  } catch {
    return undefined; // not there yet
  }
}
