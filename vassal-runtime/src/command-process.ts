/**
 * One process of a `command`: a session of its own, the sockets as systemd hands them over, and no way
 * to outlive the runtime: it gets SIGKILL when the runtime dies. Decides nothing.
 */
import { constants } from "node:os";
import { RLIMIT } from "@emperor/linux";
import { ENVIRONMENT } from "@emperor/protocol";
import { describeFailure } from "./children.ts";
import type { Child, ChildExit, Children } from "./children.ts";
import { RuntimeError } from "./errors.ts";
import { childOutput } from "./log-outputs.ts";
import { assignments, makeBlocking } from "./platform.ts";
import type { BoundSocket } from "./sockets.ts";

const { SIGKILL } = constants.signals;
/** First descriptor of systemd's socket activation. */
const FIRST_SOCKET_FD = 3;
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
  /** Value of `NOTIFY_SOCKET`, if the program is to say that it is ready. */
  readonly notifySocket: string | undefined;
  readonly stopSignal: number;
  /** Its address space in bytes; undefined: no limit of its own. */
  readonly addressSpace: number | undefined;
  /** Called once, when the process and what was left of its session are gone or killed. */
  readonly onExit: (exit: ChildExit) => void;
}

export class CommandProcess {
  readonly child: Child;
  readonly #stopSignal: number;
  #killTimer: NodeJS.Timeout | undefined;

  /** Starts it; throws a `RuntimeError` when it cannot be executed. */
  constructor(children: Children, options: CommandOptions) {
    const { sockets } = options;
    this.#stopSignal = options.stopSignal;
    for (const { fd } of sockets) makeBlocking(fd);
    const activated = sockets.length > 0;
    const rest = options.argv.slice(1);
    const output = childOutput();
    const result = children.start(
      {
        programs: [
          activated
            ? { path: "/bin/sh", argv0: "sh" }
            : { path: options.program, argv0: options.argv[0] ?? options.program },
        ],
        args: activated ? ["-c", SET_LISTEN_PID, "sh", options.program, ...rest] : rest,
        env: assignments(commandEnvironment(options)),
        cwd: options.directory,
        fds: [
          // Where inetd, FastCGI and uWSGI programs look for theirs; systemd's begin at 3.
          { from: sockets[0]?.fd ?? -1, to: 0 },
          { from: output.fd[0], to: 1 },
          { from: output.fd[1], to: 2 },
          ...sockets.map(({ fd }, index) => ({ from: fd, to: FIRST_SOCKET_FD + index })),
        ],
        parentDeathSignal: SIGKILL,
        ...(options.addressSpace === undefined
          ? {}
          : {
              rlimits: [
                { resource: RLIMIT.as, soft: options.addressSpace, hard: options.addressSpace },
              ],
            }),
      },
      (exit) => {
        clearTimeout(this.#killTimer);
        options.onExit(exit);
      },
    );
    output.close();
    if ("ok" in result) {
      throw new RuntimeError(
        "VASSAL_COMMAND",
        `command ${JSON.stringify(options.program)} cannot be executed: ${describeFailure(result, options.directory)}`,
      );
    }
    this.child = result;
  }

  /** The stop signal, and SIGKILL for all of its tree after `mercyMs`; with 0 SIGKILL at once. */
  stop(mercyMs: number): void {
    if (mercyMs === 0) return this.child.kill();
    this.child.signal(this.#stopSignal);
    this.#killTimer ??= setTimeout(() => this.child.kill(), mercyMs);
  }
}

function commandEnvironment({
  environment,
  sockets,
  notifySocket,
}: CommandOptions): Record<string, string> {
  const result: Record<string, string> = { ...environment };
  // The channel stays with the runtime: a program that believed the variables would look for it in vain.
  for (const name of [
    ENVIRONMENT.emperorFd,
    ENVIRONMENT.emperorFdConfig,
    ENVIRONMENT.reloads,
    "LISTEN_PID",
  ])
    delete result[name];
  if (notifySocket !== undefined) result[ENVIRONMENT.notifySocket] = notifySocket;
  if (sockets.length > 0) {
    result["LISTEN_FDS"] = String(sockets.length);
    result["LISTEN_FDNAMES"] = sockets.map(({ text }) => text.replaceAll(":", "_")).join(":");
  } else {
    delete result["LISTEN_FDS"];
    delete result["LISTEN_FDNAMES"];
  }
  return result;
}
