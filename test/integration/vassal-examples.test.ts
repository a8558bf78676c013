/** The examples under a real Emperor, as `make demo` starts them: they run, can be played with, and end. */
import { spawn } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { markedProcesses, renderTree } from "../harness/processes.ts";
import { waitFor } from "../harness/wait.ts";
import type { Witness } from "../harness/wait.ts";
import { get } from "./vassal-harness.ts";

const DEMO = join(import.meta.dirname, "../../scripts/demo.mjs");

it("make demo: the examples run, a port that is taken is replaced, ctrl-c leaves nothing behind", async () => {
  // One of the usual ports is taken, by us or by somebody else.
  const blocker = createServer().on("error", () => undefined);
  blocker.listen(18080, "127.0.0.1");
  let output = "";
  const listeners = new Set<() => void>();
  const witness: Witness = {
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    account: () => output,
  };
  const demo = spawn(process.execPath, [DEMO], {
    cwd: "/",
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = (text: Buffer): void => {
    output += text.toString();
    for (const listener of listeners) listener();
  };
  demo.stdout.on("data", said);
  demo.stderr.on("data", said);
  const exit = new Promise<number | null>((resolve) => {
    demo.once("exit", (code) => resolve(code));
  });
  try {
    await waitFor("the introduction", () => output.includes("Ctrl-c here stops everything"), {
      witness,
      deadlineMs: 30_000,
    });
    expect(output).toMatch(/hello\.ini: port 18080 is taken here/);
    const address = (name: string): string =>
      new RegExp(`(http://\\S+) +${name.replace(".", "\\.")}`).exec(output)?.[1] ?? "";
    const folder =
      /\S+(?=\/vassals\/hello\.ini)/.exec(/touch (\S+)/.exec(output)?.[1] ?? "")?.[0] ?? "";
    expect((await get(address("hello.ini"))).body).toMatch(/^Hello from process \d+/);
    expect((await get(address("plain-script.ini"))).body).toMatch(/^plain script, process \d+/);
    expect((await get(address("clock.ini"))).body).toMatch(/^It is .* says process \d+/);
    expect(output).toMatch(/crashing\.ini, died \d+ time\(s\)/);

    const hello = join(folder, "vassals/hello.ini");
    const port = new URL(address("hello.ini")).port;
    writeFileSync(
      hello,
      `[uwsgi]\nhttp-socket = 127.0.0.1:${port}\nnode-app = %d../apps/hello.mjs\nenv = GREETING=Salve\n`,
    );
    await waitFor(
      "the edited greeting",
      async () => (await get(address("hello.ini"))).body.startsWith("Salve"),
      { witness },
    );
    rmSync(join(folder, "vassals/clock.ini"));
    await waitFor(
      "the clock to stop",
      async () =>
        get(address("clock.ini")).then(
          () => false,
          () => true,
        ),
      { witness },
    );

    // As the terminal does it: to the whole group.
    process.kill(-(demo.pid ?? 0), "SIGINT");
    expect(await exit).toBe(0);
    expect(output).toContain("all stopped, no process is left");
    expect(markedProcesses(`EMPEROR_DEMO=${folder}`)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  } finally {
    blocker.close();
    const folder = /\/\S*emperor-demo-\w+/.exec(output)?.[0];
    if (demo.exitCode === null) demo.kill("SIGTERM");
    await exit;
    const rest = folder === undefined ? [] : markedProcesses(`EMPEROR_DEMO=${folder}`);
    expect(rest, renderTree(rest)).toEqual([]);
  }
});
