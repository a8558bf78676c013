/**
 * After a burst (boot, a deploy of many configs) the heap holds the burst's garbage. Node would come
 * back for it in many small steps over the next seconds, or never when that is turned off; here it is
 * collected once, when the burst is over. Knows nothing of vassals.
 */

/** So much happened that it is worth a collection. */
const BURST_EVENTS = 100;
/** The burst is over when nothing happened for so long. */
const CALM_MS = 1500;

export interface TidyTools {
  /** Monotonic ms. */
  readonly now: () => number;
  /** A timer that does not keep the process alive. */
  readonly after: (ms: number, run: () => void) => void;
  readonly collect: () => void;
}

export class BurstTidier {
  readonly #tools: TidyTools;
  #events = 0;
  #lastAt = 0;
  #armed = false;

  constructor(tools: TidyTools) {
    this.#tools = tools;
  }

  /** Something happened that leaves garbage. Costs a comparison, and one timer per burst. */
  note(): void {
    this.#events += 1;
    this.#lastAt = this.#tools.now();
    if (this.#armed || this.#events < BURST_EVENTS) return;
    this.#armed = true;
    this.#tools.after(CALM_MS, () => this.#look());
  }

  #look(): void {
    const calmFor = this.#tools.now() - this.#lastAt;
    if (calmFor < CALM_MS) return this.#tools.after(CALM_MS - calmFor, () => this.#look());
    this.#armed = false;
    this.#events = 0;
    this.#tools.collect();
  }
}

/** The tidier of this process, or undefined where Node was started without `--expose-gc`. */
export function ownTidier(): BurstTidier | undefined {
  const collect: unknown = Reflect.get(globalThis, "gc");
  if (typeof collect !== "function") return undefined;
  return new BurstTidier({
    now: () => performance.now(),
    after: (ms, run) => void setTimeout(run, ms).unref(),
    collect: () => void Reflect.apply(collect, undefined, []),
  });
}
