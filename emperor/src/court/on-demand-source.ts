/**
 * Which sockets a wanted vassal has: its attribute, what its source says, the directory for all, or the
 * answer of a command; the first that yields an address. uWSGI 2.0 asks only the first of its options,
 * and stands still while the command runs. It binds nothing and knows no life-cycle.
 */
import type { VassalSpec } from "@emperor/monitors";
import { basename, extname, join } from "node:path";
import { quoteName } from "../log/quoting.ts";
import type { OnDemandSettings } from "../options/settings.ts";

/** What the command of `emperor-on-demand-exec` said. */
export type AddressAnswer =
  | { readonly ok: true; readonly text: string }
  /** Ends a sentence. */
  | { readonly ok: false; readonly problem: string };

export interface OnDemandSourceParts {
  readonly settings: Pick<OnDemandSettings, "attribute" | "directory">;
  /** Runs the command; absent: there is none. Never throws. */
  readonly ask: ((spec: VassalSpec) => Promise<AddressAnswer>) | undefined;
  /** Calls back after so many ms; returns what calls it off. */
  readonly later: (afterMs: number, act: () => void) => () => void;
  readonly logError: (message: string) => void;
  /** The spec is complete: `socket` is what counts, empty or absent for a plain vassal. */
  readonly resolved: (spec: VassalSpec) => void;
}

interface Pending {
  readonly spec: VassalSpec;
  cancel: () => void;
}

/** A command that failed is run again after this, twice as long each time up to the maximum, ms. */
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;

export class OnDemandSource {
  readonly #parts: OnDemandSourceParts;
  /** Whose command has not answered yet, by monitor, then name. */
  readonly #pending = new Map<string, Map<string, Pending>>();

  constructor(parts: OnDemandSourceParts) {
    this.#parts = parts;
  }

  /** Passes the spec on, at once or when the command has answered; a newer spec replaces one that waits. */
  resolve(spec: VassalSpec): void {
    this.drop(spec.monitor, spec.name);
    const known = this.#known(spec);
    if (known !== undefined || this.#parts.ask === undefined || spec.path === undefined)
      return this.#parts.resolved(known ?? spec);
    this.#ask(spec, FIRST_RETRY_MS);
  }

  /** Nobody wants it any more. */
  drop(monitor: string, name: string): void {
    const ofMonitor = this.#pending.get(monitor);
    ofMonitor?.get(name)?.cancel();
    if (ofMonitor?.delete(name) === true && ofMonitor.size === 0) this.#pending.delete(monitor);
  }

  /** Names that wait for an answer. */
  *namesOf(monitor: string): IterableIterator<string> {
    yield* this.#pending.get(monitor)?.keys() ?? [];
  }

  /** The Emperor ends: no answer counts any more. */
  close(): void {
    for (const ofMonitor of this.#pending.values())
      for (const pending of ofMonitor.values()) pending.cancel();
    this.#pending.clear();
  }

  /** The spec with its address, if that needs no command. */
  #known(spec: VassalSpec): VassalSpec | undefined {
    const { attribute, directory } = this.#parts.settings;
    const values = attribute === undefined ? [] : (spec.attributes[attribute] ?? []);
    const text = values.join("\n").trim();
    // The config's owner wrote it.
    if (text !== "")
      return {
        ...spec,
        socket: text,
        ...(spec.uid === undefined ? {} : { socketOwner: spec.uid }),
      };
    if (spec.socket !== undefined && spec.socket.trim() !== "") return spec;
    if (directory === undefined || spec.path === undefined) return undefined;
    const base = basename(spec.path);
    const stem = base.slice(0, base.length - extname(base).length);
    return { ...withoutSocket(spec), socket: join(directory, `${stem}.socket`) };
  }

  #ask(spec: VassalSpec, retryMs: number): void {
    const pending: Pending = { spec, cancel: () => undefined };
    let ofMonitor = this.#pending.get(spec.monitor);
    if (ofMonitor === undefined)
      this.#pending.set(spec.monitor, (ofMonitor = new Map<string, Pending>()));
    ofMonitor.set(spec.name, pending);
    void this.#parts.ask?.(spec).then((answer) => this.#answered(pending, answer, retryMs));
  }

  #answered(pending: Pending, answer: AddressAnswer, retryMs: number): void {
    const { spec } = pending;
    // A newer spec, the end of the vassal or of the Emperor came first.
    if (this.#pending.get(spec.monitor)?.get(spec.name) !== pending) return;
    if (answer.ok) {
      this.drop(spec.monitor, spec.name);
      return this.#parts.resolved({ ...withoutSocket(spec), socket: answer.text.trim() });
    }
    this.#parts.logError(
      `[emperor] emperor-on-demand-exec for vassal ${quoteName(spec.name)}: ${answer.problem}; the vassal is left as it is, asking again in ${retryMs / 1000} s`,
    );
    pending.cancel = this.#parts.later(retryMs, () => {
      this.#ask(spec, Math.min(2 * retryMs, LONGEST_RETRY_MS));
    });
  }
}

/** The administrator's word takes the place of whatever the source said. */
function withoutSocket(spec: VassalSpec): VassalSpec {
  const { socket: _socket, socketOwner: _owner, ...rest } = spec;
  return rest;
}
