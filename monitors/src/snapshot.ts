/**
 * What a source wants at one moment: asks any monitor once. For sources of messages, which tell changes
 * only and need something to begin with. Knows no message.
 */
import type { ImperialMonitor, MonitorSink, VassalSpec } from "./monitor.ts";

class Collector implements MonitorSink {
  readonly specs = new Map<string, VassalSpec>();
  trouble: string | undefined;

  upsert(spec: VassalSpec): void {
    this.specs.set(spec.name, spec);
  }

  remove(name: string): void {
    this.specs.delete(name);
  }

  snapshot(specs: readonly VassalSpec[]): void {
    this.specs.clear();
    for (const spec of specs) this.upsert(spec);
  }

  unavailable(reason: string): void {
    this.trouble = reason;
  }

  available(): void {
    this.trouble = undefined;
  }

  notice(): void {
    // What is odd about single entries is told by whoever governs that source.
  }
}

/**
 * The vassals of `monitor` by name, after its first scan. It is closed then.
 * @throws Error if its source cannot be read: an unknown state is not an empty one
 */
export async function takeSnapshot(
  monitor: ImperialMonitor,
): Promise<ReadonlyMap<string, VassalSpec>> {
  const collector = new Collector();
  try {
    await monitor.start(collector);
    if (collector.trouble !== undefined)
      throw new Error(`its snapshot ${monitor.address} cannot be read: ${collector.trouble}`);
    return new Map(collector.specs);
  } finally {
    await monitor.close();
  }
}
