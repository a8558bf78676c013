/**
 * The roll of one remote source: which vassals it wants, by name and version, and what may be asked
 * for. It judges entries, finds what really changed, and passes that on at a bounded rate; nothing is
 * lost by the bound, only the last wish for a name counts. It knows no connection.
 */
import { MAX_PUSHED_BYTES } from "./read-config.ts";
import type { MonitorClock, MonitorSink, VassalSpec } from "./monitor.ts";
import { hasValidSuffix, objectionToName, quoteName } from "./names.ts";
import type { RemoteEntry, RemoteRules, Verdict } from "./remote.ts";

/** How often waiting changes are passed on. */
const DRAIN_MS = 50;

/** Beyond so many names whose refusal was told, the rest is refused silently until one is taken. */
const MAX_TOLD = 1000;

const NO_ATTRIBUTES: Readonly<Record<string, readonly string[]>> = Object.freeze({});
const ACCEPTED: Verdict = { accepted: true };

export interface RollTools {
  readonly monitor: string;
  readonly cwd: string;
  readonly suffixes: readonly string[] | undefined;
  readonly rules: Pick<RemoteRules, "maxVassals" | "maxConfigBytes" | "maxChangesPerSecond">;
  readonly clock: MonitorClock;
}

/** Why a key of a remote source cannot be a vassal's name, as the rest of a sentence. */
export function objectionToKey(name: string): string | undefined {
  if (name === "") return "its name is empty";
  if (name.includes("\ufffd")) return "its name is not valid UTF-8";
  const objection = objectionToName(name);
  if (objection !== undefined) return objection;
  // uWSGI opens such names as files, wherever they lead: a key of a table is no path.
  if (name.startsWith("/")) return "its name is an absolute path";
  if (name.split("/").some((part) => part === "" || part === "." || part === ".."))
    return "its name leads to another directory";
  return undefined;
}

export class Roll {
  readonly #tools: RollTools;
  readonly #sink: MonitorSink;
  /** Versions of what is wanted, waiting changes included. */
  readonly #held = new Map<string, string>();
  /** Changes that wait for their turn; undefined is a removal. */
  readonly #waiting = new Map<string, VassalSpec | undefined>();
  /** Refusals that were told: name -> what. */
  readonly #told = new Map<string, string>();
  #allowance: number;
  #allowanceAt: number;
  #drainTimer: { cancel(): void } | undefined;
  #messages = 0;
  #isFullTold = false;

  constructor(tools: RollTools, sink: MonitorSink) {
    this.#tools = tools;
    this.#sink = sink;
    this.#allowance = tools.rules.maxChangesPerSecond;
    this.#allowanceAt = tools.clock.now();
  }

  get size(): number {
    return this.#held.size;
  }

  has(name: string): boolean {
    return this.#held.has(name);
  }

  versionOf(name: string): string | undefined {
    return this.#held.get(name);
  }

