/**
 * What a file monitor holds of its source: which files are wanted, which wait to settle, which seem
 * gone. Decides what becomes of each look; does no I/O and has no timer, time comes in.
 */
import { sameState } from "./file-facts.ts";
import type { FileFacts } from "./file-facts.ts";
import { reconcile } from "./reconcile.ts";
import type { FileMap } from "./reconcile.ts";
import { consider, judge } from "./settle.ts";
import type { Candidate, HintKind, Instant, SettleRules } from "./settle.ts";

/** One look at the source. */
export interface Look {
  readonly files: FileMap;
  /** Names that were looked at; absent: all of them. */
  readonly scope?: readonly string[];
  /** Names of which the look could not tell anything: they stay as they were. */
  readonly unjudged: ReadonlySet<string>;
  /** Last hint for each name since the look before. */
  readonly hints: ReadonlyMap<string, HintKind>;
}

export interface LookOutcome {
  /** May be taken now: answer each with `take` or `refuse`. */
  readonly ready: readonly FileFacts[];
  /** Gone for good: already forgotten here. */
  readonly removed: readonly string[];
  /** Names that have been written to for so long that someone should know; once per name. */
  readonly restless: readonly string[];
}

/** How long a missing name must be missing; an editor renames away and writes anew, ms. */
const REMOVAL_CONFIRM_MS = 4;

/** After this time of never being quiet the operator is told, ms. */
const RESTLESS_MS = 10_000;

export class FileLedger {
  readonly #rules: SettleRules;
  readonly #wanted = new Map<string, FileFacts>();
  readonly #digests = new Map<string, string>();
  readonly #waiting = new Map<string, Candidate>();
  readonly #againAt = new Map<string, number>();
  readonly #leaving = new Map<string, number>();
  readonly #refused = new Map<string, FileFacts>();
  readonly #restless = new Set<string>();

  constructor(rules: SettleRules) {
    this.#rules = rules;
  }

  /** Files in force, by name. */
  get wanted(): FileMap {
    return this.#wanted;
  }

  /** Digest of the bytes in force, if it was taken. */
  digestOf(name: string): string | undefined {
    return this.#digests.get(name);
  }

  /**
   * Takes a look into account. `hasTakenBytes` says whether a file's bytes are those in force (asked
   * at most once per state, only if its size is the same): then it was merely touched and need not
   * settle.
   */
  observe(look: Look, now: Instant, hasTakenBytes: (facts: FileFacts) => boolean): LookOutcome {
    const difference = reconcile(this.#wanted, look.files, look.scope);
    const ready: FileFacts[] = [];
    const restless: string[] = [];
    const differing = new Set<string>();
    for (const list of [difference.added, difference.changed, difference.touched]) {
      for (const facts of list) {
        differing.add(facts.name);
        if (this.#weigh(facts, look.hints.get(facts.name), now, hasTakenBytes)) ready.push(facts);
        else if (this.#isNewlyRestless(facts.name, now)) restless.push(facts.name);
      }
    }
    this.#forgetVanishedCandidates(look, differing);
    return { ready, restless, removed: this.#weighRemovals(look, difference.removed, now) };
  }

  /** The file is in force from now on. */
  take(facts: FileFacts, digest?: string): void {
    this.#wanted.set(facts.name, facts);
    this.#refused.delete(facts.name);
    this.#dropCandidate(facts.name);
    if (digest === undefined) this.#digests.delete(facts.name);
    else this.#digests.set(facts.name, digest);
  }

  /** The digest of a file that was taken without one, unless another version is in force by now. */
  noteDigest(facts: FileFacts, digest: string): void {
    if (this.#wanted.get(facts.name) === facts) this.#digests.set(facts.name, digest);
  }

  /** This state of the file cannot be used: what was in force stays, until the file's state differs. */
  refuse(facts: FileFacts): void {
    this.#refused.set(facts.name, facts);
    this.#dropCandidate(facts.name);
  }

  /** The source cannot be seen: whatever seemed gone or new is judged afresh when it is back. */
  suspend(): void {
    this.#leaving.clear();
    this.#waiting.clear();
    this.#againAt.clear();
    this.#restless.clear();
  }

  /** Monotonic instant of the next look that is needed, if one is. */
  nextLookAt(): number | undefined {
    let at = Infinity;
    for (const due of this.#againAt.values()) if (due < at) at = due;
    for (const due of this.#leaving.values()) if (due < at) at = due;
    return at === Infinity ? undefined : at;
  }

  /** Names that must be looked at by `monotonicMs`. */
  dueNames(monotonicMs: number): string[] {
    const names: string[] = [];
    for (const [name, due] of this.#againAt) if (due <= monotonicMs) names.push(name);
    for (const [name, due] of this.#leaving) if (due <= monotonicMs) names.push(name);
    return names;
  }

  #weigh(
    facts: FileFacts,
    hint: HintKind | undefined,
    now: Instant,
    hasTakenBytes: (facts: FileFacts) => boolean,
  ): boolean {
    const { name } = facts;
    this.#leaving.delete(name);
    const refused = this.#refused.get(name);
    if (refused !== undefined && sameState(refused, facts)) return false;
    const candidate = consider(this.#waiting.get(name), facts, hint, now);
    const taken = this.#wanted.get(name);
    const verdict = judge(candidate, now, this.#rules);
    const isTouch =
      !verdict.take &&
      candidate.looks === 1 &&
      taken?.size === facts.size &&
      this.#digests.has(name) &&
      hasTakenBytes(facts);
    if (verdict.take || isTouch) return true;
    this.#waiting.set(name, candidate);
    this.#againAt.set(name, verdict.againAtMs);
    return false;
  }

  #weighRemovals(look: Look, missing: readonly string[], now: Instant): readonly string[] {
    const removed: string[] = [];
    for (const name of missing) {
      if (look.unjudged.has(name)) continue;
      const due = this.#leaving.get(name);
      if (due === undefined) this.#leaving.set(name, now.monotonicMs + REMOVAL_CONFIRM_MS);
      else if (now.monotonicMs >= due) removed.push(name);
    }
    for (const name of removed) this.#forget(name);
    return removed;
  }

  /** Names that waited and are now either gone or again as they were taken. */
  #forgetVanishedCandidates(look: Look, differing: ReadonlySet<string>): void {
    const isInScope = look.scope === undefined ? undefined : new Set(look.scope);
    const isSettledOtherwise = (name: string): boolean =>
      (isInScope?.has(name) ?? true) && !differing.has(name) && !look.unjudged.has(name);
    for (const name of this.#waiting.keys())
      if (isSettledOtherwise(name)) this.#dropCandidate(name);
    for (const name of this.#refused.keys())
      if (isSettledOtherwise(name)) this.#refused.delete(name);
    for (const name of this.#leaving.keys()) {
      if (isSettledOtherwise(name) && look.files.has(name)) this.#leaving.delete(name);
    }
  }

  #isNewlyRestless(name: string, now: Instant): boolean {
    const candidate = this.#waiting.get(name);
    if (candidate === undefined || now.monotonicMs - candidate.waitingSinceMs < RESTLESS_MS)
      return false;
    if (this.#restless.has(name)) return false;
    this.#restless.add(name);
    return true;
  }

  #dropCandidate(name: string): void {
    this.#waiting.delete(name);
    this.#againAt.delete(name);
    this.#restless.delete(name);
  }

  #forget(name: string): void {
    this.#wanted.delete(name);
    this.#digests.delete(name);
    this.#leaving.delete(name);
    this.#refused.delete(name);
    this.#dropCandidate(name);
  }
}
