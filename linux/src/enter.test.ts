/** Programs in other namespaces: what `enter` does, seen from a Node that becomes one of them. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { expect } from "vitest";
import { rootTest } from "../test/privileges.ts";
import { CLONE_NEW } from "./constants.ts";

const ENTER = new URL("../build/enter", import.meta.url).pathname;

/** Runs a line of the shell by way of the program that `enterNamespaces` executes. */
function inside(flags: number, bound: string, line: string) {
  return spawnSync(ENTER, ["test: ", "", String(flags), bound, "/bin/sh", "sh", "-c", line], {
    encoding: "utf8",
    timeout: 30_000,
  });
}

rootTest("keeps the pid unless there is a pid namespace, which has a /proc of its own", () => {
  const plain = inside(CLONE_NEW.uts, "-", "echo $$; readlink /proc/self/ns/uts");
  expect(plain.stdout.split("\n")).toEqual([
    String(plain.pid),
    expect.not.stringContaining(readlinkSync("/proc/self/ns/uts")),
    "",
  ]);
  const first = inside(CLONE_NEW.pid | CLONE_NEW.mount, "-", "echo $$; cd /proc && echo [0-9]*");
  expect(first.stdout).toBe("1\n1\n");
});

rootTest("maps root and all others in a user namespace", () => {
  const { stdout } = inside(CLONE_NEW.user | CLONE_NEW.uts, "-", "id -u; cat /proc/self/uid_map");
  expect(stdout.replaceAll(/ +/g, " ")).toMatch(/^0\n 0 0 4294967295\n$/);
});

rootTest("leaves only the capabilities that were named", () => {
  const { stdout } = inside(0, "401", "grep -E '^Cap(Prm|Bnd)' /proc/self/status");
  expect(stdout).toMatch(/CapPrm:\t0000000000000401\nCapBnd:\t0000000000000401\n/);
});

rootTest("the guardian ends as the first process ends", () => {
  const flags = CLONE_NEW.pid | CLONE_NEW.mount;
  expect(inside(flags, "-", "exit 7").status).toBe(7);
});

rootTest("the guardian hands signals on, and its end is the end of all", async () => {
  for (const [signal, expected] of [
    ["SIGUSR1", [9, null]],
    ["SIGKILL", [null, "SIGKILL"]],
  ] as const) {
    const line = "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done";
    const flags = String(CLONE_NEW.pid | CLONE_NEW.mount);
    const child = spawn(ENTER, ["test: ", "", flags, "-", "/bin/sh", "sh", "-c", line], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    const exited = once(child, "exit");
    // The pipe is closed when nobody of them is left.
    const closed = once(child, "close");
    child.kill(signal);
    expect(await exited).toEqual(expected);
    await closed;
  }
});

rootTest("says what failed", () => {
  const { status, stderr } = inside(0, "-", "");
  expect(status).toBe(0);
  const missing = spawnSync(ENTER, ["test: ", "", "0", "-", "/no/such", "such"], {
    encoding: "utf8",
  });
  expect([missing.status, missing.stderr]).toEqual([
    1,
    "test: /no/such failed: No such file or directory; the vassal ends\n",
  ]);
  expect(stderr).toBe("");
});
