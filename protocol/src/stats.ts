/**
 * The stats document: uWSGI's fields with its names, its order and its 0/1 numbers, and ours after
 * them, all optional. Types and text only; who fills them is the stats server.
 */

/** 0 or 1 where anything else would use a boolean: exporters depend on it. */
export type Flag = 0 | 1;

export interface StatsExit {
  readonly code?: number;
  /** Signal number. */
  readonly signal?: number;
  /** Seconds since the epoch. */
  readonly at: number;
  /** Seconds that the process had been up. */
  readonly uptime: number;
}

/** Times are whole seconds since the epoch, 0 for never, unless named otherwise. */
export interface StatsVassal {
  readonly id: string;
  /** -1: no process. */
  readonly pid: number;
  readonly born: number;
  readonly last_mod: number;
  readonly last_heartbeat: number;
  readonly loyal: Flag;
  readonly ready: Flag;
  readonly accepting: Flag;
  readonly last_loyal: number;
  readonly last_ready: number;
  readonly last_accepting: number;
  readonly first_run: number;
  readonly last_run: number;
  /** When it was cursed (told to stop, lost), 0 if it is not. */
  readonly cursed: number;
  readonly zerg: Flag;
  /** Socket address, `""` when not on demand. */
  readonly on_demand: string;
  /** uWSGI 2.1. */
  readonly suspended?: Flag;
  /** uWSGI 2.1: started by a fork server. */
  readonly adopted?: Flag;
  readonly uid: number;
  readonly gid: number;
  readonly monitor: string;
  /** uWSGI 2.1 writes an array of pairs here, which is not JSON; ours is an object of arrays. */
  readonly attrs?: Readonly<Record<string, readonly string[]>>;
  readonly respawns: number;

  /** Phase of the life-cycle. */
  readonly state?: string;
  /** Since when, in seconds; may have a fraction. */
  readonly state_since?: number;
  /** Why it is in that state. */
  readonly reason?: string;
  readonly last_exit?: StatsExit;
  /** Why the last start failed, as the log says it. */
  readonly last_failure?: string;
  /** When it is started next; may have a fraction. */
  readonly next_start?: number;
  readonly starts?: number;
  readonly reloads?: number;
  readonly crashes?: number;
  /** Of a reinforcement: `UWSGI_BROODLORD_NUM` of its process; several have the same `id`. */
  readonly zerg_number?: number;
  /** Bytes without a meaning that came through the channel of this process. */
  readonly unknown_bytes?: number;
  /** Seconds since the process was started. */
  readonly uptime?: number;
  /** Absolute path of the config file. */
  readonly path?: string;
}

export interface StatsBlacklistEntry {
  readonly id: string;
  /** Present delay in milliseconds. */
  readonly throttle_level: number;
  /** Deaths - 1. */
  readonly attempt: number;
  readonly first_attempt: number;
  readonly last_attempt: number;
}

export interface StatsMonitor {
  readonly id: string;
  readonly address: string;
  readonly state: "starting" | "connected" | "unavailable";
  /** Why it is unavailable, else `""`. */
  readonly reason: string;
  /** Since when, in seconds. */
  readonly since: number;
  /** When it last reported a change, 0 = never. */
  readonly last_change: number;
  /** How many of the vassals are its own. */
  readonly vassals: number;
}

export interface StatsDocument {
  readonly version: string;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly cwd: string;
  /** Addresses of the monitors. */
  readonly emperor: readonly string[];
  readonly emperor_tyrant: Flag;
  readonly throttle_level: number;
  readonly vassals: readonly StatsVassal[];
  readonly blacklist: readonly StatsBlacklistEntry[];
  readonly monitors?: readonly StatsMonitor[];
  /** Vassals between spawn and first byte. */
  readonly starting?: number;
  /** Vassals that wait for permission or back-off. */
  readonly queued?: number;
  /** The Emperor above this one; its document has a vassal with the pid of this one. Absent: there is none. */
  readonly superior?: { readonly pid: number };
}

/** Every key of a type exactly once, in uWSGI's order; the compiler complains about a missing one. */
function order<Document extends object>(
  keys: Readonly<Record<keyof Document, true>>,
): readonly (keyof Document)[] {
  return Object.keys(keys) as (keyof Document)[];
}

const VASSAL_ORDER = order<Required<StatsVassal>>({
  id: true,
  pid: true,
  born: true,
  last_mod: true,
  last_heartbeat: true,
  loyal: true,
  ready: true,
  accepting: true,
  last_loyal: true,
  last_ready: true,
  last_accepting: true,
  first_run: true,
  last_run: true,
  cursed: true,
  zerg: true,
  on_demand: true,
  suspended: true,
  adopted: true,
  uid: true,
  gid: true,
  monitor: true,
  attrs: true,
  respawns: true,
  state: true,
  state_since: true,
  reason: true,
  last_exit: true,
  last_failure: true,
  next_start: true,
  starts: true,
  reloads: true,
  crashes: true,
  unknown_bytes: true,
  uptime: true,
  path: true,
  zerg_number: true,
});
const BLACKLIST_ORDER = order<StatsBlacklistEntry>({
  id: true,
  throttle_level: true,
  attempt: true,
  first_attempt: true,
  last_attempt: true,
});
const MONITOR_ORDER = order<StatsMonitor>({
  id: true,
  address: true,
  state: true,
  reason: true,
  since: true,
  last_change: true,
  vassals: true,
});
const DOCUMENT_ORDER = order<Required<StatsDocument>>({
  version: true,
  pid: true,
  uid: true,
  gid: true,
  cwd: true,
  emperor: true,
  emperor_tyrant: true,
  throttle_level: true,
  vassals: true,
  blacklist: true,
  monitors: true,
  starting: true,
  queued: true,
  superior: true,
});

function pick<Document extends object>(
  document: Document,
  keys: readonly (keyof Document)[],
): Partial<Document> {
  const ordered: Partial<Document> = {};
  for (const key of keys) if (document[key] !== undefined) ordered[key] = document[key];
  return ordered;
}

export interface RenderOptions {
  /** `stats-minified`: no newlines and tabs. */
  readonly minified: boolean;
}

/**
 * The document's text, indented by tabs as uWSGI's is. Unlike there every string is escaped, so a
 * quote in a vassal's name does not break the document.
 */
export function renderStats(document: StatsDocument, options: RenderOptions): string {
  const ordered = {
    ...pick<Required<StatsDocument>>(document as Required<StatsDocument>, DOCUMENT_ORDER),
    vassals: document.vassals.map((vassal) => pick(vassal as Required<StatsVassal>, VASSAL_ORDER)),
    blacklist: document.blacklist.map((entry) => pick(entry, BLACKLIST_ORDER)),
    ...(document.monitors === undefined
      ? {}
      : { monitors: document.monitors.map((monitor) => pick(monitor, MONITOR_ORDER)) }),
  };
  return options.minified ? JSON.stringify(ordered) : JSON.stringify(ordered, null, "\t");
}
