/**
 * Writes config packets into the pipe of a vassal, as far as they fit, and the rest later. Bounded:
 * at most one packet waits. It must not know when a packet is due.
 */
import { encodeConfigFrame } from "@emperor/protocol";
import { writeIfPossible, type Machine } from "./machine.ts";
import { NONE, type ProcessRecord } from "./process-table.ts";

/** `blocked`: the rest waits in `record.unsent`. `lost`: the vassal closed its end. */
export type PipeState = "sent" | "blocked" | "lost";

/**
 * Writes one whole packet. While the rest of an earlier one waits, a new packet is dropped: the vassal
 * has not read what it asked for before, and gets the new config when it asks again.
 */
export function writePacket(
  machine: Machine,
  record: ProcessRecord,
  packet: Uint8Array,
): PipeState {
  if (record.configFd === NONE) return "lost";
  if (record.unsent !== undefined) return continuePacket(machine, record);
  record.unsent = packet;
  return continuePacket(machine, record);
}

/** Goes on with what is left. */
export function continuePacket(machine: Machine, record: ProcessRecord): PipeState {
  while (record.unsent !== undefined && record.configFd !== NONE) {
    const written = writeIfPossible(machine, record.configFd, record.unsent);
    if (written === 0) return "blocked";
    if (written === undefined) {
      record.unsent = undefined;
      return "lost";
    }
    record.unsent = written < record.unsent.length ? record.unsent.subarray(written) : undefined;
  }
  return "sent";
}

export type Packet =
  | { readonly ok: true; readonly bytes: Uint8Array }
  /** Half a sentence: `is empty`. */
  | { readonly ok: false; readonly problem: string };

/** The packet for a config, or why there can be none. */
export function packetOf(config: Uint8Array): Packet {
  const frame = encodeConfigFrame(config);
  if (frame.ok) return frame;
  return {
    ok: false,
    problem:
      frame.reason === "empty"
        ? "is empty"
        : `has ${frame.sizeBytes} bytes, more than the ${frame.limitBytes} that a config pipe carries`,
  };
}
