/**
 * `daemonize`: the command starts itself once more in a session of its own and waits until that
 * process governs or has failed. So the caller learns by the exit status what happened, and nothing
 * half-started stays behind: uWSGI's command returns before its Emperor has read a single config.
 */
import { closeSync, writeSync } from "node:fs";
import { EmperorError } from "../errors.ts";
import { openLogFile } from "./log-file.ts";

/** Tells the new process the number of the descriptor on which it reports. */
export const DAEMON_VARIABLE = "EMPEROR_DAEMON_FD";
const REPORT_FD = 3;

export interface DaemonOutcome {
  readonly exitCode: number;
  /** Why it failed, as the daemon said it; `""` when it is ready. */
  readonly message: string;
}

/** The daemon's side: says once that it governs, or why it does not. */
export class DaemonReport {
  #fd: number | undefined;

  /** `value`: of the variable; without it there is nobody to tell. */
  constructor(value: string | undefined) {
    this.#fd = value === String(REPORT_FD) ? REPORT_FD : undefined;
  }

  get isDaemon(): boolean {
    return this.#fd !== undefined;
  }

  ready(): void {
    this.#say("ready\n");
  }

  failed(exitCode: number, message: string): void {
    this.#say(`failed ${exitCode} ${message}\n`);
  }

  #say(text: string): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    this.#fd = undefined;
    try {
      writeSync(fd, text);
      closeSync(fd);
    } catch {
      // The command that waited was killed; the daemon lives on without it.
    }
  }
}

/**
 * The command's side.
 * @throws EmperorError `log-failed`, `daemon-failed`
 */
export async function startDaemon(options: {
  /** Program and arguments of this very process. */
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly logFile: string;
}): Promise<DaemonOutcome> {
  const { spawn } = await import("node:child_process");
  const log = openLogFile(options.logFile);
  const [program = process.execPath, ...args] = options.command;
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", log, log, "pipe"],
    env: { ...options.environment, [DAEMON_VARIABLE]: String(REPORT_FD) },
  });
  closeSync(log);
  const pipe = child.stdio[REPORT_FD];
  return new Promise((resolve, reject) => {
    let text = "";
    let ended: string | undefined;
    child.once("error", (error) => {
      reject(
        new EmperorError("daemon-failed", `cannot go to the background: ${error.message}`, {
          cause: error,
        }),
      );
    });
    child.once("exit", (code, signal) => {
      ended = signal === null ? `exit status ${code}` : `signal ${signal}`;
    });
    pipe?.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
    });
    const finish = (): void => {
      // Daemons must not keep their starter: neither the process nor the pipe may hold the loop.
      child.unref();
      resolve(readReport(text, ended, options.logFile));
    };
    // The end of the pipe may come before the exit is known; the exit then follows at once.
    pipe?.once("end", () => {
      if (text !== "" || ended !== undefined) finish();
      else child.once("exit", finish);
    });
  });
}

function readReport(text: string, ended: string | undefined, logFile: string): DaemonOutcome {
  if (text.startsWith("ready")) return { exitCode: 0, message: "" };
  const failure = /^failed (\d+) ([^]*)\n$/.exec(text);
  if (failure !== null) return { exitCode: Number(failure[1]), message: failure[2] ?? "" };
  throw new EmperorError(
    "daemon-failed",
    `the Emperor in the background ended with ${ended ?? "an unknown status"} before it was ready; its log is ${logFile}`,
  );
}
