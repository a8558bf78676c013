/** Datagrams of the command socket (uWSGI 2.1): a uwsgi packet with a dictionary, no answer. */
import { decodeDictionary, encodeDictionary } from "./dictionary.ts";
import type { ItemTooLarge } from "./dictionary.ts";
import { PACKET_HEADER_BYTES, encodePacket } from "./packet.ts";
import type { TooLarge } from "./packet.ts";

/** Longer datagrams are cut by the receiver. */
export const COMMAND_MAX_BYTES = 4096;

export interface Command {
  /** `spawn`, `respawn`, `stop`, `log` are uWSGI's; which ones exist is for the receiver to say. */
  readonly command: string;
  readonly vassal?: string;
  readonly message?: string;
}

export type EncodedCommand =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | TooLarge
  | ItemTooLarge;

export function encodeCommand(command: Command): EncodedCommand {
  const pairs: [string, string][] = [["cmd", command.command]];
  if (command.vassal !== undefined) pairs.push(["vassal", command.vassal]);
  if (command.message !== undefined) pairs.push(["msg", command.message]);
  const body = encodeDictionary(pairs);
  if (!body.ok) return body;
  const packet = encodePacket(0, 0, body.bytes);
  if (packet.ok && packet.bytes.length > COMMAND_MAX_BYTES) {
    return {
      ok: false,
      reason: "too-large",
      sizeBytes: packet.bytes.length,
      limitBytes: COMMAND_MAX_BYTES,
    };
  }
  return packet;
}

export type DecodedCommand =
  | { readonly ok: true; readonly command: Command }
  | { readonly ok: false; readonly reason: "too-large" | "too-short" | "malformed" | "no-command" };

/**
 * Reads one datagram. The header's fields are not examined, as in uWSGI, whose clients differ there.
 * `cmd` and `command` mean the same; of a repeated key the last one counts. Never throws.
 */
export function decodeCommand(datagram: Uint8Array): DecodedCommand {
  if (datagram.length > COMMAND_MAX_BYTES) return { ok: false, reason: "too-large" };
  if (datagram.length < PACKET_HEADER_BYTES) return { ok: false, reason: "too-short" };
  const { pairs, complete } = decodeDictionary(datagram.subarray(PACKET_HEADER_BYTES));
  if (!complete) return { ok: false, reason: "malformed" };
  let command: string | undefined;
  let vassal: string | undefined;
  let message: string | undefined;
  for (const [key, value] of pairs) {
    if (key === "cmd" || key === "command") command = value;
    else if (key === "vassal") vassal = value;
    else if (key === "msg") message = value;
  }
  if (command === undefined || command === "") return { ok: false, reason: "no-command" };
  return {
    ok: true,
    command: {
      command,
      ...(vassal === undefined ? {} : { vassal }),
      ...(message === undefined ? {} : { message }),
    },
  };
}