  /** A refused change leaves the vassal as it was. */
  want(entry: RemoteEntry): Verdict {
    const objection = this.#objection(entry);
    if (objection !== undefined) return this.#refuse(entry, objection);
    this.#told.delete(entry.name);
    this.#messages += 1;
    const version = entry.version ?? `message ${this.#messages}`;
    const before = this.#held.get(entry.name);
    if (before === version) return ACCEPTED;
    this.#held.set(entry.name, version);
    const spec = this.#specOf(entry, version);
    // A new vassal is bounded by their number and by the gate; only churn is by the rate.
    if (before === undefined && !this.#waiting.has(entry.name)) this.#sink.upsert(spec);
    else this.#pass(entry.name, spec);
    return ACCEPTED;
  }

  /** False: it was not wanted. */
  drop(name: string): boolean {
    this.#told.delete(name);
    if (!this.#held.delete(name)) return false;
    this.#isFullTold = false;
    this.#pass(name, undefined);
    return true;
  }

  keepOnly(names: { has(name: string): boolean }): void {
    const gone = [...this.#held.keys()].filter((name) => !names.has(name));
    for (const name of gone) this.drop(name);
    for (const name of this.#told.keys()) if (!names.has(name)) this.#told.delete(name);
  }

  names(): IterableIterator<string> {
    return this.#held.keys();
  }

  /** What waits is passed on no more. */
  close(): void {
    this.#drainTimer?.cancel();
    this.#drainTimer = undefined;
    this.#waiting.clear();
  }

  #objection(entry: RemoteEntry): string | undefined {
    const { suffixes, rules } = this.#tools;
    const { name, path, config } = entry;
    const isKey = path === undefined && entry.isUrl !== true;
    const ofName = isKey ? objectionToKey(name) : objectionToName(name);
    if (ofName !== undefined) return ofName;
    if (suffixes !== undefined && !hasValidSuffix(name, suffixes))
      return `its name has no suffix of a config (${suffixes.join(" ")})`;
    const limitBytes = Math.min(rules.maxConfigBytes, MAX_PUSHED_BYTES);
    if (config !== undefined && config.length > limitBytes)
      return `its config has ${config.length} bytes, ${limitBytes} are allowed`;
    if (entry.refusal !== undefined) return entry.refusal;
    if (config !== undefined && config.length === 0) return "its config is empty";
    if (config?.includes(0) === true) return "its config holds a NUL byte";
    if (!this.#held.has(name) && this.#held.size >= rules.maxVassals)
      return `its source wants more than ${rules.maxVassals} vassals (emperor-max-vassals)`;
    return undefined;
  }

  #refuse(entry: RemoteEntry, why: string): Verdict {
    const isKnown = this.#held.has(entry.name);
    // A source that is too large is said once, not once per row.
    const isFull = !isKnown && this.#held.size >= this.#tools.rules.maxVassals;
    const what = `${entry.version ?? ""} ${why}`;
    const isNews = isFull ? !this.#isFullTold : this.#told.get(entry.name) !== what;
    if (isNews && (isFull || this.#told.has(entry.name) || this.#told.size < MAX_TOLD)) {
      if (isFull) this.#isFullTold = true;
      else this.#told.set(entry.name, what);
      const consequence = isKnown ? "its vassal keeps the config it has" : "no vassal";
      this.#sink.notice(
        "warning",
        `${quoteName(entry.name.slice(0, 300))} is refused, ${consequence}: ${why}`,
        entry.name,
      );
    }
    return isFull ? { accepted: false, why, isFull } : { accepted: false, why };
  }

  #specOf(entry: RemoteEntry, version: string): VassalSpec {
    const { monitor, cwd, clock } = this.#tools;
    const { name, modifiedAt, config, path, uid, gid, socket, attributes } = entry;
    return {
      name,
      monitor,
      version,
      modifiedAt: modifiedAt ?? Math.floor(clock.wallNow() / 1000),
      cwd,
      attributes: attributes ?? NO_ATTRIBUTES,
      ...(config === undefined ? {} : { config }),
      ...(path === undefined ? {} : { path }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      ...(socket === undefined || socket === "" ? {} : { socket }),
    };
  }

  #pass(name: string, spec: VassalSpec | undefined): void {
    if (this.#waiting.size === 0 && this.#takeAllowance()) return this.#tell(name, spec);
    if (this.#waiting.size === 0) {
      const { maxChangesPerSecond } = this.#tools.rules;
      this.#sink.notice(
        "warning",
        `more than ${maxChangesPerSecond} changes a second (emperor-max-changes): the others wait, and of each vassal only the last one counts`,
      );
    }
    this.#waiting.set(name, spec);
    this.#drainTimer ??= this.#tools.clock.setTimer(DRAIN_MS, () => this.#drain());
  }

  #drain(): void {
    this.#drainTimer = undefined;
    for (const [name, spec] of this.#waiting) {
      if (!this.#takeAllowance()) break;
      this.#waiting.delete(name);
      this.#tell(name, spec);
    }
    if (this.#waiting.size > 0)
      this.#drainTimer = this.#tools.clock.setTimer(DRAIN_MS, () => this.#drain());
  }

  #tell(name: string, spec: VassalSpec | undefined): void {
    if (spec === undefined) this.#sink.remove(name);
    else this.#sink.upsert(spec);
  }

  #takeAllowance(): boolean {
    const { clock, rules } = this.#tools;
    const now = clock.now();
    const earned = ((now - this.#allowanceAt) / 1000) * rules.maxChangesPerSecond;
    this.#allowanceAt = now;
    this.#allowance = Math.min(rules.maxChangesPerSecond, this.#allowance + earned);
    if (this.#allowance < 1) return false;
    this.#allowance -= 1;
    return true;
  }
}
