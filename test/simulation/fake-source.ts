/**
 * A source of vassals that exists only in a test, and the monitor that watches it: hints that may be
 * lost, scans that heal that, outages in which nothing can be read. `delivered` is what the Emperor
 * was told, which is what it is judged by.
 */
import type { ImperialMonitor, MonitorSink, VassalSpec } from "@emperor/monitors";
import type { FakeMachine } from "./fake-machine.ts";
import type { Faults } from "./faults.ts";

export interface Entry {
  readonly name: string;
  readonly version: number;
  readonly uid: number;
  readonly pushed: boolean;
  /** Address of its on-demand socket; empty: it has none. */
  readonly socket: string;
  /** The same file is seen by the other monitor as well. */
  readonly shared: boolean;
}

const SCAN_EVERY_MS = 3000;

export class FakeSource implements ImperialMonitor {
  readonly id: string;
  readonly address: string;
  readonly entries = new Map<string, Entry>();
  /** What the Emperor was told last. */
  readonly delivered = new Map<string, VassalSpec>();
  readonly #machine: FakeMachine;
  readonly #faults: Faults;
  #sink: MonitorSink | undefined;
  #outage = false;
  #saidUnavailable = false;
  /** Told before the sink is, so that the books are never behind. */
  onDelivered: (spec: VassalSpec) => void = () => undefined;
  onRemoved: (name: string) => void = () => undefined;

  constructor(id: string, machine: FakeMachine, faults: Faults) {
    this.id = id;
    this.address = `/simulated/${id}`;
    this.#machine = machine;
    this.#faults = faults;
  }

  async start(sink: MonitorSink): Promise<void> {
    this.#sink = sink;
    this.#scan();
    this.#scanLater();
  }

  rescan(): void {
    this.#machine.in(1, () => this.#scan());
  }

  async close(): Promise<void> {
    this.#sink = undefined;
  }

  get open(): boolean {
    return this.#sink !== undefined;
  }

  set(entry: Entry): void {
    this.entries.set(entry.name, entry);
    this.#hint(() => {
      const now = this.entries.get(entry.name);
      if (now !== undefined) this.#deliver(now, true);
    });
  }

  remove(name: string): void {
    this.entries.delete(name);
    this.#hint(() => {
      if (!this.entries.has(name)) this.#drop(name, true);
    });
  }

  /** Nothing can be read for a while. */
  failFor(ms: number): void {
    this.#outage = true;
    this.#machine.in(ms, () => {
      this.#outage = false;
    });
  }

  get failing(): boolean {
    return this.#outage;
  }

  /** A change is noticed soon, unless the notice is lost: then the next scan finds it. */
  #hint(act: () => void): void {
    if (this.#faults.strikes("lost-events")) return;
    this.#machine.in(2, () => {
      if (this.#sink !== undefined && !this.#outage) act();
    });
  }

  #scanLater(): void {
    this.#machine.in(SCAN_EVERY_MS, () => {
      if (this.#sink === undefined) return;
      this.#scan();
      this.#scanLater();
    });
  }

  #scan(): void {
    if (this.#sink === undefined) return;
    if (this.#outage) {
      this.#saidUnavailable = true;
      this.#sink.unavailable("the simulation says that the source cannot be read");
      return;
    }
    if (this.#saidUnavailable) this.#sink.available();
    this.#saidUnavailable = false;
    for (const name of this.delivered.keys()) if (!this.entries.has(name)) this.#drop(name, false);
    for (const entry of this.entries.values()) this.#deliver(entry, false);
    this.#sink.snapshot([...this.delivered.values()]);
  }

  #deliver(entry: Entry, tell: boolean): void {
    const spec = this.#specOf(entry);
    if (this.delivered.get(entry.name)?.version === spec.version) return;
    this.onDelivered(spec);
    this.delivered.set(entry.name, spec);
    if (tell) this.#sink?.upsert(spec);
  }

  #drop(name: string, tell: boolean): void {
    if (!this.delivered.delete(name)) return;
    this.onRemoved(name);
    if (tell) this.#sink?.remove(name);
  }

  #specOf(entry: Entry): VassalSpec {
    const version = `${entry.version}:${entry.uid}:${entry.pushed}:${entry.socket}`;
    return {
      name: entry.name,
      monitor: this.id,
      version,
      modifiedAt: entry.version,
      cwd: this.address,
      attributes: {},
      uid: entry.uid,
      ...(entry.socket === "" ? {} : { socket: entry.socket }),
      gid: entry.uid,
      ...(entry.shared
        ? { path: `/simulated/shared/${entry.name}`, fileId: `1:${entry.name}` }
        : {}),
      ...(entry.pushed ? { config: new TextEncoder().encode(version) } : {}),
    };
  }
}
