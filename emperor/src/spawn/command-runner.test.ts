/** Commands of the administrator that are ended by the Emperor. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { endRunningCommands, runCommand } from "./command-runner.ts";

test("a command that was ordered right before all are ended does not start afterwards", async () => {
  const directory = mkdtempSync(join(tmpdir(), "command-runner-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "ran");
  const touch = { file: "/bin/sh", args: ["-c", `: > '${file}'`], env: {}, cwd: undefined };
  const ordered = runCommand(touch, 0);
  endRunningCommands();
  expect(await ordered).toEqual({ status: 137, problem: "it was ended before it started" });
  expect(existsSync(file)).toBe(false);
  // The next one is not concerned.
  expect(await runCommand(touch, 0)).toEqual({ status: 0, problem: undefined });
  expect(existsSync(file)).toBe(true);
});
