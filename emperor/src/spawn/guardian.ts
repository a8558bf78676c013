/**
 * Starts the guardian, the small process that ends all vassals and their descendants when the Emperor
 * ends in whatever way, and makes the signature by which it knows them. Knows no vassal.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
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
 * Returns when the guardian watches over process `pid`, which must be this one.
 * @returns why there is none, as the end of a sentence
 */
export function startGuardian(program: string, pid: number, signature: number): string | undefined {
  const result = spawnSync(program, [String(pid), String(signature)], {
    env: {},
    stdio: "ignore",
    timeout: START_DEADLINE_MS,
    killSignal: "SIGKILL",
  });
  if (result.error !== undefined) return result.error.message;
  return result.status === 0
    ? undefined
    : `${program} ended with ${result.signal ?? result.status}`;
}
