/**
 * What the hands cannot finish now and no event will remind them of: one shared timer for all of it,
 * which runs only while there is something. Knows no descriptor.
 */
import type { ProcessRecord } from "./process-table.ts";

export interface LaterActions {
  /** Listen to a flooding channel again. */
  readonly resume: (record: ProcessRecord) => void;
  /** Go on with a config packet; true when there is still a rest. */
  readonly write: (record: ProcessRecord) => boolean;
  /** Try to reap; asks for more time itself. */
  readonly reap: (record: ProcessRecord) => void;
}

export class Later {
  readonly #intervalMs: number;
  readonly #actions: LaterActions;
  #resume = new Set<ProcessRecord>();
  #write = new Set<ProcessRecord>();
  #reap = new Set<ProcessRecord>();
  #timer: NodeJS.Timeout | undefined;

  constructor(intervalMs: number, actions: LaterActions) {
    this.#intervalMs = intervalMs;
    this.#actions = actions;
  }

  resume(record: ProcessRecord): void {
    this.#resume.add(record);
    this.#arm();
  }

  write(record: ProcessRecord): void {
    this.#write.add(record);
    this.#arm();
  }

  reap(record: ProcessRecord): void {
    this.#reap.add(record);
    this.#arm();
  }

  forget(record: ProcessRecord): void {
    this.#resume.delete(record);
    this.#write.delete(record);
    this.#reap.delete(record);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer ??= setTimeout(this.#tick, this.#intervalMs);
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    // Each action may put its record back, for the next time.
    const resume = this.#resume;
    const write = this.#write;
    const reap = this.#reap;
    this.#resume = new Set();
    this.#write = new Set();
    this.#reap = new Set();
    for (const record of resume) this.#actions.resume(record);
    for (const record of write) if (this.#actions.write(record)) this.write(record);
    for (const record of reap) this.#actions.reap(record);
  };
}
