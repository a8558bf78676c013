/** A sink for monitors on the real file system: waits for what it should hear, with a deadline. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import type { ImperialMonitor, MonitorOptions } from "../monitor.ts";
import { makeMonitor } from "../registry.ts";
import { RecordingSink } from "./fake-court.ts";

const DEADLINE_MS = 10_000;

export class ListeningSink extends RecordingSink {
  readonly #waiters = new Set<() => void>();

  override upsert(...args: Parameters<RecordingSink["upsert"]>): void {
    super.upsert(...args);
    this.#wake();
  }

  override remove(name: string): void {
    super.remove(name);
    this.#wake();
  }

  override available(): void {
    super.available();
    this.#wake();
  }

  override unavailable(reason: string): void {
    super.unavailable(reason);
    this.#wake();
  }

  override notice(severity: string, message: string): void {
    super.notice(severity, message);
    this.#wake();
  }

  /** Resolves when a line that contains `text` was heard; on timeout fails with all that was. */
  async hears(text: string): Promise<void> {
    const isHeard = (): boolean => this.heard.some((line) => line.includes(text));
    if (isHeard()) return;
    await new Promise<void>((resolve, reject) => {
      const check = (): void => {
        if (!isHeard()) return;
        clearTimeout(deadline);
        this.#waiters.delete(check);
        resolve();
      };
      const deadline = setTimeout(() => {
        this.#waiters.delete(check);
        reject(
          new Error(
            `not heard in ${DEADLINE_MS} ms: ${text}\nheard: ${JSON.stringify(this.heard, null, 1)}`,
          ),
        );
      }, DEADLINE_MS);
      this.#waiters.add(check);
    });
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
  }
}

/** A temporary directory with a monitor on an address in it; everything is gone after `end`. */
export class RealCourt {
  readonly root = mkdtempSync(join(tmpdir(), "monitor-"));
  readonly sink = new ListeningSink();
  #monitor: ImperialMonitor | undefined;

  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  async start(address: string, more: Partial<MonitorOptions> = {}): Promise<ImperialMonitor> {
    const result = await makeMonitor(address, {
      startDirectory: this.root,
      // So long that what is found in time was found by a hint.
      frequencySeconds: 3600,
      nofollow: false,
      ownerOfLink: false,
      extraExtensions: [],
      collectAttributes: [],
      readConfig: false,
      quietMs: 40,
      ignoreHidden: false,
      clock: systemClock,
      ...more,
    });
    if (!result.ok) throw result.error;
    this.#monitor = result.monitor;
    await result.monitor.start(this.sink);
    return result.monitor;
  }

  async end(): Promise<void> {
    await this.#monitor?.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}
