/**
 * Configurations that come from a command or a server: what counts, what is refused, and that none of
 * them can keep a vassal waiting or fill its memory.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { RequestListener, Server } from "node:http";
import type { Server as TlsServer } from "node:https";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOptionTable, loadConfiguration } from "@emperor/config";
import type { ConfigLimits, ConfigResult } from "@emperor/config";
import { describe, expect, it } from "vitest";
import { isAlive } from "../harness/processes.ts";
import { waitFor } from "../harness/wait.ts";
import { programTest } from "../harness/privileges.ts";
import { VassalFolder, freePort } from "./vassal-harness.ts";

const TABLE = createOptionTable([]);

async function load(
  argv: readonly string[],
  limits: Partial<ConfigLimits> = {},
): Promise<ConfigResult> {
  const { PATH } = process.env;
  return loadConfiguration({ argv, environment: { PATH, NAME: "value" }, options: TABLE, limits });
}

function pairsOf({ entries, errors }: ConfigResult): readonly string[] {
  if (errors.length > 0) return errors.map(({ code, message }) => `${code}: ${message}`);
  return entries.slice(1).map(({ key, value }) => `${key} = ${value ?? ""}`);
}

/** A server on a port of its own, closed with everything that is open on it. */
async function serving<Result>(
  server: Server | TlsServer,
  use: (origin: string) => Promise<Result>,
): Promise<Result> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const answering = (answer: RequestListener): Server => createServer(answer);

