/** Combinations of options that are accepted with a warning. */
import { expect, it } from "vitest";
import { readSettings } from "./read-settings.ts";

async function warningsOf(...argv: readonly string[]): Promise<string> {
  const reading = await readSettings({
    argv: ["--emperor", "a", ...argv],
    environment: {},
    startDirectory: "/",
    defaultBinaryPath: "/opt/bin/vassal",
    version: "0.1.0",
  });
  if (reading.ok !== true) throw new Error(`not accepted: ${JSON.stringify(reading)}`);
  return reading.remarks
    .filter(({ level }) => level === "warning")
    .map(({ message }) => message)
    .join("\n");
}

it.each([[["--emperor-use-clone", "pid"]], [["--emperor-cgroup", "emperor"]]])(
  "a fork server, whose vassals are outside of %j",
  async (more) => {
    const server = ["--emperor-use-fork-server", "/run/fork"];
    expect(await warningsOf(...server)).toBe("");
    expect(await warningsOf(...more)).toBe("");
    expect(await warningsOf(...server, ...more)).toMatch(/fork server get no namespaces/);
  },
);

it("waiting for commands that nobody could give", async () => {
  const waiting = "--emperor-wait-for-command";
  expect(await warningsOf(waiting)).toMatch(/emperor-wait-for-command is ignored/);
  expect(await warningsOf(waiting, "--emperor-control", "/run/control")).toBe("");
});

it("Tyrant mode whose Emperor drops the right to become others", async () => {
  const dropped = ["--emperor-tyrant", "--uid", "nobody"];
  expect(await warningsOf(...dropped)).toMatch(/cannot start vassals as other users/);
  expect(await warningsOf(...dropped, "--cap", "setgid,setuid")).toBe("");
});
