/**
 * The process of a `command`: a session of its own, the sockets as systemd hands them over, and no way to
 * outlive the runtime: it gets SIGKILL when the runtime dies. Decides nothing.
 */
import { constants } from "node:os";
import { close, createWatcher, reap, signalGroup, signalProcess, spawn } from "@emperor/linux";
import type { ExitStatus, Watcher } from "@emperor/linux";
import { ENVIRONMENT } from "@emperor/protocol";
import { RuntimeError } from "./errors.ts";
import { assignments, makeBlocking } from "./platform.ts";
import type { BoundSocket } from "./sockets.ts";

const { SIGTERM, SIGKILL } = constants.signals;
/** First descriptor of systemd's socket activation. */
const FIRST_SOCKET_FD = 3;
const ONLY_TOKEN = 1;
/**
 * `LISTEN_PID` has to be the pid of the program, which only the process itself knows before it executes the
 * program. The line is fixed; program and arguments are parameters and never read as shell.
 */
const SET_LISTEN_PID = 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"';

export interface CommandOptions {
  /** Path of the executable. */
  readonly program: string;
  /** argv[0] included. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly sockets: readonly BoundSocket[];
  /** Called once, when the process and what was left of its session are gone or killed. */
  readonly onExit: (exit: CommandExit) => void;
}

export interface CommandExit {
  /** The exit code, or 128 + the number of the signal. */
  readonly code: number;
  readonly text: string;
}

export class CommandProcess {
  readonly pid: number;
  readonly #pidfd: number;
  readonly #watcher: Watcher;
  #killTimer: NodeJS.Timeout | undefined;

  /** Starts it; throws a `RuntimeError` when it cannot be executed. */
  constructor(options: CommandOptions) {
    const { sockets } = options;
    for (const { fd } of sockets) makeBlocking(fd);
    const activated = sockets.length > 0;
    const rest = options.argv.slice(1);
    const result = spawn({
      programs: [
        activated
          ? { path: "/bin/sh", argv0: "sh" }
          : { path: options.program, argv0: options.argv[0] ?? options.program },
      ],
      args: activated ? ["-c", SET_LISTEN_PID, "sh", options.program, ...rest] : rest,
      env: assignments(commandEnvironment(options)),
      cwd: options.directory,
      fds: [
        { from: -1, to: 0 },
        { from: 1, to: 1 },
        { from: 2, to: 2 },
        ...sockets.map(({ fd }, index) => ({ from: fd, to: FIRST_SOCKET_FD + index })),
      ],
      session: true,
      parentDeathSignal: SIGKILL,
      mode: "shared",
    });
    if (!result.ok) {
      const what =
        result.stage === "cwd"
          ? `its directory ${JSON.stringify(options.directory)} cannot be entered`
          : `step ${result.stage}`;
      throw new RuntimeError(
        "VASSAL_COMMAND",
        `command ${JSON.stringify(options.program)} cannot be executed: ${what}: ${result.code}`,
      );
    }
    this.pid = result.pid;
    this.#pidfd = result.pidfd;
    this.#watcher = createWatcher(() => {
      const status = reap(this.#pidfd);
      if (status === undefined) return;
      this.#watcher.remove(ONLY_TOKEN);
      this.#watcher.close();
      close(this.#pidfd);
      clearTimeout(this.#killTimer);
      // What it left of its session would keep the sockets and outlive the vassal.
      signalGroup(this.pid, SIGKILL);
      options.onExit(describe(status));
    });
    this.#watcher.addProcess(this.#pidfd, ONLY_TOKEN);
  }

  /** SIGTERM, and SIGKILL for all of its group after `mercyMs`; with 0 SIGKILL at once. */
  stop(mercyMs: number): void {
    const kill = (): void => {
      signalProcess(this.#pidfd, SIGKILL);
      signalGroup(this.pid, SIGKILL);
    };
    if (mercyMs === 0) return kill();
    signalProcess(this.#pidfd, SIGTERM);
    this.#killTimer ??= setTimeout(kill, mercyMs);
  }
}

function commandEnvironment({ environment, sockets }: CommandOptions): Record<string, string> {
  const result: Record<string, string> = { ...environment };
  // The channel stays with the runtime: a program that believed the variables would look for it in vain.
  for (const name of [
    ENVIRONMENT.emperorFd,
    ENVIRONMENT.emperorFdConfig,
    ENVIRONMENT.reloads,
    "LISTEN_PID",
  ])
    delete result[name];
  if (sockets.length > 0) {
    result["LISTEN_FDS"] = String(sockets.length);
    result["LISTEN_FDNAMES"] = sockets.map(({ text }) => text.replaceAll(":", "_")).join(":");
  } else {
    delete result["LISTEN_FDS"];
    delete result["LISTEN_FDNAMES"];
  }
  return result;
}

function describe({ code, signal }: ExitStatus): CommandExit {
  if (signal === null) return { code: code ?? 1, text: `exited with ${code ?? 1}` };
  const name =
    Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ??
    `signal ${signal}`;
  return { code: 128 + signal, text: `was ended by ${name}` };
}
