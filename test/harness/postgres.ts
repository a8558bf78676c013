/**
 * A PostgreSQL of Debian's packages for tests: private, as an unprivileged user, on a unix socket in a
 * temporary folder, gone afterwards. Knows nothing of Emperors.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needing } from "../../linux/test/privileges.ts";
import { isRoot } from "./privileges.ts";
import { waitFor } from "./wait.ts";

/** Debian keeps the programs of each version in a folder of its own. */
function programs(): string | undefined {
  const root = "/usr/lib/postgresql";
  if (!existsSync(root)) return undefined;
  return readdirSync(root)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(root, version, "bin"))
    .find((folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")));
}

const folder = programs();
export const hasPostgres = folder !== undefined && existsSync(join(folder, "psql"));
export const postgresTest = needing(hasPostgres, "needs the Debian package postgresql");

/** PostgreSQL refuses to run as root. */
function owner(): { uid: number; gid: number } | undefined {
  if (!isRoot) return undefined;
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith("postgres:"));
  const [, , uid = "65534", gid = "65534"] = line?.split(":") ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

export class Postgres {
  /** Holds the socket; `host=` of a connection string. */
  readonly path: string = mkdtempSync(join(tmpdir(), "pg-"));
  readonly #bin: string;
  #server: ChildProcess | undefined;
  #output = "";
  #databases = 0;
  #tls = false;

  constructor() {
    if (folder === undefined) throw new Error("there is no PostgreSQL on this machine");
    this.#bin = folder;
    const ids = owner();
    chmodSync(this.path, 0o755);
    if (ids !== undefined) chownSync(this.path, ids.uid, ids.gid);
    execFileSync(
      join(this.#bin, "initdb"),
      [
        "-D",
        join(this.path, "data"),
        "-A",
        "trust",
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
      ],
      {
        ...ids,
        cwd: this.path,
        stdio: ["ignore", "ignore", "pipe"],
        env: { PATH: process.env["PATH"], LC_ALL: "C" },
      },
    );
  }

  get socket(): string {
    return join(this.path, ".s.PGSQL.5432");
  }

  /**
   * Starts the server. With `launcher` (words before the command, run as root) it also listens on every
   * address that it finds there, for everybody.
   */
  async start(launcher: readonly string[] = []): Promise<void> {
    const isOpen = launcher.length > 0;
    if (isOpen) this.#allow("host all all all trust\nlocal all all trust\n");
    const settings = {
      listen_addresses: isOpen ? "*" : "",
      unix_socket_directories: this.path,
      fsync: "off",
      max_connections: "30",
      shared_buffers: "16MB",
      autovacuum: "off",
      ssl: this.#tls ? "on" : "off",
    };
    const ids = owner();
    const drop =
      isOpen && ids !== undefined
        ? ["setpriv", `--reuid=${ids.uid}`, `--regid=${ids.gid}`, "--clear-groups"]
        : [];
    const [program = "", ...args] = [
      ...launcher,
      ...drop,
      join(this.#bin, "postgres"),
      "-D",
      join(this.path, "data"),
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ];
    const server = spawn(program, args, {
      // With a launcher the change of user comes after it.
      ...(isOpen ? {} : ids),
      cwd: this.path,
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env["PATH"], LC_ALL: "C" },
    });
    this.#server = server;
    server.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#output = (this.#output + text).slice(-8000);
    });
    await waitFor(
      "PostgreSQL to answer",
      () => {
        if (server.exitCode !== null) throw new Error(`it ended: ${this.#output}`);
        return this.sql("SELECT 1") === "1";
      },
      { deadlineMs: 60_000 },
    );
  }

  /** Before the start: the server speaks TLS with this certificate. */
  useTls(certificate: string, key: string): void {
    const ids = owner();
    for (const [from, to] of [
      [certificate, "server.crt"],
      [key, "server.key"],
    ] as const) {
      const path = join(this.path, "data", to);
      copyFileSync(from, path);
      chmodSync(path, 0o600);
      if (ids !== undefined) chownSync(path, ids.uid, ids.gid);
    }
    this.#tls = true;
  }

  /** Runs statements; the rows as psql prints them with `-At`. */
  sql(text: string, database = "postgres"): string {
    return execFileSync(
      join(this.#bin, "psql"),
      [
        "-X",
        "-q",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        this.path,
        "-U",
        "postgres",
        "-d",
        database,
      ],
      {
        input: text,
        encoding: "utf8",
        stdio: ["pipe", "pipe", "pipe"],
        env: { PATH: process.env["PATH"], LC_ALL: "C.UTF-8" },
      },
    ).trim();
  }

  /** From now on this role needs its password. */
  async require(role: string): Promise<void> {
    this.#allow(`local all ${role} scram-sha-256\nlocal all all trust\n`);
    this.sql("SELECT pg_reload_conf()");
    await waitFor(`the rule for ${role} to be in force`, () => this.#refuses(role));
  }

  #allow(rules: string): void {
    writeFileSync(join(this.path, "data/pg_hba.conf"), rules);
  }

  #refuses(role: string): boolean {
    try {
      execFileSync(
        join(this.#bin, "psql"),
        ["-X", "-w", "-h", this.path, "-U", role, "-d", "postgres", "-c", ""],
        {
          stdio: "ignore",
          env: { PATH: process.env["PATH"] },
        },
      );
      return false;
    } catch {
      return true;
    }
  }

  /** A fresh, empty database. */
  database(): string {
    this.#databases += 1;
    const name = `test${this.#databases}`;
    this.sql(`CREATE DATABASE ${name}`);
    return name;
  }

  /** Ends the server. `immediate`: as a crash. */
  async stop(how: "fast" | "immediate" = "immediate"): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill(how === "fast" ? "SIGINT" : "SIGQUIT");
    await ended;
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.path, { recursive: true, force: true });
  }
}
