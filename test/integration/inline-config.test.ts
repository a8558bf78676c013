/** Configs that arrive as messages reach real vassals through the pipe, and never by way of a file. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join, resolve } from "node:path";
import { describe, expect } from "vitest";
import { newRun, startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, Run } from "../harness/emperor.ts";
import { vassalConfig } from "../harness/configs.ts";
import { realUwsgi, uwsgiTest } from "../harness/privileges.ts";
import { hasZmq, python, zmqTest } from "../harness/python.ts";
import { freePort } from "../harness/sockets.ts";

const SEND = resolve(import.meta.dirname, "../../examples/zmq/send.py");
const VASSAL = resolve(import.meta.dirname, "../../bin/vassal");

function ask(run: Run): Promise<string> {
  return new Promise((done, reject) => {
    const call = request(
      { socketPath: join(run.path, "app.sock"), path: "/", timeout: 10_000 },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (body += chunk));
        response.on("end", () => done(body));
      },
    );
    call.on("timeout", () => call.destroy(new Error("no answer")));
    call.on("error", reject);
    call.end();
  });
}

/** Two touches: the second one's config is what the same process serves afterwards. */
async function servesWhatWasSent(
  run: Run,
  emperor: EmperorUnderTest,
  endpoint: string,
  config: (note: string) => string,
): Promise<void> {
  await python(SEND, endpoint, "touch", "inline.ini", config("first"));
  await emperor.wait("the first answer", async () => (await ask(run)) === "note=first", 60_000);
  const { pid } = await emperor.vassalWith("inline.ini", { accepting: 1 });
  await python(SEND, endpoint, "touch", "inline.ini", config("second"));
  await emperor.wait("the second answer", async () => (await ask(run)) === "note=second", 60_000);
  // Asked for again, it is read again: a reload without a change.
  emperor.signal("SIGHUP");
  await emperor.vassalWith("inline.ini", { respawns: 2, accepting: 1, pid });
  await emperor.wait("the third answer", async () => (await ask(run)) === "note=second", 60_000);
  const files = readdirSync(run.path, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !entry.parentPath.endsWith("/seen"),
  );
  const holding = files.filter((entry) =>
    readFileSync(join(entry.parentPath, entry.name), "latin1").includes("NOTE="),
  );
  expect(holding.map(({ name }) => name)).toEqual([]);
}

describe("a config in a message", () => {
  zmqTest("reaches our own vassal, at its start and at every reload", async () => {
    const run = newRun();
    writeFileSync(
      join(run.path, "app.mjs"),
      "export default (request, response) => response.end(`note=${process.env['NOTE']}`);\n",
    );
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const emperor = await startEmperor({ monitors: [`zmq://${endpoint}`], wrapper: VASSAL }, run);
    const lines = [
      `http-socket = ${join(run.path, "app.sock")}`,
      `node-app = ${join(run.path, "app.mjs")}`,
    ];
    await servesWhatWasSent(run, emperor, endpoint, (note) =>
      ["[uwsgi]", ...lines, `env = NOTE=${note}`, ""].join("\n"),
    );
  });

  const bothTest = hasZmq ? uwsgiTest : zmqTest;
  bothTest("reaches a real uWSGI, at its start and at every reload", async () => {
    const run = newRun();
    writeFileSync(
      join(run.path, "app.py"),
      "import os\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    return [('note=' + os.environ['NOTE']).encode()]\n",
    );
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const emperor = await startEmperor(
      {
        monitors: [`zmq://${endpoint}`],
        wrapper: null,
        args: ["--binary-path", realUwsgi ?? ""],
      },
      run,
    );
    const lines = [
      "plugin = python3",
      "master = true",
      "processes = 1",
      "no-orphans = true",
      `http-socket = ${join(run.path, "app.sock")}`,
      `wsgi-file = ${join(run.path, "app.py")}`,
    ];
    await servesWhatWasSent(run, emperor, endpoint, (note) =>
      ["[uwsgi]", ...lines, `env = NOTE=${note}`, ""].join("\n"),
    );
  });

  zmqTest("is sent once per start and once per request for it, whole up to the limit", async () => {
    const run = newRun();
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const emperor = await startEmperor({ monitors: [`zmq://${endpoint}`] }, run);
    const asks = vassalConfig("asks-config");
    await python(SEND, endpoint, "touch", "asks.ini", asks);
    await emperor.report("config", "asks.ini", { text: asks }, 2);
    const head = vassalConfig("loyal");
    const big = `${head}#${"x".repeat(65_535 - head.length - 1)}`;
    expect(big).toHaveLength(65_535);
    await python(SEND, endpoint, "touch", "big.ini", big);
    await emperor.vassalWith("big.ini", { loyal: 1 });
    expect(emperor.run.reports.of("config", "asks.ini")).toHaveLength(2);
  });
});
