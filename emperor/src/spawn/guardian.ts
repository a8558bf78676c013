/**
 * Starts the guardian, the small process that ends all vassals and their descendants when the Emperor
 * ends in whatever way, and makes the signature by which it knows them. Knows no vassal.
 */
import { randomInt } from "node:crypto";
import type * as linux from "@emperor/linux";
import { SMALLEST_SIGNATURE } from "@emperor/linux";

/** RLIMIT_RTTIME, the resource whose limit is the signature. */
export const SIGNATURE_RESOURCE = 15;

/** So many values below the limit that is inherited; two Emperors meet once in a million million. */
const SPREAD = 2 ** 40;
const LARGEST = Number.MAX_SAFE_INTEGER;
const START_DEADLINE_MS = 5000;

/**
 * A limit of realtime seconds that nobody else's processes have, below the Emperor's own one (`hard`,
 * microseconds): only root may raise it. Undefined where the Emperor itself was given a real limit.
 */
export function makeSignature(
  hard: number,
  random: (below: number) => number = randomInt,
): number | undefined {
  const signature = Math.min(hard, LARGEST) - 1 - random(SPREAD);
  return signature >= SMALLEST_SIGNATURE ? signature : undefined;
}

/**
 * Returns when the guardian watches over process `pid`, which must be this one; that takes some two
 * milliseconds, once. Not with node:child_process, which would stay in memory for nothing else.
 * @returns why there is none, as the end of a sentence
 */
export function startGuardian(
  machine: Pick<typeof linux, "spawn" | "reap" | "close">,
  program: string,
  pid: number,
  signature: number,
): string | undefined {
  const started = machine.spawn({
    programs: [{ path: program, argv0: "emperor-guardian" }],
    env: [],
    session: false,
    args: [String(pid), String(signature)],
    fds: [0, 1, 2].map((to) => ({ from: -1, to })),
    mode: "shared",
  });
  if (!started.ok) return `${program} cannot be started: ${started.code}`;
  // It has become independent when the process that we started ends.
  const clock = new Int32Array(new SharedArrayBuffer(4));
  try {
    for (let waitedMs = 0; waitedMs < START_DEADLINE_MS; waitedMs += 1) {
      const end = machine.reap(started.pidfd);
      if (end === undefined) Atomics.wait(clock, 0, 0, 1);
      else return end.code === 0 ? undefined : `${program} ended with ${end.code ?? end.signal}`;
    }
    return `${program} does not become independent`;
  } finally {
    machine.close(started.pidfd);
  }
}
