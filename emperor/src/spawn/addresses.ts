/**
 * Addresses and names of the interfaces that vassals with a net namespace get (`emperor-veth`). Pure; it
 * must not know how an interface is made.
 */

export interface VethSettings {
  readonly bridge: string;
  /** `10.97.0.0/16`: the first address is the bridge's own and the vassals' way out. */
  readonly range: string;
}

export interface Connection {
  /** The Emperor's end; at most 15 characters, as the kernel has it. */
  readonly interfaceName: string;
  /** With the length of the prefix: `10.97.0.2/16`. */
  readonly address: string;
  readonly gateway: string;
}

interface Range {
  readonly base: number;
  readonly prefix: number;
}

/** An IPv4 network with room for two vassals at least; undefined: it is none. */
export function readRange(text: string): Range | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  if (match === null) return undefined;
  const [, a, b, c, d, length] = match.map(Number);
  const octets = [a ?? 256, b ?? 256, c ?? 256, d ?? 256];
  const prefix = length ?? 0;
  if (octets.some((octet) => octet > 255) || prefix < 8 || prefix > 29) return undefined;
  const number = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  const size = 2 ** (32 - prefix);
  return number % size === 0 ? { base: number, prefix } : undefined;
}

function dotted(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}

/** Which process has which address. One that was released is given away last, as others may remember it. */
export class AddressPool {
  readonly #range: Range;
  readonly #room: number;
  readonly #mark: string;
  readonly #byProcess = new Map<number, number>();
  readonly #taken = new Set<number>();
  #next = 0;

  /** `owner`: number of the Emperor, so that two of them on one machine use different names. */
  constructor(range: Range, owner: number) {
    this.#range = range;
    // Without the network, the bridge and the broadcast address.
    this.#room = 2 ** (32 - range.prefix) - 3;
    this.#mark = `em${owner.toString(36)}`;
  }

  /** Undefined: all are taken. */
  take(process: number): Connection | undefined {
    if (this.#taken.size >= this.#room) return undefined;
    while (this.#taken.has(this.#next)) this.#next = (this.#next + 1) % this.#room;
    const slot = this.#next;
    this.#next = (this.#next + 1) % this.#room;
    this.#taken.add(slot);
    this.#byProcess.set(process, slot);
    const { base, prefix } = this.#range;
    return {
      interfaceName: `${this.#mark}.${slot.toString(36)}`,
      address: `${dotted(base + 2 + slot)}/${prefix}`,
      gateway: dotted(base + 1),
    };
  }

  release(process: number): void {
    const slot = this.#byProcess.get(process);
    if (slot === undefined) return;
    this.#byProcess.delete(process);
    this.#taken.delete(slot);
  }
}
