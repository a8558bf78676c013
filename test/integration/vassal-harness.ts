/**
 * Starts the built `vassal` command with a channel as an Emperor would give it, and tells what came
 * back: bytes, log, answers over HTTP. Everything it started and wrote is gone after `dispose`.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive, markedProcesses, renderTree } from "../harness/processes.ts";
import { waitFor } from "../harness/wait.ts";
import type { Witness } from "../harness/wait.ts";

const VASSAL = join(import.meta.dirname, "../../bin/vassal");
const MARK = "VASSAL_TEST";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface StartOptions {
  /** Arguments; default `--ini app.ini`. */
  readonly argv?: readonly string[];
  /** False: no Emperor at all. */
  readonly emperor?: boolean;
  /** A config pipe as descriptor 4. */
  readonly configPipe?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Descriptor to be number 0 of the vassal. */
  readonly stdin?: number;
  /** As this user; only for root. */
  readonly uid?: number;
  /** Listening sockets handed over as systemd does it; only without an Emperor. */
  readonly activated?: readonly number[];
}

/** A running `vassal`. */
export class RunningVassal implements Witness {
  readonly child: ChildProcess;
  /** Bytes that it sent to its Emperor. */
  readonly bytes: number[] = [];
  log = "";
  exit: { readonly code: number | null; readonly signal: string | null } | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(folder: string, options: StartOptions) {
    const environment: Record<string, string | undefined> = {
      ...process.env,
      [MARK]: folder,
      ...options.env,
    };
    for (const name of ["UWSGI_EMPEROR_FD", "UWSGI_EMPEROR_FD_CONFIG", "UWSGI_RELOADS"])
      delete environment[name];
    if (options.emperor !== false) environment["UWSGI_EMPEROR_FD"] = "3";
    if (options.configPipe === true) environment["UWSGI_EMPEROR_FD_CONFIG"] = "4";
    const argv = options.argv ?? ["--ini", "app.ini"];
    const activated = options.activated ?? [];
    // LISTEN_PID is known only to the process that will be the vassal.
    const activate = `LISTEN_PID=$$ LISTEN_FDS=${activated.length} exec "$0" "$@"`;
    const [program, ...words] =
      activated.length === 0 ? [VASSAL, ...argv] : ["/bin/sh", "-c", activate, VASSAL, ...argv];
    this.child = spawn(program ?? VASSAL, words, {
      cwd: folder,
      env: environment,
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
      stdio: [
        options.stdin ?? "ignore",
        "pipe",
        "pipe",
        ...(activated.length > 0
          ? activated
          : ([
              options.emperor === false ? "ignore" : "pipe",
              options.configPipe === true ? "pipe" : "ignore",
            ] as const)),
      ],
    });
    const said = (text: Buffer): void => {
      this.log += text.toString();
      this.#changed();
    };
    this.child.stdout?.on("data", said);
    this.child.stderr?.on("data", said);
    if (options.emperor !== false) {
      this.channel.on("data", (bytes: Buffer) => {
        this.bytes.push(...bytes);
        this.#changed();
      });
      this.channel.on("error", () => undefined);
    }
    this.child.once("exit", (code, signal) => {
      this.exit = { code, signal };
      this.#changed();
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get channel(): Socket {
    return this.child.stdio[3] as Socket;
  }

  get configPipe(): Socket {
    return this.child.stdio[4] as Socket;
  }

  send(...bytes: number[]): void {
    this.channel.write(Uint8Array.from(bytes));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  account(): string {
    return `exit: ${JSON.stringify(this.exit)}\nbytes: ${this.bytes.join(" ")}\nlog:\n${this.log}`;
  }

  /** Waits until the bytes so far satisfy the condition. */
  async untilBytes(what: string, check: (bytes: readonly number[]) => boolean): Promise<void> {
    await waitFor(what, () => check(this.bytes), { witness: this });
  }

  /** Waits for the n-th `accepting`. */
  async accepting(times = 1): Promise<void> {
    await this.untilBytes(
      `accepting number ${times}`,
      (bytes) => bytes.filter((byte) => byte === 5).length >= times,
    );
  }

  async untilLog(pattern: RegExp): Promise<void> {
    await waitFor(`${String(pattern)} in the log`, () => pattern.test(this.log), { witness: this });
  }

  async ended(): Promise<{ readonly code: number | null; readonly signal: string | null }> {
    return waitFor("its exit", () => this.exit, { witness: this });
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** A private folder with the files of one vassal, a port of its own, and the vassals started in it. */
export class VassalFolder implements AsyncDisposable {
  readonly path: string;
  readonly port: number;
  readonly #running: RunningVassal[] = [];

  private constructor(port: number) {
    this.path = realpathSync(mkdtempSync(join(tmpdir(), "vassal-test-")));
    chmodSync(this.path, 0o755);
    this.port = port;
  }

  static async create(): Promise<VassalFolder> {
    return new VassalFolder(await freePort());
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  write(name: string, text: string): string {
    writeFileSync(this.file(name), text);
    return this.file(name);
  }

  /** Writes `app.ini`; `http-socket` with this folder's port is added unless the lines have one. */
  ini(lines: string): void {
    const socket = /^http-socket/m.test(lines) ? "" : `http-socket = 127.0.0.1:${this.port}\n`;
    this.write("app.ini", `[uwsgi]\n${socket}${lines}\n`);
  }

  start(options: StartOptions = {}): RunningVassal {
    const vassal = new RunningVassal(this.path, options);
    this.#running.push(vassal);
    return vassal;
  }

  /** Live processes that were started from here, the vassals themselves included. */
  processes(): number[] {
    return markedProcesses(`${MARK}=${this.path}`).map(({ pid }) => pid);
  }

  /** Fails when a process is left of a vassal that has ended. */
  async untilAlone(): Promise<void> {
    await waitFor("no process to be left", () => this.processes().length === 0, {
      witness: {
        onChange: () => () => undefined,
        account: () => renderTree(markedProcesses(`${MARK}=${this.path}`)),
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const vassal of this.#running) if (vassal.exit === undefined) vassal.child.kill("SIGKILL");
    for (const pid of this.processes()) if (isAlive(pid)) process.kill(pid, "SIGKILL");
    await this.untilAlone();
    rmSync(this.path, { recursive: true, force: true });
  }
}

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** One request on a connection of its own, or on one of the agent's. */
export async function get(
  url: string | { socketPath: string; path: string },
  agent?: Agent,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onResponse = (response: IncomingMessage): void => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    };
    const options = { agent: agent ?? new Agent({ keepAlive: false }), timeout: 15_000 };
    const outgoing =
      typeof url === "string"
        ? request(url, options, onResponse)
        : request({ ...url, ...options }, onResponse);
    outgoing.once("timeout", () => outgoing.destroy(new Error("no answer within 15 s")));
    outgoing.once("error", reject);
    outgoing.end();
  });
}

/**
 * Asks without pause on `connections` connections (half of them kept alive) until `stop()`; every answer
 * that is no 200 and every failed connection is counted with its reason.
 */
export function load(
  url: string,
  connections: number,
): { stop(): Promise<{ answers: number; failures: string[] }> } {
  let running = true;
  let answers = 0;
  const failures: string[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const one = async (alive: boolean): Promise<void> => {
    while (running) {
      try {
        const { status } = await get(url, alive ? agent : undefined);
        if (status === 200) answers += 1;
        else failures.push(`status ${status}`);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : JSON.stringify(error));
      }
    }
  };
  const all = Promise.all(Array.from({ length: connections }, (_, index) => one(index % 2 === 0)));
  return {
    stop: async () => {
      running = false;
      await all;
      agent.destroy();
      return { answers, failures };
    },
  };
}
