/**
 * One worker as its master sees it: a child process and the channel to it. Decides nothing.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { ENVIRONMENT, decodeVassalMessage, encodeEmperorMessage } from "@emperor/protocol";
import type { EmperorMessageName, VassalMessageName } from "@emperor/protocol";
import { close } from "@emperor/linux";
import { LAUNCH_VARIABLES } from "./launch.ts";
import { childOutput, requestLineOutput } from "./log-outputs.ts";
import type { RequestLogSettings } from "./log-settings.ts";
import { WorkerMessageReader } from "./worker-report.ts";
import type { WorkerMessage } from "./worker-report.ts";
import type { WorkerOrders } from "./worker.ts";

/** Descriptors in a worker: the channel, the reports, then its listening sockets. */
const CHANNEL_FD = 3;
const REPORT_FD = 4;
const FIRST_SOCKET_FD = 5;

/** The orders without what is decided here. */
export type OrdersForWorker = Omit<WorkerOrders, "harakiri" | "hooks" | "requests" | "watch"> & {
  readonly harakiriMs: number | undefined;
  readonly requests: RequestLogSettings | undefined;
  readonly watch: Omit<NonNullable<WorkerOrders["watch"]>, "fd"> | undefined;
  readonly hooks: Omit<NonNullable<WorkerOrders["hooks"]>, "fd"> | undefined;
};

export interface WorkerProcessOptions {
  /** The Node that runs it, and its flags. */
  readonly node: { readonly path: string; readonly flags: readonly string[] };
  readonly script: string;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** `sockets` are the master's descriptors; the worker gets copies. */
  readonly orders: OrdersForWorker;
  readonly onMessage: (name: VassalMessageName) => void;
  readonly onReport: (message: WorkerMessage) => void;
  /** Called once; `signal` is set when one ended it, `code` otherwise. */
  readonly onExit: (code: number | null, signal: string | null, error?: Error) => void;
}

export class WorkerProcess {
  readonly startedAt = performance.now();
  readonly #child: ChildProcess;
  readonly #channel: Socket;
  #killTimer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: WorkerProcessOptions) {
    const { harakiriMs, hooks, requests, sockets, watch } = options.orders;
    const output = childOutput();
    const lines = requests === undefined ? undefined : requestLineOutput();
    const reports = watch !== undefined || harakiriMs !== undefined || hooks !== undefined;
    const orders: WorkerOrders = {
      ...options.orders,
      harakiri: harakiriMs === undefined ? undefined : { limitMs: harakiriMs, fd: REPORT_FD },
      requests:
        requests === undefined
          ? undefined
          : {
              settings: requests,
              fd: lines === undefined ? undefined : FIRST_SOCKET_FD + sockets.length,
            },
      sockets: sockets.map((socket, index) => ({ ...socket, fd: FIRST_SOCKET_FD + index })),
      watch: watch === undefined ? undefined : { ...watch, fd: REPORT_FD },
      hooks: hooks === undefined ? undefined : { ...hooks, fd: REPORT_FD },
    };
    const environment: Record<string, string> = {
      ...options.environment,
      [ENVIRONMENT.emperorFd]: String(CHANNEL_FD),
      [LAUNCH_VARIABLES.worker]: JSON.stringify(orders),
    };
    delete environment[ENVIRONMENT.emperorFdConfig];
    this.#child = spawn(options.node.path, [...options.node.flags, options.script], {
      stdio: [
        "ignore",
        ...output.fd,
        "pipe",
        reports ? "pipe" : "ignore",
        ...sockets.map(({ fd }) => fd),
        ...(lines === undefined ? [] : [lines]),
      ],
      cwd: options.cwd,
      env: environment,
    });
    output.close();
    if (lines !== undefined) close(lines);
    const exited = (code: number | null, signal: string | null, error?: Error): void => {
      if (this.#ended) return;
      this.#ended = true;
      clearTimeout(this.#killTimer);
      options.onExit(code, signal, error);
    };
    this.#child.once("exit", exited);
    this.#child.once("error", (error) => exited(null, null, error)); // could not be started
    this.#channel = this.#child.stdio[CHANNEL_FD] as Socket;
    this.#channel.on("data", (bytes: Buffer) => {
      for (const byte of bytes) {
        const name = decodeVassalMessage(byte);
        if (name !== undefined) options.onMessage(name);
      }
    });
    this.#channel.on("error", () => undefined); // its exit says all
    const heard = this.#child.stdio[REPORT_FD] as Socket | null;
    const reader = new WorkerMessageReader();
    heard?.on("data", (bytes: Buffer) => {
      for (const message of reader.read(bytes.toString())) options.onReport(message);
    });
    heard?.on("error", () => undefined);
  }

  /** 0 when it could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Tells it to stop, and kills it if it is still there after `mercyMs`. */
  stop(message: EmperorMessageName & ("stop" | "graceful-stop"), mercyMs: number): void {
    if (this.#ended) return;
    this.#channel.write(Uint8Array.of(encodeEmperorMessage(message)));
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.#child.kill("SIGKILL"), mercyMs);
  }

  /** Nothing happens when it has ended. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#ended) this.#child.kill(signal);
  }

  /** Ends it at once. */
  kill(): void {
    if (!this.#ended) this.#child.kill("SIGKILL");
  }
}
