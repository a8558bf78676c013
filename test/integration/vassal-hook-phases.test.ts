/** Hooks of the processes that run the app, hooks of touched files, and hooks that hang or fail late. */
import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { expect, it } from "vitest";
import { programTest } from "../harness/privileges.ts";
import { isAlive } from "../harness/processes.ts";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, get } from "./vassal-harness.ts";

const APP = "export default (_request, response) => response.end(String(process.pid));";
const PHASES = [
  "pre-app",
  "post-fork",
  "post-app",
  "accepting",
  "accepting-once",
  "accepting1",
  "accepting1-once",
  "master-start",
];
const traced = (phases: readonly string[]): string =>
  phases.map((phase) => `hook-${phase} = appendn:%dtrace ${phase}`).join("\n");

function traceOf(folder: VassalFolder): string[] {
  return readFileSync(folder.file("trace"), "utf8").trim().split("\n");
}

it("one process has all phases, as it is master and worker", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("trace", "");
  folder.ini(`node-app = app.mjs\n${traced(PHASES)}`);
  const vassal = folder.start();
  await vassal.accepting();
  await waitFor("the last phase", () => traceOf(folder).includes("master-start"), {
    witness: vassal,
  });
  const order = traceOf(folder).filter((phase) => phase !== "master-start");
  expect(order).toEqual(PHASES.filter((phase) => phase !== "master-start"));
});

it("each worker has its own, the first one more, and a successor fewer", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("trace", "");
  folder.ini(`node-app = app.mjs\nprocesses = 2\nforkbomb-delay = 0\n${traced(PHASES)}`);
  const vassal = folder.start();
  await vassal.accepting();
  await waitFor("master-start", () => traceOf(folder).includes("master-start"), {
    witness: vassal,
  });
  const once = ["accepting1", "accepting1-once", "master-start", "pre-app"];
  const each = ["accepting", "accepting-once", "post-app", "post-fork"];
  expect(traceOf(folder).toSorted()).toEqual([...once, ...each, ...each].toSorted());
  folder.write("trace", "");
  const pid = Number((await get(folder.url)).body);
  process.kill(pid, "SIGKILL");
  await waitFor("the successor", () => traceOf(folder).includes("accepting"), { witness: vassal });
  const seen = traceOf(folder).filter((phase) => phase !== "accepting1");
  expect(seen).toEqual(["post-fork", "post-app", "accepting"]);
});

it("a hook that fails in a later worker ends the whole vassal with 1", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("allowed", "");
  folder.ini(
    "node-app = app.mjs\nprocesses = 2\nforkbomb-delay = 0\nhook-post-fork = exec:test -e %dallowed",
  );
  const vassal = folder.start();
  await vassal.accepting();
  const pid = Number((await get(folder.url)).body);
  unlinkSync(folder.file("allowed"));
  process.kill(pid, "SIGKILL");
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(vassal.log).toMatch(
    /"exec:test -e .*\(post-fork\) failed: it exited with 1; the vassal ends/,
  );
  expect(vassal.log).toContain("a hook of a worker failed: stopping");
  await folder.untilAlone();
});

it("hook-touch acts when the file is touched, and its failure is only told", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("touched", "");
  folder.ini(
    "node-app = app.mjs\nhook-touch = %dtouched appendn:%dtrace x\nhook-touch = %dtouched mkdir:/",
  );
  const vassal = folder.start();
  await vassal.accepting();
  writeFileSync(folder.file("touched"), "now");
  await vassal.untilLog(/"?mkdir:\/"? \(touch\) failed: EEXIST.*; going on/);
  expect(readFileSync(folder.file("trace"), "utf8")).toBe("x\n");
  expect((await get(folder.url)).status).toBe(200);
});

it("a hook that hangs ends with its vassal", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini("node-app = app.mjs\nhook-pre-app = exec:echo hangs as $$; exec sleep 1000");
  const vassal = folder.start();
  await vassal.untilLog(/hangs as \d+/);
  const pid = Number(/hangs as (\d+)/.exec(vassal.log)?.[1]);
  expect(isAlive(pid)).toBe(true);
  vassal.child.kill("SIGKILL");
  expect(await vassal.ended()).toEqual({ code: null, signal: "SIGKILL" });
  await folder.untilAlone();
});

it("waits in an action, and writes when somebody reads", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  try {
    folder.ini(
      `node-app = app.mjs\nhook-asap = wait_for_file:%dthere\nhook-asap = wait_for_socket:127.0.0.1:${port}\nhook-asap = wait_for_socket:[::1]:x\n`,
    );
    const vassal = folder.start();
    await vassal.untilLog(/running wait_for_file/);
    folder.write("there", "");
    expect(await vassal.ended()).toEqual({ code: 1, signal: null });
    expect(vassal.log).toMatch(/running wait_for_socket:127\.0\.0\.1:\d+ \(asap\)/);
    expect(vassal.log).toMatch(/"wait_for_socket:\[::1\]:x" \(asap\) failed: "x" is no port/);
  } finally {
    server.close();
  }
});

programTest(["mkfifo", "sh"])("spinningfifo waits for the reader", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini(
    "node-app = app.mjs\nhook-asap = exec:(mkfifo %dfifo; read -r line < %dfifo; echo heard $line) &\nhook-asap = spinningfifo:%dfifo some words",
  );
  const vassal = folder.start();
  await vassal.accepting();
  await vassal.untilLog(/heard some words/);
});

it("a command has the hooks of accepting when it is ready", async () => {
  await using folder = await VassalFolder.create();
  folder.write("trace", "");
  folder.ini(`command = sleep 1000\n${traced(PHASES)}`);
  const vassal = folder.start();
  await vassal.accepting();
  await waitFor("master-start", () => traceOf(folder).includes("master-start"), {
    witness: vassal,
  });
  expect(vassal.log).toContain("hooks of post-fork have no effect on a command");
  expect(traceOf(folder)).toEqual(PHASES.filter((phase) => !phase.startsWith("post-")));
});
