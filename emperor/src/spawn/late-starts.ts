/**
 * Processes that were being started when the hands were closed, and the wait for their ends. It must not
 * know how they end.
 */
import type { ProcessRecord } from "./process-table.ts";

/** A set-up may take a second; a killed child is gone at once, unless the kernel holds it. */
const LIMIT_MS = 3000;

export class LateStarts {
  readonly #records = new Set<ProcessRecord>();
  #onLastGone: () => void = () => undefined;

  add(record: ProcessRecord): void {
    this.#records.add(record);
  }

  /** Its start failed, or its child was reaped. Others than late ones are ignored. */
  gone(record: ProcessRecord): void {
    if (this.#records.delete(record) && this.#records.size === 0) this.#onLastGone();
  }

  /** Resolves when all are gone, at the latest after a few seconds. */
  async untilGone(): Promise<void> {
    if (this.#records.size === 0) return;
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, LIMIT_MS);
      this.#onLastGone = () => {
        clearTimeout(limit);
        resolve();
      };
    });
  }
}
