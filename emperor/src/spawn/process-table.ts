/**
 * What the hands remember of each process: descriptors, pid, what is still expected of it. Plain
 * records and the numbers by which the watcher knows them; it must not know what happens to them.
 */
import type { SpawnFailure } from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import type { ProcessHandle, ReapedProcess, SocketsKey } from "../court/hands.ts";
import type { Signal } from "./machine.ts";
import type { Plan } from "./plan.ts";

/** What a token of the watcher stands for. */
export const WATCH = { process: 0, channel: 1, status: 2, listener: 3 } as const;
export type WatchKind = (typeof WATCH)[keyof typeof WATCH];

/** Listeners count for themselves; all others have the number of their process. Tokens are `number * KINDS + kind`, so that a number never used again gives tokens never used again. */
const KINDS = 4;

export function tokenOf(number: number, kind: WatchKind): number {
  return number * KINDS + kind;
}

/** The number (a handle) and the kind (see `WATCH`) in a token. */
export function readToken(token: number): { readonly number: number; readonly kind: number } {
  return { number: Math.floor(token / KINDS), kind: token % KINDS };
}

/** No descriptor. */
export const NONE = -1;

const NO_SOCKETS: readonly number[] = [];

export type ProcessStage =
  /** `hook-as-emperor-before-vassal` runs: there is no process yet. */
  | "preparing"
  /** Being started: there may be a child, which only the native side knows. */
  | "launching"
  /** A child that is not reaped. Only these are ever signalled. */
  | "alive"
  /** Reaped; its last hook may still run. */
  | "ended";

/** One process of a vassal, from the order to start it until everything of it is given back. */
export class ProcessRecord {
  readonly handle: ProcessHandle;
  readonly spec: VassalSpec;
  /** On-demand sockets that the process gets, in this order. They belong to others. */
  sockets: readonly number[] = NO_SOCKETS;
  socketsKey: SocketsKey | undefined;
  stage: ProcessStage = "preparing";
  pid = NONE;
  pidfd = NONE;
  channelFd = NONE;
  configFd = NONE;
  /** Open while the outcome of a `copied` start is not known. */
  statusFd = NONE;
  /** Started by a fork server. */
  adopted = false;
  /** Kept until the outcome of the start is known. */
  plan: Plan | undefined;
  failure: SpawnFailure | undefined;
  /** Ordered while it was being started: what its child gets as soon as there is one. */
  killAtStart: { readonly signal: Signal; readonly scope: "process" | "tree" } | undefined;
  /** Set when it was reaped before the outcome of its start was known. */
  exit: ReapedProcess | undefined;
  /** The watcher saw its end; it is reaped in this turn. */
  ending = false;
  /** The court wants no more news of it (released, or never told of it). */
  abandoned = false;
  /** Rest of a config packet that did not fit into the pipe. */
  unsent: Uint8Array | undefined;
  /** Start of the present second of flood control, ms, and bytes heard in it. */
  windowAt = 0;
  windowBytes = 0;
  flooding = false;

  constructor(handle: ProcessHandle, spec: VassalSpec) {
    this.handle = handle;
    this.spec = spec;
  }

  /** Notes a signal for later. A milder one never takes a stronger one back. */
  killWhenStarted(signal: Signal, scope: "process" | "tree"): void {
    if (this.killAtStart?.signal !== "SIGKILL") this.killAtStart = { signal, scope };
    else if (scope === "tree") this.killAtStart = { signal: "SIGKILL", scope };
  }
}

export class ProcessTable {
  readonly #records = new Map<ProcessHandle, ProcessRecord>();

  get(handle: ProcessHandle): ProcessRecord | undefined {
    return this.#records.get(handle);
  }

  add(record: ProcessRecord): void {
    this.#records.set(record.handle, record);
  }

  delete(handle: ProcessHandle): void {
    this.#records.delete(handle);
  }

  get size(): number {
    return this.#records.size;
  }

  /** Children that exist or are about to: being started, running, or ended and not reaped. */
  get alive(): number {
    let count = 0;
    for (const { stage } of this.#records.values())
      if (stage === "alive" || stage === "launching") count += 1;
    return count;
  }

  values(): IterableIterator<ProcessRecord> {
    return this.#records.values();
  }
}
