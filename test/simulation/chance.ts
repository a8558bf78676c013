/** Chance that can be repeated: a small generator of 32 bits (mulberry32), and draws from it. */

export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  real(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.real() * (max - min + 1));
  }

  /** True with this probability. */
  happens(probability: number): boolean {
    return this.real() < probability;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.integer(0, items.length - 1)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  /** A duration between the two, short ones more often: most things are quick, some are not. */
  duration(minMs: number, maxMs: number): number {
    return Math.round(minMs + (maxMs - minMs) * this.real() ** 3);
  }
}
