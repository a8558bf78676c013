/**
 * The stats document of one instance: uWSGI's fields with its names, its order and its 0/1 numbers, as
 * uwsgitop and the exporters for monitoring read them. Types and text only; who fills them is the
 * runtime's server.
 */
import type { Flag, RenderOptions } from "./stats.ts";

export interface StatsCore {
  readonly id: number;
  readonly requests: number;
  readonly static_requests: number;
  readonly routed_requests: number;
  readonly offloaded_requests: number;
  readonly write_errors: number;
  readonly read_errors: number;
  readonly in_request: Flag;
  readonly vars: readonly string[];
}

export interface StatsApp {
  readonly id: number;
  readonly modifier1: number;
  readonly mountpoint: string;
  /** Seconds that its loading took. */
  readonly startup_time: number;
  readonly requests: number;
  readonly exceptions: number;
  readonly chdir: string;
}

/** Times are microseconds unless named otherwise. */
export interface StatsWorker {
  readonly id: number;
  /** 0: no process at the moment. */
  readonly pid: number;
  readonly accepting: Flag;
  readonly requests: number;
  readonly delta_requests: number;
  readonly exceptions: number;
  readonly harakiri_count: number;
  readonly signals: number;
  readonly signal_queue: number;
  readonly status: "idle" | "busy" | "cheap" | "pause";
  /** Bytes. */
  readonly rss: number;
  /** Bytes. */
  readonly vsz: number;
  readonly running_time: number;
  /** Seconds since the epoch. */
  readonly last_spawn: number;
  readonly respawn_count: number;
  /** Bytes sent. */
  readonly tx: number;
  readonly avg_rt: number;
  readonly apps: readonly StatsApp[];
  readonly cores: readonly StatsCore[];
}

export interface StatsSocket {
  readonly name: string;
  readonly proto: string;
  readonly queue: number;
  readonly max_queue: number;
  readonly shared: Flag;
  readonly can_offload: Flag;
}

export interface InstanceStats {
  readonly version: string;
  /** Longest listen queue. */
  readonly listen_queue: number;
  readonly listen_queue_errors: number;
  readonly signal_queue: number;
  readonly load: number;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly cwd: string;
  readonly locks: readonly Readonly<Record<string, number>>[];
  readonly sockets: readonly StatsSocket[];
  readonly workers: readonly StatsWorker[];
}

/** The document's text, indented by tabs as uWSGI's is. The order of the fields is the caller's. */
export function renderInstanceStats(document: InstanceStats, options: RenderOptions): string {
  return options.minified ? JSON.stringify(document) : JSON.stringify(document, null, "\t");
}
