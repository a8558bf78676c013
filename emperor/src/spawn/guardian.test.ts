/** The mark of vassals, and the guardian on real processes that nobody else would end. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import * as linux from "@emperor/linux";
import { describe, expect, onTestFinished, test } from "vitest";
import { makeSignature, SIGNATURE_RESOURCE, startGuardian } from "./guardian.ts";

describe("the mark", () => {
  test("is a limit that limits nobody, and lies below the one that is inherited", () => {
    const outer = makeSignature(Infinity, () => 0) ?? 0;
    expect(outer).toBe(Number.MAX_SAFE_INTEGER - 1);
    expect(outer / 1e6 / 3600 / 24 / 365).toBeGreaterThan(100);
    const inner = makeSignature(outer, () => 5) ?? 0;
    expect(inner).toBe(outer - 6);
    expect(Number.isSafeInteger(inner)).toBe(true);
  });

  test("differs from Emperor to Emperor", () => {
    const marks = new Set(Array.from({ length: 100 }, () => makeSignature(Infinity)));
    expect(marks.size).toBe(100);
  });

  test("is not made where a real limit was set", () => {
    expect(makeSignature(1_000_000)).toBeUndefined();
    expect(makeSignature(2 ** 48)).toBeUndefined();
  });
});

/** Starts a program that ends when its input does, marked, in a session of its own. */
function marked(signature: number, program: string, args: readonly string[]) {
  const result = linux.spawn({
    programs: [{ path: program, argv0: program }],
    ...{ args, env: ["PATH=/usr/bin:/bin"], session: true, mode: "shared" },
    fds: [0, 1, 2].map((to) => ({ from: -1, to })),
    rlimits: [{ resource: SIGNATURE_RESOURCE, soft: signature, hard: signature }],
  });
  if (!result.ok) throw new Error(`${program}: ${result.code}`);
  return result;
}

async function ended(pidfd: number): Promise<linux.ExitStatus> {
  for (const deadline = performance.now() + 20_000; performance.now() < deadline;) {
    const status = linux.reap(pidfd);
    if (status !== undefined) return status;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("the marked process lives on");
}

test("a guardian ends what has the mark when its Emperor is killed, and nothing else", async () => {
  const [signature = 0, other = 0] = [makeSignature(Infinity), makeSignature(Infinity)];
  const stranger = marked(other, "/bin/sleep", ["1000"]);
  const vassal = marked(signature, "/bin/sleep", ["1000"]);
  onTestFinished(() => {
    linux.signalProcess(stranger.pidfd, 9);
    for (const { pidfd } of [stranger, vassal]) linux.close(pidfd);
  });
  // An "Emperor" that is nothing but the parent of its guardian.
  const emperor = spawn(
    "/bin/sh",
    ["-c", `"$0" $$ ${signature} && echo up && exec sleep 1000`, linux.GUARDIAN_PROGRAM],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  await once(emperor.stdout, "data");
  expect(readFileSync(`/proc/${vassal.pid}/limits`, "utf8")).toContain(String(signature));
  expect(linux.reap(vassal.pidfd)).toBeUndefined();
  emperor.kill("SIGKILL");
  expect(await ended(vassal.pidfd)).toMatchObject({ signal: 9 });
  expect(linux.reap(stranger.pidfd)).toBeUndefined();
});

test("one that cannot be started or is told nonsense says so", () => {
  const signature = makeSignature(Infinity) ?? 0;
  expect(startGuardian(linux, "/nowhere/guardian", process.pid, signature)).toContain("ENOENT");
  expect(startGuardian(linux, "/bin/false", process.pid, signature)).toContain("ended with 1");
  // Only for its own parent, and only with a mark that no one would set on purpose.
  expect(startGuardian(linux, linux.GUARDIAN_PROGRAM, process.ppid, signature)).toContain("ended");
  expect(startGuardian(linux, linux.GUARDIAN_PROGRAM, process.pid, 1000)).toContain("ended with 2");
  expect(() => execFileSync(linux.GUARDIAN_PROGRAM, [], { stdio: "ignore" })).toThrow(
    "Command failed",
  );
});
