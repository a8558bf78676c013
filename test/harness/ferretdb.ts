/**
 * FerretDB, which speaks MongoDB's protocol, for tests: private, on a unix socket in a temporary
 * folder, data in SQLite, gone afterwards. `scripts/ferretdb.sh` builds it. Has no change streams.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { needing } from "../../linux/test/privileges.ts";
import { waitFor } from "./wait.ts";

const program = join(import.meta.dirname, "../../.tools/bin/ferretdb");
export const hasFerretdb = existsSync(program);
export const ferretdbTest = needing(hasFerretdb, "needs FerretDB: scripts/ferretdb.sh");

export class Ferretdb {
  readonly #path = mkdtempSync(join(tmpdir(), "fd-"));
  #server: ChildProcess | undefined;
  #client: MongoClient | undefined;
  #output = "";
  #databases = 0;

  get socket(): string {
    return join(this.#path, "m.sock");
  }

  async start(): Promise<void> {
    rmSync(this.socket, { force: true });
    const server = spawn(program, [this.socket, this.#path], {
      cwd: this.#path,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#server = server;
    server.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#output = (this.#output + text).slice(-8000);
    });
    await waitFor(
      "FerretDB to listen",
      () => {
        if (server.exitCode !== null) throw new Error(`it ended: ${this.#output}`);
        return existsSync(this.socket);
      },
      { deadlineMs: 60_000 },
    );
  }

  /** For `mongodb://`: the socket's path as the driver wants it. */
  get address(): string {
    return encodeURIComponent(this.socket);
  }

  async client(): Promise<MongoClient> {
    this.#client ??= await new MongoClient(`mongodb://${this.address}/`).connect();
    return this.#client;
  }

  /** The name of a database that nobody has used. */
  database(): string {
    this.#databases += 1;
    return `test${this.#databases}`;
  }

  async stop(): Promise<void> {
    await this.#client?.close(true);
    this.#client = undefined;
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGKILL");
    await ended;
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.#path, { recursive: true, force: true });
  }
}
