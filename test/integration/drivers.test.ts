/**
 * Drivers are found and loaded also when the log goes to a socket, as under systemd: Node's resolution
 * of symbolic links depends on what was examined before (see log/descriptor-sink.ts).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { newRun } from "../harness/emperor.ts";
import { waitFor } from "../harness/wait.ts";

const EMPEROR = join(import.meta.dirname, "../../bin/emperor");

describe("with the log on a socket", () => {
  for (const [address, said] of [
    ["pg://host=/nowhere user=nobody", "cannot connect to PostgreSQL"],
    ["mongodb://%2Fnowhere%2Fm.sock", "cannot connect to MongoDB"],
    ["amqp://127.0.0.1:1", "127.0.0.1:1"],
  ] as const) {
    it(`the driver of ${address.slice(0, address.indexOf(":"))} is loaded, and says what is wrong`, async () => {
      const run = newRun();
      const child = spawn(EMPEROR, ["--emperor", address, "--emperor-source-timeout", "1"], {
        cwd: run.path,
        env: run.environment(),
        stdio: ["ignore", "pipe", "pipe"],
      });
      const ended = once(child, "exit");
      onTestFinished(async () => {
        child.kill("SIGKILL");
        await ended;
      });
      let log = "";
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text: string) => {
          log += text;
        });
      await waitFor(`the log to say ${said}`, () => {
        const line = log
          .split("\n")
          .find((one) => one.includes("its vassals stay") && one.includes(said));
        if (line === undefined) throw new Error(log);
        return line;
      });
      expect(log).not.toMatch(/Cannot find (?:module|package)|this is a bug/);
      child.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
    });
  }
});
