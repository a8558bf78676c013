/**
 * One worker as its master sees it: a child process and the channel to it. Decides nothing.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { ENVIRONMENT, decodeVassalMessage, encodeEmperorMessage } from "@emperor/protocol";
import type { EmperorMessageName, VassalMessageName } from "@emperor/protocol";
import { LAUNCH_VARIABLES } from "./launch.ts";
import type { WorkerOrders } from "./worker.ts";

/** Descriptor of the channel in a worker; its listening sockets follow. */
const CHANNEL_FD = 3;

export interface WorkerProcessOptions {
  readonly script: string;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** `sockets` are the master's descriptors; the worker gets copies. */
  readonly orders: WorkerOrders;
  readonly onMessage: (name: VassalMessageName) => void;
  /** Called once; `signal` is set when one ended it, `code` otherwise. */
  readonly onExit: (code: number | null, signal: string | null) => void;
}

export class WorkerProcess {
  readonly startedAt = performance.now();
  readonly #child: ChildProcess;
  readonly #channel: Socket;
  #killTimer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: WorkerProcessOptions) {
    const { sockets } = options.orders;
    const orders: WorkerOrders = {
      ...options.orders,
      sockets: sockets.map(({ text }, index) => ({ fd: CHANNEL_FD + 1 + index, text })),
    };
    const environment: Record<string, string> = {
      ...options.environment,
      [ENVIRONMENT.emperorFd]: String(CHANNEL_FD),
      [LAUNCH_VARIABLES.worker]: JSON.stringify(orders),
    };
    delete environment[ENVIRONMENT.emperorFdConfig];
    this.#child = spawn(process.execPath, [...process.execArgv, options.script], {
      stdio: ["ignore", "inherit", "inherit", "pipe", ...sockets.map(({ fd }) => fd)],
      cwd: options.cwd,
      env: environment,
    });
    const exited = (code: number | null, signal: string | null): void => {
      if (this.#ended) return;
      this.#ended = true;
      clearTimeout(this.#killTimer);
      options.onExit(code, signal);
    };
    this.#child.once("exit", exited);
    this.#child.once("error", () => exited(null, null)); // could not be started
    this.#channel = this.#child.stdio[CHANNEL_FD] as Socket;
    this.#channel.on("data", (bytes: Buffer) => {
      for (const byte of bytes) {
        const name = decodeVassalMessage(byte);
        if (name !== undefined) options.onMessage(name);
      }
    });
    this.#channel.on("error", () => undefined); // its exit says all
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
}
