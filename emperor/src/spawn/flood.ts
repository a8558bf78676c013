/**
 * How much a vassal may say. A channel carries a byte now and then; one that floods is heard more
 * slowly, and nobody else notices. Pure arithmetic on a record; time is an argument.
 */
import type { ProcessRecord } from "./process-table.ts";

/** Bytes within a second that are still no flood: a heartbeat each millisecond, four times over. */
export const FLOOD_BYTES = 4096;
export const FLOOD_WINDOW_MS = 1000;
/** How long a flooding channel is not listened to. */
export const FLOOD_PAUSE_MS = 100;

export type FloodAnswer = "calm" | "flood-begins" | "flood-goes-on";

type FloodState = Pick<ProcessRecord, "windowAt" | "windowBytes" | "flooding">;

/** Counts `bytes` heard at `now` (monotonic ms). A flood is over after a whole second below the limit. */
export function countBytes(state: FloodState, bytes: number, now: number): FloodAnswer {
  if (now - state.windowAt >= FLOOD_WINDOW_MS) {
    if (state.windowBytes <= FLOOD_BYTES) state.flooding = false;
    state.windowAt = now;
    state.windowBytes = 0;
  }
  state.windowBytes += bytes;
  if (state.windowBytes <= FLOOD_BYTES) return "calm";
  if (state.flooding) return "flood-goes-on";
  state.flooding = true;
  return "flood-begins";
}
