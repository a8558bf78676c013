/**
 * A RabbitMQ server of a test's own: Debian's program with node name, folder, ports and port mapper of
 * its own, on the loopback only, and gone when it is closed. Knows nothing of Emperors.
 */
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { needing } from "../../linux/test/privileges.ts";
import { markedProcesses, renderTree, signalTo } from "./processes.ts";
import { connectTo, freePort } from "./sockets.ts";
import { waitFor } from "./wait.ts";

const PROGRAMS = "/usr/lib/rabbitmq/bin";
const MARKER = "EMPEROR_TEST_BROKER";
/** An Erlang machine that starts on a busy one takes its time. */
const START_MS = 120_000;

export const hasRabbitmq = existsSync(join(PROGRAMS, "rabbitmq-server"));

/** A test that needs a broker. */
export const brokerTest = needing(hasRabbitmq, "needs Debian's rabbitmq-server");

export interface BrokerOptions {
  /** Address to listen on. */
  readonly host?: string;
  /** A program that executes its arguments (`nsenter ...`), for all that the broker runs. */
  readonly launcher?: readonly string[];
  /** Whether a client can connect from here. */
  readonly isReachable?: boolean;
}

export class RabbitmqUnderTest {
  readonly port: number;
  readonly host: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "em-rabbit-"));
  readonly #options: BrokerOptions;
  readonly #environment: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;

  private constructor(ports: readonly number[], options: BrokerOptions) {
    const [port = 0, distribution = 0, mapper = 0] = ports;
    this.port = port;
    this.host = options.host ?? "127.0.0.1";
    this.#options = options;
    const at = (name: string): string => join(this.#folder, name);
    for (const name of ["mnesia", "log", "home"]) mkdirSync(at(name));
    writeFileSync(
      at("rabbitmq.conf"),
      `listeners.tcp.1 = ${this.host}:${port}\nloopback_users = none\nlog.console = false\nvm_memory_high_watermark.relative = 0.9\ndisk_free_limit.absolute = 1MB\n`,
    );
    writeFileSync(at("plugins"), "[].\n");
    writeFileSync(at("env.conf"), "\n");
    this.#environment = {
      ...process.env,
      [MARKER]: this.#folder,
      HOME: at("home"),
      RABBITMQ_NODENAME: `em${port}@localhost`,
      RABBITMQ_DIST_PORT: String(distribution),
      ERL_EPMD_PORT: String(mapper),
      ERL_EPMD_ADDRESS: "127.0.0.1",
      RABBITMQ_MNESIA_BASE: at("mnesia"),
      RABBITMQ_LOG_BASE: at("log"),
      RABBITMQ_CONFIG_FILE: at("rabbitmq.conf"),
      RABBITMQ_CONF_ENV_FILE: at("env.conf"),
      RABBITMQ_ENABLED_PLUGINS_FILE: at("plugins"),
      RABBITMQ_PID_FILE: at("pid"),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none +A 4",
    };
  }

  /** Starts one and waits until it answers. */
  static async start(options: BrokerOptions = {}): Promise<RabbitmqUnderTest> {
    const ports = [await freePort(), await freePort(), await freePort()];
    const broker = new RabbitmqUnderTest(ports, options);
    try {
      await broker.up();
      return broker;
    } catch (error) {
      await broker.close();
      throw error;
    }
  }

  get url(): string {
    return `amqp://${this.host}:${this.port}`;
  }

  /** Starts the server, also again after `kill` with what it had stored. */
  async up(): Promise<void> {
    const log = openSync(join(this.#folder, "server.log"), "a");
    const [program, ...args] = [
      ...(this.#options.launcher ?? []),
      join(PROGRAMS, "rabbitmq-server"),
    ];
    const child = spawn(program, args, {
      cwd: this.#folder,
      env: this.#environment,
      stdio: ["ignore", log, log],
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    child.on("error", (error) => {
      writeFileSync(join(this.#folder, "server.log"), `${error.message}\n`, { flag: "a" });
    });
    const witness = { onChange: () => () => undefined, account: () => this.account() };
    await waitFor(
      "the broker to answer",
      async () => {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error("the broker ended");
        return this.#answers();
      },
      { deadlineMs: START_MS, witness },
    );
  }

  /** As a power cut ends it: every process of it, by pid. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    for (;;) {
      const left = markedProcesses(`${MARKER}=${this.#folder}`);
      if (left.length === 0) break;
      for (const { pid } of left) {
        try {
          signalTo(pid, "SIGKILL");
        } catch {
          // It was faster.
        }
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (child !== undefined && child.exitCode === null && child.signalCode === null)
      await new Promise((resolve) => child.once("exit", resolve));
  }

  /** Runs an expression in the server; what `rabbitmqctl` can do and more. */
  async evaluate(expression: string): Promise<string> {
    const [program, ...args] = [
      ...(this.#options.launcher ?? []),
      join(PROGRAMS, "rabbitmqctl"),
      "eval",
      expression,
    ];
    const { stdout } = await promisify(execFile)(program, args, {
      env: this.#environment,
      timeout: START_MS,
    });
    return stdout.trim();
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  account(): string {
    const log = join(this.#folder, "server.log");
    return [
      "--- the broker's output (the end of it):",
      existsSync(log) ? readFileSync(log, "utf8").slice(-4000) : "(none)",
      "--- its processes:",
      renderTree(markedProcesses(`${MARKER}=${this.#folder}`)),
    ].join("\n");
  }

  /** Whether it says hello: a listener alone may be another program's, or one that starts still. */
  #answers(): Promise<boolean> {
    if (this.#options.isReachable === false)
      return this.evaluate("rabbit:is_running().").then((answer) => answer === "true");
    return new Promise((resolve) => {
      const socket = connectTo(`${this.host}:${this.port}`);
      const done = (answer: boolean): void => {
        socket.destroy();
        resolve(answer);
      };
      socket.setTimeout(2000, () => done(false));
      socket.on("connect", () => void socket.write("AMQP\0\0\u0009\u0001"));
      socket.on("data", () => done(true));
      socket.on("error", () => done(false));
      socket.on("close", () => done(false));
    });
  }
}
