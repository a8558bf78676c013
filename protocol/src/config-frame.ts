/**
 * A config on the config pipe: one uwsgi packet per start of the vassal. Knows the packet, not the
 * pipe and not the config.
 */
import { PacketDecoder, encodePacket } from "./packet.ts";
import type { TooLarge } from "./packet.ts";

/** modifier1 of a pushed config. */
const CONFIG_MODIFIER1 = 115;

export type EncodedConfig =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | TooLarge
  /** An empty config makes the reader exit: it waits for a body that never comes. */
  | { readonly ok: false; readonly reason: "empty" };

/** The packet to write after spawn and in answer to `config-wanted`; at most 65535 bytes of config. */
export function encodeConfigFrame(config: Uint8Array): EncodedConfig {
  if (config.length === 0) return { ok: false, reason: "empty" };
  return encodePacket(CONFIG_MODIFIER1, 0, config);
}

/**
 * Reads what is in the pipe. An Emperor of uWSGI 2.0 writes two packets per reload of which its own
 * vassals read one, so they lag behind for ever; taking the last complete one is right with any
 * Emperor. Packets that are no configs are counted and skipped.
 */
export class ConfigFrameDecoder {
  readonly #packets = new PacketDecoder();
  #latest: Uint8Array | undefined;
  #frames = 0;
  #strangers = 0;

  /** Takes bytes cut at any place. */
  push(chunk: Uint8Array): void {
    for (const packet of this.#packets.push(chunk)) {
      if (packet.modifier1 !== CONFIG_MODIFIER1) this.#strangers += 1;
      else {
        this.#frames += 1;
        this.#latest = packet.body;
      }
    }
  }

  /** The last complete config, undefined before the first. */
  get latest(): Uint8Array | undefined {
    return this.#latest;
  }

  /** Complete configs seen. */
  get frames(): number {
    return this.#frames;
  }

  /** Packets with another modifier1. */
  get strangers(): number {
    return this.#strangers;
  }

  /** Bytes of an unfinished packet. */
  get pendingBytes(): number {
    return this.#packets.pendingBytes;
  }
}
