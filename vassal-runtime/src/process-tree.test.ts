import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { allProcesses, processEntry, signalEntry, treeOf } from "./process-tree.ts";
import type { ProcessEntry } from "./process-tree.ts";

const entry = (pid: number, parent: number, session: number, zombie = false): ProcessEntry => ({
  pid,
  parent,
  session,
  zombie,
  startedAt: "1",
});

it("takes the session and all descendants, no zombies and no strangers", () => {
  const processes = [
    entry(10, 1, 10),
    entry(11, 10, 10),
    entry(12, 1, 10), // its parent has ended
    entry(13, 11, 13), // a session of its own
    entry(14, 13, 13),
    entry(15, 10, 10, true),
    entry(20, 1, 20),
  ];
  expect(treeOf(10, processes).map(({ pid }) => pid)).toEqual([10, 11, 12, 13, 14]);
});

it("reads this process, and nothing of one that is gone", () => {
  expect(processEntry(process.pid)).toMatchObject({ parent: process.ppid, zombie: false });
  expect(allProcesses().some(({ pid }) => pid === process.pid)).toBe(true);
  expect(processEntry(2 ** 22 + 1)).toBeUndefined();
});

it("signals only the process that it saw", async () => {
  const child = spawn("sleep", ["1000"]);
  await once(child, "spawn");
  const seen = processEntry(child.pid ?? 0);
  if (seen === undefined) throw new Error("sleep is not there");
  signalEntry({ ...seen, startedAt: "0" }, 9);
  expect(processEntry(seen.pid)?.zombie).toBe(false);
  signalEntry(seen, 15);
  expect(await once(child, "exit")).toEqual([null, "SIGTERM"]);
});
