/**
 * What a remote source is: a database or a broker that says which vassals are wanted. It connects,
 * looks or listens, and tells; when to connect again, what may be asked for and what of it changed
 * is the core's (`remote-monitor.ts`, `roll.ts`). Only types, and the rules with their defaults.
 */

/** One wanted vassal as a remote source tells it, not yet judged. */
export interface RemoteEntry {
  readonly name: string;
  /**
   * Opaque; any difference is a change. Left out by sources whose every message is a change (brokers).
   */
  readonly version?: string;
  /** Wall clock seconds that the source gives. Default: now. */
  readonly modifiedAt?: number;
  /** Text of the config, for the config pipe. Left out: `path`, or `name` itself, is a file. */
  readonly config?: Uint8Array;
  /** Absolute path of a config file. */
  readonly path?: string;
  /** The name is a URL, which no rule for keys fits. */
  readonly isUrl?: true;
  /** What the source knows to be wrong with it, as the rest of a sentence: it is refused so. */
  readonly refusal?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly socket?: string;
  readonly attributes?: Readonly<Record<string, readonly string[]>>;
}

/** `why` ends a sentence. A refusal is logged by whoever gives it. */
export type Verdict =
  | { readonly accepted: true }
  /** `isFull`: only because its source wants too many; it may be offered again when one is gone. */
  | { readonly accepted: false; readonly why: string; readonly isFull?: true };

/** Where a session reports to, for as long as its connection lasts. No call throws or waits. */
export interface RemoteListener {
  /** The source wants this vassal, or wants it differently. */
  wanted(entry: RemoteEntry): Verdict;
  /** The source no longer wants it. False: it never did. */
  unwanted(name: string): boolean;
  /** Everything that is wanted was told: what is not among `names` is gone. */
  keepOnly(names: { has(name: string): boolean }): void;
  /** Whether it is wanted at present. */
  has(name: string): boolean;
  /** Something an operator should know. Secrets are taken out; repeats are thinned. */
  notice(severity: "info" | "warning" | "error", message: string, name?: string): void;
  /** The connection is gone or useless: it is closed and made anew after a pause. */
  lost(reason: string): void;
  /** The source hinted at a change: `look` runs as soon as the present one is over. */
  lookSoon(): void;
  /** The server answered: what counts against a hanging one starts anew. */
  alive(): void;
}

/** An open connection. */
export interface RemoteSession {
  /**
   * Looks at the source and tells the listener what it wants. Never called twice at a time. Rejects
   * when the source cannot be read: nothing that is wanted changes then, and the connection is made
   * anew. Left out by sources that only send messages.
   */
  look?(): Promise<void>;
  /** Ends the connection; also called when it was lost. May be called while `look` runs. */
  close(): Promise<void> | void;
}

export interface RemoteSource {
  /** Stable within one Emperor, without secrets: `pg:host=db dbname=emperor;SELECT ...`. */
  readonly id: string;
  /** What the operator sees, without secrets. */
  readonly address: string;
  /** What must never stand in a log or in the statistics: passwords, tokens. */
  readonly secrets: readonly string[];
  /** Names need a suffix of a config (`.ini` ...), as for pg, mongodb and zmq; not for amqp. */
  readonly needsSuffix: boolean;
  /**
   * Connects. Rejects with the reason; `signal` is aborted when it took too long or nobody wants it
   * any more.
   */
  connect(listener: RemoteListener, signal: AbortSignal): Promise<RemoteSession>;
}

/** Limits and surroundings of all remote sources. */
export interface RemoteRules {
  /** `emperor-node`: the name of this Emperor in queries and filters. */
  readonly node: string;
  /** Most vassals that one source may ask for. */
  readonly maxVassals: number;
  /** Largest config in bytes; a config pipe carries 65535. */
  readonly maxConfigBytes: number;
  /** Changes and removals of known vassals that are passed on per second; the others wait. */
  readonly maxChangesPerSecond: number;
  /** How long a server may be silent before the connection counts as lost, ms. */
  readonly answerTimeoutMs: number;
  /** Channel on which PostgreSQL tells of changes; empty: none. */
  readonly pgChannel: string;
  /** The Emperor's environment, as it was at its start (`PGHOST`...). */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** In [0, 1): spreads the attempts of a fleet that lost its server at one time. */
  readonly random: () => number;
}

export const REMOTE_DEFAULTS: RemoteRules = {
  node: "",
  maxVassals: 20_000,
  maxConfigBytes: 65_535,
  maxChangesPerSecond: 1000,
  answerTimeoutMs: 30_000,
  pgChannel: "emperor_vassals",
  environment: {},
  random: Math.random,
};
