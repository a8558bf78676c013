/**
 * `dir://PATH`: every config directly in one directory. The vassal's name is the base name, its
 * working directory the directory. Knows how to look there and when the directory is not the one it
 * was; decides nothing about vassals.
 */
import { basename } from "node:path";
import { errnoName, explainErrno } from "./errno.ts";
import type { FileEyes, Identity } from "./eyes.ts";
import type { FileFacts } from "./file-facts.ts";
import type { FileFinder, Oddity, Route, Sight, Survey, WatchTarget } from "./finder.ts";
import { hasValidSuffix, quoteName } from "./names.ts";
import { Presence, REPLACED_BY_EMPTY } from "./presence.ts";
import type { FileMap } from "./reconcile.ts";
import { lookAtNames } from "./sights.ts";

export interface DirectoryRules {
  readonly suffixes: readonly string[];
  readonly nofollow: boolean;
}

/**
 * A finder for `directory`, an absolute path without trailing slash. uWSGI exits when the directory
 * is missing at start and stops every vassal when it is emptied by an unmount; here both are "the
 * source is unavailable": what was wanted stays. A directory emptied in place is the operator's will.
 */
export class DirectoryFinder implements FileFinder {
  readonly id: string;
  readonly address: string;
  readonly cwd: string;
  readonly #eyes: FileEyes;
  readonly #rules: DirectoryRules;
  readonly #presence: Presence;
  /** Of the last survey, while nothing else has been seen since. */
  #digest: string | undefined;
  /** No entry that can change without a hint in this directory: links and files with other names. */
  #hasOnlyPlainFiles = false;

  constructor(directory: string, rules: DirectoryRules, eyes: FileEyes) {
    this.id = `dir:${directory}`;
    this.address = directory;
    this.cwd = directory;
    this.#rules = rules;
    this.#eyes = eyes;
    this.#presence = new Presence(directory, eyes);
  }

  survey(held: FileMap): Survey {
    const found = this.#presence.find();
    if ("why" in found) return this.#unavailable(found.why);
    try {
      return this.#scan(found.identity, held);
    } catch (error) {
      return this.#unavailable(explainErrno(errnoName(error)));
    }
  }

  #scan(identity: Identity, held: FileMap): Survey {
    const isSame = this.#presence.isSame(identity);
    const { suffixes, nofollow } = this.#rules;
    const previous = isSame ? this.#digest : undefined;
    const result = this.#eyes.scan({
      directory: this.address,
      suffixes,
      nofollow,
      ...(previous === undefined ? {} : { previousDigest: previous }),
    });
    if (!result.changed) {
      // The directory's own times may have moved, by an entry that is no config.
      this.#presence.entered(identity);
      return { kind: "unchanged" };
    }
    if (!isSame && held.size > 0 && result.entries.length === 0)
      return this.#unavailable(REPLACED_BY_EMPTY);
    this.#presence.entered(identity);
    this.#digest = result.digest;
    this.#hasOnlyPlainFiles =
      result.skipped.length === 0 &&
      result.entries.every(({ isLink, nlink }) => !isLink && nlink === 1);
    const files = new Map<string, FileFacts>();
    for (const entry of result.entries) files.set(entry.name, entry);
    const oddities: Oddity[] = result.skipped.map(({ name, kind }) => ({ name, what: kind }));
    for (const name of result.invalidNames) oddities.push({ name, what: "invalid-utf8" });
    const unjudged = new Set<string>();
    for (const { name, kind } of result.skipped) if (kind === "unreadable") unjudged.add(name);
    return { kind: "seen", files, oddities, unjudged };
  }

  #unavailable(why: string): Survey {
    this.#presence.lost();
    this.#digest = undefined;
    return {
      kind: "unavailable",
      reason: `cannot read the directory ${quoteName(this.address)}: ${why}`,
    };
  }

  forgetSurvey(): void {
    this.#digest = undefined;
  }

  look(names: readonly string[]): readonly Sight[] {
    return lookAtNames(this.#eyes, names, (name) => this.pathOf(name), this.#rules.nofollow);
  }

  isInPlace(): boolean {
    return this.#presence.isInPlace();
  }

  isCoveredByHints(): boolean {
    return this.#hasOnlyPlainFiles && this.#digest !== undefined && this.#presence.isUntouched();
  }

  watchTargets(): readonly WatchTarget[] {
    const target = this.#presence.isPresent ? this.#presence.target(this.address) : undefined;
    return target === undefined ? this.#presence.waitingPlace() : [target];
  }

  route(directory: string, name: string | null): Route {
    if (!this.#presence.isPresent || directory !== this.address) {
      return this.#presence.routeWhileWaiting(directory, name);
    }
    // The kernel names the directory itself when it is moved, deleted or unmounted.
    if (name === null || name === basename(directory)) return "survey";
    if (!hasValidSuffix(name, this.#rules.suffixes)) return "ignore";
    // Bytes that are no UTF-8 came as U+FFFD: such a name cannot be looked up, only found.
    return name.includes("\ufffd") ? "survey" : { look: name };
  }

  pathOf(name: string): string {
    return [this.address === "/" ? "" : this.address, name].join("/");
  }
}
