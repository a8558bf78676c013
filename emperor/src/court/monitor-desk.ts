/**
 * One desk per imperial monitor: hears what the monitor reports, keeps its state for the stats, and
 * passes on what is wanted. A source that fails changes nothing that is wanted.
 */
import type { ImperialMonitor, MonitorSink, VassalSpec } from "@emperor/monitors";

export type MonitorState = "starting" | "connected" | "unavailable";

/** Where the desks pass on to. */
export interface DeskListener {
  wanted(spec: VassalSpec): void;
  unwanted(monitor: string, name: string): void;
  /** Names that the listener holds for this monitor, for the comparison with a snapshot. */
  namesOf(monitor: string): Iterable<string>;
  log(severity: "info" | "warning" | "error", message: string): void;
  now(): number;
}

export class MonitorDesk implements MonitorSink {
  readonly monitor: ImperialMonitor;
  state: MonitorState = "starting";
  reason = "";
  /** Wall clock seconds. */
  since: number;
  lastChangeAt = 0;
  readonly #listener: DeskListener;
  #closed = false;

  constructor(monitor: ImperialMonitor, listener: DeskListener) {
    this.monitor = monitor;
    this.#listener = listener;
    this.since = this.#seconds();
  }

  upsert(spec: VassalSpec): void {
    if (this.#closed) return;
    this.#heard();
    this.#listener.wanted(spec);
  }

  remove(name: string): void {
    if (this.#closed) return;
    this.#heard();
    this.#listener.unwanted(this.monitor.id, name);
  }

  snapshot(specs: readonly VassalSpec[]): void {
    if (this.#closed) return;
    const named = new Set(specs.map((spec) => spec.name));
    // Copied first: dropping one changes what is iterated.
    const gone = [...this.#listener.namesOf(this.monitor.id)].filter((name) => !named.has(name));
    if (specs.length > 0 || gone.length > 0) this.#heard();
    for (const name of gone) this.#listener.unwanted(this.monitor.id, name);
    for (const spec of specs) this.#listener.wanted(spec);
  }

  unavailable(reason: string): void {
    if (this.#closed || (this.state === "unavailable" && this.reason === reason)) return;
    this.#enter("unavailable", reason);
    this.#listener.log(
      "error",
      `[emperor] monitor ${this.monitor.address}: ${reason}; its vassals stay as they are`,
    );
  }

  available(): void {
    if (this.#closed || this.state === "connected") return;
    const wasUnavailable = this.state === "unavailable";
    this.#enter("connected", "");
    if (wasUnavailable)
      this.#listener.log("info", `[emperor] monitor ${this.monitor.address} is available again`);
  }

  notice(severity: "info" | "warning" | "error", message: string): void {
    if (!this.#closed)
      this.#listener.log(severity, `[emperor] monitor ${this.monitor.address}: ${message}`);
  }

  /** Nothing that the monitor still says is heard: nothing is started any more. */
  close(): void {
    this.#closed = true;
  }

  #heard(): void {
    this.lastChangeAt = this.#seconds();
  }

  #enter(state: MonitorState, reason: string): void {
    this.state = state;
    this.reason = reason;
    this.since = this.#seconds();
  }

  #seconds(): number {
    return Math.floor(this.#listener.now() / 1000);
  }
}
