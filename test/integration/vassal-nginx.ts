/**
 * A real nginx in front of a vassal: one foreground process in a folder of its own, without root's files,
 * gone after `dispose`. Knows nothing of the vassal but its address.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { connect } from "node:net";
import { waitFor } from "../harness/wait.ts";
import { freePort } from "./vassal-harness.ts";
import type { VassalFolder } from "./vassal-harness.ts";

/** Whether nginx is there; where privileged tests have to run, it has to be. */
export function hasNginx(): boolean {
  const found = spawnSync("nginx", ["-v"]).error === undefined;
  if (!found && process.env["REQUIRE_PRIVILEGED"] === "1")
    throw new Error("nginx is not installed, but every test has to run (REQUIRE_PRIVILEGED=1)");
  return found;
}

export class Nginx implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(port: number, child: ChildProcess) {
    this.url = `http://127.0.0.1:${port}/`;
    this.#child = child;
  }

  /** `location` is the body of `location / { ... }`. */
  static async start(folder: VassalFolder, location: string): Promise<Nginx> {
    const port = await freePort();
    const home = folder.file("nginx");
    mkdirSync(home);
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${home}/${name};`)
      .join("\n");
    writeFileSync(
      `${home}/nginx.conf`,
      `daemon off; master_process off; worker_processes 1; pid ${home}/pid; error_log ${home}/error.log;
       events { worker_connections 1024; }
       http { access_log off; ${temporary} client_max_body_size 0;
         server { listen 127.0.0.1:${port}; location / { ${location} } } }`,
    );
    const child = spawn(
      "nginx",
      ["-p", home, "-c", `${home}/nginx.conf`, "-e", `${home}/early.log`],
      {
        stdio: ["ignore", "inherit", "inherit"],
      },
    );
    const nginx = new Nginx(port, child);
    await waitFor("nginx to listen", async () => accepts(port), {
      witness: {
        onChange: () => () => undefined,
        account: () => readFileSync(`${home}/error.log`, "utf8"),
      },
    });
    return nginx;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
