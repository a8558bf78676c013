/**
 * What an imperial monitor is. A monitor knows a source of vassal definitions and tells a sink what
 * that source wants; it never starts, stops or knows a vassal.
 */

import type { MonitorPackage } from "./packages.ts";
import type { RemoteRules } from "./remote.ts";

/** One wanted vassal, as its source describes it. Plain data: it can be written to JSON. */
export interface VassalSpec {
  /**
   * What the operator sees and what the vassal gets as its config argument: the bare file name for
   * `dir`, the matched path for `glob`. Unique within its monitor.
   */
  readonly name: string;
  /** `ImperialMonitor.id` of the monitor that reports it. */
  readonly monitor: string;
  /**
   * Opaque; any difference is a change of the source. For files it covers mtime in ns, size, device,
   * inode and owner; not ctime, which a mere chmod or hard link moves.
   */
  readonly version: string;
  /** Wall clock seconds that the source gives (mtime, row ts): the stats' `born` and `last_mod`. */
  readonly modifiedAt: number;
  /** Working directory of the vassal. */
  readonly cwd: string;
  /** Absolute path of the config file, for file monitors. */
  readonly path?: string;
  /** `dev:ino` of the file: one file that two monitors find is one vassal. Left out for symbolic links. */
  readonly fileId?: string;
  /** Config text to push through the config pipe instead of a file name. */
  readonly config?: Uint8Array;
  readonly uid?: number;
  readonly gid?: number;
  /** Address of the on-demand socket. */
  readonly socket?: string;
  /** Attributes of the `[emperor]` section, only collected names; first value counts. */
  readonly attributes: Readonly<Record<string, readonly string[]>>;
}

/** Where a monitor reports to. All calls are synchronous and cheap; none throws. */
export interface MonitorSink {
  /** The source wants this vassal, or wants it differently. */
  upsert(spec: VassalSpec): void;
  /** The source no longer wants it. */
  remove(name: string): void;
  /** Everything the source wants now; whatever is not in it is gone. */
  snapshot(specs: readonly VassalSpec[]): void;
  /** The source cannot be read: wanted stays as it was. `reason` says what, where and why. */
  unavailable(reason: string): void;
  /** The source can be read again. */
  available(): void;
  /** Something an operator should know about one entry (skipped, invalid name...). Once per change. */
  notice(severity: "info" | "warning" | "error", message: string, name?: string): void;
}

export interface ImperialMonitor {
  /** Stable within one Emperor: scheme and resolved address. */
  readonly id: string;
  /** What the stats show in `emperor` and `monitor`: absolute path for `dir`, pattern for `glob`. */
  readonly address: string;
  /** First scan is done (or reported unavailable) when the promise resolves. Never rejects. */
  start(sink: MonitorSink): Promise<void>;
  /** Look again now (SIGWINCH, trigger socket). */
  rescan(): void;
  /** Stops watching; no call to the sink afterwards. */
  close(): Promise<void>;
}

/** Time as the monitors need it, so tests can give a fake one. */
export interface MonitorClock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Wall clock milliseconds. */
  wallNow(): number;
  setTimer(afterMs: number, callback: () => void): { cancel(): void };
}

export interface MonitorOptions {
  /** Directory the Emperor was started in; relative arguments are resolved against it. */
  readonly startDirectory: string;
  /** Seconds between two full scans (`emperor-freq`). */
  readonly frequencySeconds: number;
  /** `emperor-nofollow`. */
  readonly nofollow: boolean;
  /** `emperor-tyrant` with `emperor-tyrant-nofollow`: owner of the link itself. */
  readonly ownerOfLink: boolean;
  /**
   * `emperor-tyrant`: what a config's permissions and those of its directory allow others is part of
   * its version, since it decides whether the config is trusted.
   */
  readonly guarded?: boolean;
  /** `emperor-extra-extension`, with or without leading dot as the user wrote it. */
  readonly extraExtensions: readonly string[];
  /** `emperor-collect-attr` names (plus those named by wrapper-attr, chdir-attr...). */
  readonly collectAttributes: readonly string[];
  /** `emperor-force-config-pipe`: read the file once and put its bytes into `config`. */
  readonly readConfig: boolean;
  /** How long a file must have been quiet before it is taken, ms. Default 40. */
  readonly quietMs: number;
  /** Ignore hidden files and editors' leftovers (`.#x`, `x~`): off by default as in uWSGI. */
  readonly ignoreHidden: boolean;
  readonly clock: MonitorClock;
  /** Limits and surroundings of remote sources; left out: the defaults. */
  readonly remote?: RemoteRules;
  /** Schemes that npm packages brought (`imperial-monitor`). */
  readonly packages?: readonly MonitorPackage[];
}
