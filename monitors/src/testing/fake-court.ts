/** A sink that writes down what it hears, hints that are given by hand, and a monitor around them. */
import { DirectoryFinder } from "../directory.ts";
import { FileMonitor } from "../file-monitor.ts";
import type { FileMonitorTools } from "../file-monitor.ts";
import { GlobFinder } from "../glob.ts";
import { validSuffixes } from "../names.ts";
import type { WatchTarget } from "../finder.ts";
import type { ImperialMonitor, MonitorOptions, MonitorSink, VassalSpec } from "../monitor.ts";
import type { HintKind } from "../settle.ts";
import type { HintListener } from "../watch.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeFiles } from "./fake-files.ts";

export class RecordingSink implements MonitorSink {
  /** One line per call, in order. */
  heard: string[] = [];
  readonly wanted = new Map<string, VassalSpec>();

  upsert(spec: VassalSpec): void {
    this.wanted.set(spec.name, spec);
    this.heard.push(`upsert ${spec.name}`);
  }

  remove(name: string): void {
    this.wanted.delete(name);
    this.heard.push(`remove ${name}`);
  }

  snapshot(specs: readonly VassalSpec[]): void {
    this.wanted.clear();
    for (const spec of specs) this.wanted.set(spec.name, spec);
    this.heard.push(`snapshot ${specs.map(({ name }) => name).join(",")}`);
  }

  unavailable(reason: string): void {
    this.heard.push(`unavailable ${reason}`);
  }

  available(): void {
    this.heard.push("available");
  }

  notice(severity: string, message: string): void {
    this.heard.push(`${severity} ${message}`);
  }

  /** What was heard since the last call. */
  take(): string[] {
    const heard = this.heard;
    this.heard = [];
    return heard;
  }
}

export class FakeHints {
  listener: HintListener | undefined;
  targets: readonly WatchTarget[] = [];
  isClosed = false;
  /** Code with which every attempt to watch fails. */
  failure: string | undefined;

  readonly open = async (listener: HintListener): Promise<FakeHints> => {
    this.listener = listener;
    return this;
  };

  watch(targets: readonly WatchTarget[]): void {
    const known = new Set(this.targets.map((target) => target.directory + target.identity));
    this.targets = targets;
    for (const { directory, identity } of targets) {
      if (this.failure !== undefined) this.listener?.failed(directory, this.failure);
      else if (!known.has(directory + identity)) this.listener?.watching(directory);
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  /** As inotify would say it; only if the directory is watched. */
  say(directory: string, kind: HintKind, name: string | null): void {
    if (this.targets.some((target) => target.directory === directory))
      this.listener?.hint(directory, kind, name);
  }
}

export class World {
  readonly clock = new FakeClock();
  readonly files = new FakeFiles(this.clock);
  readonly hints = new FakeHints();
  readonly sink = new RecordingSink();
  #monitor: ImperialMonitor | undefined;

  get monitor(): ImperialMonitor {
    if (this.#monitor === undefined) throw new Error("no monitor was started");
    return this.#monitor;
  }

  options(more: Partial<MonitorOptions> = {}): MonitorOptions {
    return {
      startDirectory: "/start",
      frequencySeconds: 3,
      nofollow: false,
      ownerOfLink: false,
      extraExtensions: [],
      collectAttributes: [],
      readConfig: false,
      quietMs: 40,
      ignoreHidden: false,
      clock: this.clock,
      ...more,
    };
  }

  async start(
    kind: "dir" | "glob",
    address: string,
    more: Partial<MonitorOptions> = {},
  ): Promise<void> {
    const tools: FileMonitorTools = {
      eyes: this.files,
      openHints: this.hints.open,
      soon: this.clock.soon,
      loadAttributeReader: async () => () => ({}),
    };
    const options = this.options(more);
    const { startDirectory, nofollow } = options;
    const rules = { suffixes: validSuffixes(options.extraExtensions), nofollow };
    const wallNow = (): number => this.clock.wallNow();
    const finder =
      kind === "dir"
        ? new DirectoryFinder(address, rules, this.files)
        : new GlobFinder(address, { ...rules, startDirectory, wallNow }, this.files);
    this.#monitor = new FileMonitor(finder, options, tools);
    await this.#monitor.start(this.sink);
    // Hints open in the background.
    await Promise.resolve();
    await Promise.resolve();
    this.clock.drain();
  }
}
