import { expect, test } from "vitest";
import type { Notice } from "../../emperor/src/lifecycle/index.ts";
import { Simulation } from "./simulation.ts";

const DEFAULT_SEEDS = 500;

/** Everything that can be told of a vassal. */
const HAPPENINGS: readonly Notice["kind"][] = [
  "accepting",
  "blacklisted",
  "channel-lost",
  "config-changed-while-waiting",
  "damped",
  "exited",
  "healthy",
  "heartbeat",
  "heartbeat-missed",
  "killed",
  "listening",
  "loyal",
  "queued",
  "ready",
  "reloading",
  "removed",
  "resting",
  "running",
  "socket-failed",
  "spawn-failed",
  "spawning",
  "started",
  "stopping",
  "unlisted",
  "waiting-on-demand",
];

function seeds(): readonly number[] {
  const one = process.env["SIM_SEED"];
  if (one !== undefined) return [Number(one)];
  const count = Number(process.env["SIM_SEEDS"] ?? DEFAULT_SEEDS);
  const first = Number(process.env["SIM_FIRST_SEED"] ?? 1);
  // The same seeds each time: a change that breaks one is found by whoever made it. Longer runs go further.
  return Array.from({ length: count }, (_, index) => first + index);
}

test("the Emperor keeps its promises", async () => {
  const broken: string[] = [];
  const seen = new Set<string>();
  const all = seeds();
  for (const seed of all) {
    try {
      for (const kind of (await new Simulation(seed).run()).notices) seen.add(kind);
    } catch (error) {
      broken.push(error instanceof Error ? error.message : String(error));
    }
  }
  // The first one in full, of the others what and where: often they are one and the same.
  const others = broken.slice(1).map((message) => message.split("\n").slice(0, 2).join(", "));
  expect([...broken.slice(0, 1), ...others].join("\n")).toBe("");
  // A simulation in which things no longer happen proves nothing.
  if (all.length >= DEFAULT_SEEDS) expect([...seen].sort()).toEqual(HAPPENINGS);
});
