/** What the Emperor tells systemd through NOTIFY_SOCKET. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { newRun, startEmperor } from "../harness/emperor.ts";
import { waitFor } from "../harness/wait.ts";

test("READY once it governs, STATUS with the number of vassals, STOPPING at the end", async () => {
  const run = newRun();
  const path = join(run.path, "notify.sock");
  const sink = spawn(inject("datagramSink"), [path], {
    stdio: ["ignore", "pipe", "inherit"],
    env: run.environment(),
  });
  let text = "";
  sink.stdout.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  onTestFinished(() => {
    sink.kill("SIGKILL");
  });
  await waitFor("the sink to be bound", () => text.startsWith("bound"));
  const lines = (): string[] => text.split(/[\0\n]/).filter((line) => line !== "");
  const emperor = await startEmperor(
    {
      env: { NOTIFY_SOCKET: path },
      vassals: { "a.ini": vassalConfig("loyal"), "b.ini": vassalConfig("loyal") },
    },
    run,
  );
  await emperor.wait("READY=1", () => lines().includes("READY=1"));
  await emperor.wait("two vassals", () =>
    lines().includes("STATUS=The Emperor is governing 2 vassals"),
  );
  emperor.remove("a.ini");
  await emperor.wait("one vassal", () =>
    lines().includes("STATUS=The Emperor is governing 1 vassals"),
  );
  emperor.signal("SIGHUP");
  await emperor.wait("RELOADING=1", () => lines().includes("RELOADING=1"));
  emperor.signal("SIGTERM");
  await emperor.ended();
  await waitFor("STOPPING=1", () => lines().includes("STOPPING=1"));
  expect(lines().filter((line) => line.startsWith("READY=1")).length).toBeGreaterThanOrEqual(1);
  // Only changes are told.
  const statuses = lines().filter((line) => line.startsWith("STATUS=The Emperor is governing 2"));
  expect(statuses).toHaveLength(1);
  sink.kill("SIGKILL");
  await waitFor("the sink to be gone", () => sink.exitCode !== null || sink.signalCode !== null);
});
