/**
 * What the vassal's benchmark compares: `vassal`, plain node, node:cluster, PM2's cluster mode and nginx,
 * each in a folder of its own, all on 127.0.0.1. Knows how each is started, reloaded and ended, and what
 * of it is to be measured not at all.
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { until } from "./measure.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const VASSAL = join(dirname(dirname(here)), "bin/vassal");
export const APPS = join(here, "apps");

const run = promisify(execFile);

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export function hasProgram(name) {
  return process.env["PATH"].split(":").some((folder) => existsSync(join(folder, name)));
}

/** A child process whose output is kept; ended by its own number. */
export class Running {
  output = "";
  #exited;

  constructor(program, args, options = {}) {
    this.child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      ...options,
      env: { PATH: process.env["PATH"], HOME: "/nonexistent", ...options.env },
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream.on("data", (text) => (this.output += text));
    this.#exited = once(this.child, "exit");
  }

  async untilSaid(pattern, limitMs = 20_000) {
    const there = () => {
      if (this.child.exitCode !== null)
        throw new Error(`${this.child.spawnfile} ended: ${this.output.slice(-1000)}`);
      return pattern.test(this.output);
    };
    if ((await until(there, limitMs, 2)) === undefined)
      throw new Error(`no ${pattern} from ${this.child.spawnfile}: ${this.output.slice(-1000)}`);
  }

  async end() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    await this.#exited;
  }
}

/** `lines` of the config besides the app. `port`: its http-socket. */
export class Vassal extends Running {
  #generations = 1;

  constructor(folder, port, lines) {
    const config = join(folder, `vassal-${port}.ini`);
    const all = [`http-socket = 127.0.0.1:${port}`, `node-app = ${join(APPS, "hello.mjs")}`];
    writeFileSync(config, ["[uwsgi]", ...all, ...lines, ""].join("\n"));
    super(VASSAL, ["--ini", config], { cwd: folder });
    this.port = port;
  }

  /** Counted, because one expression for all of them would try every way to divide the text among them. */
  #accepting(times) {
    return {
      test: (text) => (text.match(/accepts? on /g)?.length ?? 0) >= times,
      toString: () => `"accepts on" for the time number ${times}`,
    };
  }

  ready() {
    return this.untilSaid(this.#accepting(1));
  }

  async reload() {
    this.child.kill("SIGHUP");
    await this.untilSaid(this.#accepting(++this.#generations));
  }
}

export class PlainNode extends Running {
  constructor(port, script = "server.mjs") {
    super(process.execPath, [join(APPS, script)], { env: { BENCH_PORT: String(port) } });
    this.port = port;
  }
}

/** PM2 from its registry, in a temporary folder: a tool of this benchmark, no dependency of anything. */
export class Pm2 {
  static async start(folder, port) {
    const home = join(folder, "pm2");
    mkdirSync(home);
    writeFileSync(join(home, "package.json"), '{"private":true}');
    const install = ["install", "--no-audit", "--no-fund", "--loglevel=error", "pm2"];
    execFileSync("npm", install, { cwd: home, stdio: "ignore" });
    const pm2 = new Pm2();
    pm2.port = port;
    pm2.program = join(home, "node_modules/pm2/bin/pm2");
    pm2.env = {
      PATH: process.env["PATH"],
      HOME: home,
      PM2_HOME: join(home, "state"),
      BENCH_PORT: String(port),
    };
    pm2.version = JSON.parse(
      execFileSync(
        process.execPath,
        ["-p", "JSON.stringify(require('pm2/package.json').version)"],
        {
          cwd: home,
          encoding: "utf8",
        },
      ),
    );
    await pm2.command("start", join(APPS, "server.mjs"), "-i", "2", "--name", "bench");
    return pm2;
  }

  command(...args) {
    return run(process.execPath, [this.program, ...args], { env: this.env });
  }

  reload() {
    return this.command("reload", "bench");
  }

  end() {
    return this.command("kill");
  }
}

/** nginx with one worker; `upstreams`: port -> body of `location / { }`. `http`: further lines. */
export function startNginx(folder, upstreams, http = "") {
  const home = join(folder, "nginx");
  mkdirSync(home);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${home}/${name};`,
  );
  const servers = Object.entries(upstreams).map(
    ([port, body]) => `server { listen 127.0.0.1:${port}; location / { ${body} } }`,
  );
  writeFileSync(
    join(home, "nginx.conf"),
    `daemon off; master_process off; worker_processes 1; pid ${home}/pid; error_log ${home}/error.log;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000; ${temporary.join(" ")} ${http} ${servers.join("\n")} }
`,
  );
  const args = ["-p", home, "-c", join(home, "nginx.conf"), "-e", join(home, "early.log")];
  return new Running("nginx", args);
}