describe("exec://", () => {
  it("is the output of a shell, with the environment of the program and of ienv", async () => {
    const line = "exec://printf '[uwsgi]\\na = %s%s\\n[two]\\nb = 2\\n' $NAME $MORE";
    const result = await load(["--ienv", "MORE=!", "--ini", line]);
    expect(pairsOf(result)).toEqual([`ini = ${line}`, "a = value!"]);
  });

  it("takes a section behind its last colon, and has only %o of the file's variables", async () => {
    const line = "exec://printf '[uwsgi]\\na = 1\\n[two]\\nb = [%%n][%%x]\\n':two";
    expect(pairsOf(await load(["--ini", line]))).toEqual(["b = [][two]"]);
  });

  it("that fails is used all the same, with a warning", async () => {
    const result = await load(["--set", "a=[@(exec://echo part; exit 3)]"]);
    expect(pairsOf(result)).toEqual(["a = [part]"]);
    expect(result.warnings).toMatchObject([
      { code: "command-failed", message: expect.stringContaining("it exited with 3") },
    ]);
  });

  it("gets nothing to read", async () => {
    expect(pairsOf(await load(["--set", "a=[@(exec://cat)]"]))).toEqual(["a = []"]);
  });

  it("that does not end is killed, with all that it started", async () => {
    const folder = mkdtempSync(join(tmpdir(), "config-exec-"));
    const pidFile = join(folder, "pids");
    try {
      const line = `@(exec://sleep 600 & echo $$ $! > ${pidFile}; wait)`;
      const result = await load(["--set", `a=${line}`], { sourceTimeoutMs: 1000 });
      expect(result.errors).toMatchObject([
        { code: "timeout", message: expect.stringContaining("did not finish within 1 s") },
      ]);
      const pids = readFileSync(pidFile, "utf8").trim().split(" ").map(Number);
      expect(pids).toHaveLength(2);
      await waitFor("the end of both processes", () => pids.every((pid) => !isAlive(pid)));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("http://", () => {
  it("is the body of any 2xx; host, path and query are asked as they are", async () => {
    const asked: (string | undefined)[] = [];
    const server = answering((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.host}`);
      response.writeHead(203).end("[uwsgi]\na = 1\n[two]\nb = 2\n");
    });
    await serving(server, async (origin) => {
      expect(pairsOf(await load(["--ini", `http://${origin}/x.ini?y=1`]))).toEqual(["a = 1"]);
      expect(pairsOf(await load(["--ini", `http://${origin}/x.ini:two`]))).toEqual(["b = 2"]);
      expect(pairsOf(await load(["--set", `a=@(http://${origin}/z)`]))).toEqual([
        "a = [uwsgi]\na = 1\n[two]\nb = 2",
      ]);
      expect(pairsOf(await load(["--ini", `http://${origin}`]))).toEqual(["a = 1"]);
      expect(asked).toEqual([
        `GET /x.ini?y=1 ${origin}`,
        `GET /x.ini ${origin}`,
        `GET /z ${origin}`,
        `GET / ${origin}`,
      ]);
    });
  });

  it.each([
    [404, /^http-status: .*argument 1.*x\.ini.*answered with 404/],
    [500, /^http-status: .*answered with 500/],
    [
      302,
      /^http-status: .*answered with 302, which points to "\/y\.ini"; redirects are not followed/,
    ],
  ])("%i is an error of its own kind", async (status, message) => {
    const server = answering((_, response) => {
      response.writeHead(status, status === 302 ? { location: "/y.ini" } : {}).end("[uwsgi]\n");
    });
    const pairs = await serving(server, async (origin) =>
      pairsOf(await load(["--ini", `http://${origin}/x.ini`])),
    );
    expect(pairs).toEqual([expect.stringMatching(message)]);
  });

  it("that never answers, never ends or is cut off is an error", async () => {
    const silent = answering(() => undefined);
    const limits = { sourceTimeoutMs: 500, fileBytes: 100_000 };
    const get = async (server: Server): Promise<readonly string[]> =>
      serving(server, async (origin) =>
        pairsOf(await load(["--ini", `http://${origin}/x.ini`], limits)),
      );
    expect(await get(silent)).toEqual([expect.stringMatching(/^timeout: .*within 0\.5 s/)]);
    const dripping = answering((_, response) => void response.writeHead(200).write("[uwsgi]\n"));
    expect(await get(dripping)).toEqual([expect.stringMatching(/^timeout: /)]);
    const endless = answering((_, response) => {
      // Behind the end of the connection newer Nodes call back at once, for ever.
      const more = (error?: Error | null): void => {
        if (!error && !response.destroyed) response.write("x".repeat(60_000), more);
      };
      more();
    });
    expect(await get(endless)).toEqual([expect.stringMatching(/^too-large: /)]);
    const cut = answering((request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("[uwsgi]\n", () => request.socket.destroy());
    });
    expect(await get(cut)).toEqual([expect.stringMatching(/^unreadable: .*abort/)]);
  });

  it("where nobody listens, or that is no address, is an error", async () => {
    const port = await freePort();
    expect(pairsOf(await load(["--ini", `http://127.0.0.1:${port}/x.ini`]))).toEqual([
      expect.stringMatching(/^unreadable: .*ECONNREFUSED/),
    ]);
    expect(pairsOf(await load(["--ini", "http://[/x.ini"]))).toEqual([
      expect.stringMatching(/^unreadable: .*Invalid URL/),
    ]);
  });
});

programTest(["openssl"])("https:// takes no certificate that cannot be verified", async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "config-tls-")));
  try {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const args = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout ${key} -out ${cert}`;
    execFileSync("openssl", args.split(" "), { stdio: "ignore" });
    const identity = { key: readFileSync(key), cert: readFileSync(cert) };
    const server = createTlsServer(identity, (_, response) => response.end("[uwsgi]\na = 1\n"));
    await serving(server, async (origin) => {
      const address = `https://${origin}/x.ini`;
      expect(pairsOf(await load(["--ini", address]))).toEqual([
        expect.stringMatching(/^unreadable: .*self-signed certificate/),
      ]);
      // The same certificate, trusted: what keeps it out is the verification and nothing else.
      const vassal = await askVassal(["--show-origin", "--ini", address], {
        NODE_EXTRA_CA_CERTS: cert,
      });
      expect(vassal.log).toContain(`${address}:2\ta = 1\n`);
      expect(vassal.code).toBe(0);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Runs `vassal` to its end. */
async function askVassal(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  emperor = false,
): Promise<{ readonly code: number | null; readonly log: string }> {
  await using folder = await VassalFolder.create();
  const vassal = folder.start({ argv, env, emperor });
  const { code } = await vassal.ended();
  await waitFor("the end of its output", () => vassal.child.stdout?.readableEnded, {
    witness: vassal,
  });
  return { code, log: vassal.log };
}

describe("a vassal whose server has no config for it", () => {
  it.each([
    [true, 26],
    [false, 1],
  ])("with an Emperor: %s, exits with %i", async (emperor, code) => {
    const server = answering((_, response) => response.writeHead(404).end());
    await serving(server, async (origin) => {
      const ended = await askVassal(["--ini", `http://${origin}/app.ini`], {}, emperor);
      expect(ended.log).toContain("the server answered with 404");
      expect(ended.code).toBe(code);
    });
  });

  it("but may have one later, exits with 1", async () => {
    const port = await freePort();
    const ended = await askVassal(["--ini", `http://127.0.0.1:${port}/app.ini`], {}, true);
    expect(ended.code).toBe(1);
    expect(ended.log).toContain("ECONNREFUSED");
  });
});

it("envdir of a vassal counts after env, with all lines of its files; a missing one is an error", async () => {
  await using folder = await VassalFolder.create();
  mkdirSync(folder.file("variables"));
  folder.write("variables/LINES", "one\ntwo \n");
  folder.write("variables/GONE", "");
  folder.write(
    "app.mjs",
    "export default (_, response) => response.end(JSON.stringify([process.env.LINES, process.env.GONE]));",
  );
  folder.ini("envdir = variables\nenv = LINES=env\nenv = GONE=env\nnode-app = app.mjs");
  const vassal = folder.start();
  await vassal.accepting();
  expect(await (await fetch(folder.url)).text()).toBe('["one\\ntwo",null]');
  folder.write("bad.ini", "[uwsgi]\nnode-app = app.mjs\nenvdir = nowhere\n");
  const bad = folder.start({ argv: ["--ini", "bad.ini"], emperor: false });
  expect((await bad.ended()).code).toBe(1);
  await bad.untilLog(/bad\.ini:3: .*"nowhere": it does not exist/);
});

describe("show-config and show-origin of vassal", () => {
  it("write the dump into the log and go on; print the places and end", async () => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", "export default (_, response) => response.end(process.env.FROM_IENV);");
    folder.ini("base = app\nienv = FROM_IENV=seen\nnode-app = %(base).mjs");
    const vassal = folder.start({ argv: ["--show-config", "--ini", "app.ini"] });
    await vassal.accepting();
    expect(vassal.log).toContain(
      `;uWSGI instance configuration\n[uwsgi]\nshow-config = true\nini = app.ini\nhttp-socket = 127.0.0.1:${folder.port}\nbase = app\nienv = FROM_IENV=seen\nnode-app = app.mjs\n;end of configuration\n`,
    );
    expect(await (await fetch(folder.url)).text()).toBe("seen");
    const origin = folder.start({ argv: ["--ini", "app.ini", "--show-origin"], emperor: false });
    expect((await origin.ended()).code).toBe(0);
    await origin.untilLog(/app\.ini:5\tnode-app = app\.mjs\n/);
  });
});
