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

/** A report of so many bytes is full: there may be more behind it. */
export const FULL_REPORT_BYTES = 256;

export type FloodAnswer = "calm" | "flood-begins" | "flood-goes-on";

type FloodState = Pick<ProcessRecord, "windowAt" | "windowBytes" | "flooding">;

/**
 * Counts `bytes` of one report at `now` (monotonic ms). Heard slowly a flood looks small, so it is over
 * only when for a whole second no report was full: then nothing is piled up in the channel.
 */
export function countBytes(state: FloodState, bytes: number, now: number): FloodAnswer {
  if (state.flooding && bytes >= FULL_REPORT_BYTES) state.windowAt = now;
  if (now - state.windowAt >= FLOOD_WINDOW_MS) {
    state.flooding = false;
    state.windowAt = now;
    state.windowBytes = 0;
  }
  if (state.flooding) return "flood-goes-on";
  state.windowBytes += bytes;
  if (state.windowBytes <= FLOOD_BYTES) return "calm";
  state.flooding = true;
  state.windowAt = now;
  return "flood-begins";
}
