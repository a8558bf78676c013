/**
 * `glob://PATTERN`: every config whose path matches a shell pattern. The vassal's name is the path as
 * matched, relative or absolute like the pattern; its working directory is the start directory. Knows
 * how to look there; decides nothing about vassals.
 */
import { basename, resolve } from "node:path";
import { errnoName, explainErrno } from "./errno.ts";
import type { FileEyes } from "./eyes.ts";
import type { FileFacts } from "./file-facts.ts";
import type { FileFinder, Oddity, Route, Sight, Survey, WatchTarget } from "./finder.ts";
import { parsePattern } from "./glob-pattern.ts";
import type { GlobPattern, PatternPart } from "./glob-pattern.ts";
import { GlobTree, below } from "./glob-tree.ts";
import type { Place, Walk } from "./glob-tree.ts";
import { hasValidSuffix, quoteName } from "./names.ts";
import { Presence, REPLACED_BY_EMPTY } from "./presence.ts";
import type { FileMap } from "./reconcile.ts";
import { lookAtNames } from "./sights.ts";

export interface GlobRules {
  readonly suffixes: readonly string[];
  readonly nofollow: boolean;
  /** Absolute directory that a relative pattern starts in. */
  readonly startDirectory: string;
  readonly wallNow: () => number;
}

/** What the last survey found in one directory; for a last part without wildcard, in all of them. */
interface PlaceRecord {
  readonly digest: string;
  readonly files: readonly FileFacts[];
  readonly oddities: readonly Oddity[];
}

/** What is collected while the places are looked at. */
interface Harvest {
  readonly files: Map<string, FileFacts>;
  readonly oddities: Oddity[];
  readonly unjudged: Set<string>;
  /** Whether anything differs from the last survey. */
  isChanged: boolean;
}

/** Directories watched at most; matches beyond are found by the slow scan. */
const MAX_WATCHED = 256;

/**
 * A finder for a pattern as the C library's glob(3) expands it. The directory before the first
 * wildcard must be there; if it is not, or cannot be read, the source is unavailable and what was
 * wanted stays. A subdirectory that cannot be read keeps its vassals, one that is gone loses them.
 */
export class GlobFinder implements FileFinder {
  readonly id: string;
  readonly address: string;
  readonly cwd: string;
  readonly #eyes: FileEyes;
  readonly #rules: GlobRules;
  readonly #pattern: GlobPattern;
  readonly #last: PatternPart | undefined;
  readonly #root: Place;
  readonly #presence: Presence;
  readonly #tree: GlobTree;
  #records = new Map<string, PlaceRecord>();
  #walk: Walk = { places: [], branches: [], blind: [] };
  #isForgotten = true;

  constructor(pattern: string, rules: GlobRules, eyes: FileEyes) {
    this.id = `glob:${pattern}`;
    this.address = pattern;
    this.cwd = rules.startDirectory;
    this.#eyes = eyes;
    this.#rules = rules;
    this.#pattern = parsePattern(pattern);
    this.#last = this.#pattern.parts.at(-1);
    this.#root = this.#pattern.isAbsolute
      ? { path: "/", spelling: "/" }
      : { path: rules.startDirectory, spelling: "" };
    this.#presence = new Presence(fixedPlace(this.#root, this.#pattern.parts).path, eyes);
    this.#tree = new GlobTree(eyes);
  }

  survey(held: FileMap): Survey {
    const found = this.#presence.find();
    if ("why" in found) return this.#unavailable(found.why);
    const walk = this.#tree.walk(this.#root, this.#pattern.parts, this.#rules.wallNow());
    const fixed = this.#presence.directory;
    const lost = walk.blind.find(({ place }) => place.path === fixed);
    if (lost !== undefined) return this.#unavailable(explainErrno(lost.code));
    const harvest: Harvest = {
      files: new Map(),
      oddities: [],
      unjudged: new Set(),
      isChanged: this.#isForgotten,
    };
    const records = new Map<string, PlaceRecord>();
    for (const { place } of walk.blind) this.#keepBelow(place, held, harvest);
    const failure = this.#harvestPlaces(walk.places, records, held, harvest);
    if (failure !== undefined) return this.#unavailable(failure);
    const isSame = this.#presence.isSame(found.identity);
    if (!isSame && held.size > 0 && harvest.files.size === 0)
      return this.#unavailable(REPLACED_BY_EMPTY);
    this.#presence.entered(found.identity);
    // New places are watched, lost ones had files: either way there is something to tell.
    if (!leadsToSamePlaces(this.#walk, walk)) harvest.isChanged = true;
    for (const spelling of this.#records.keys()) {
      if (!records.has(spelling)) harvest.isChanged = true;
    }
    this.#records = records;
    this.#walk = walk;
    this.#isForgotten = false;
    if (!harvest.isChanged && isSame) return { kind: "unchanged" };
    return {
      kind: "seen",
      files: harvest.files,
      oddities: harvest.oddities,
      unjudged: harvest.unjudged,
    };
  }

  /** Looks for the last part in every place. Returns why the source is lost, if it is. */
  #harvestPlaces(
    places: readonly Place[],
    records: Map<string, PlaceRecord>,
    held: FileMap,
    harvest: Harvest,
  ): string | undefined {
    const last = this.#last;
    if (last === undefined || this.#pattern.wantsDirectory) return undefined;
    if (last.kind === "literal") {
      this.#lookForOne(places, last.text, records, harvest);
      return undefined;
    }
    for (const place of places) {
      const previous = this.#records.get(place.spelling);
      try {
        const record = this.#scanPlace(place, last, previous);
        if (record === undefined) continue;
        if (record !== previous) harvest.isChanged = true;
        records.set(place.spelling, record);
        gather(record, harvest);
      } catch (error) {
        const code = errnoName(error);
        if (code === "ENOENT" || code === "ENOTDIR") continue;
        if (place.path === this.#presence.directory) return explainErrno(code);
        this.#keepBelow(place, held, harvest);
      }
    }
    return undefined;
  }

  /** What matches in one directory; the previous record itself if nothing there changed. */
  #scanPlace(
    place: Place,
    last: PatternPart & { kind: "wild" },
    previous: PlaceRecord | undefined,
  ): PlaceRecord {
    const result = this.#eyes.scan({
      directory: place.path,
      suffixes: this.#rules.suffixes,
      nofollow: this.#rules.nofollow,
      ...(previous === undefined || this.#isForgotten ? {} : { previousDigest: previous.digest }),
    });
    if (!result.changed) return previous ?? { digest: result.digest, files: [], oddities: [] };
    const files: FileFacts[] = [];
    const oddities: Oddity[] = [];
    for (const entry of result.entries) {
      if (last.matches(entry.name)) files.push({ ...entry, name: place.spelling + entry.name });
    }
    for (const { name, kind } of result.skipped) {
      if (last.matches(name)) oddities.push({ name: place.spelling + name, what: kind });
    }
    for (const name of result.invalidNames) {
      if (last.matches(name)) oddities.push({ name: place.spelling + name, what: "invalid-utf8" });
    }
    return { digest: result.digest, files, oddities };
  }

  /** The last part has no wildcard: one name in each place, all of them in one call. */
  #lookForOne(
    places: readonly Place[],
    text: string,
    records: Map<string, PlaceRecord>,
    harvest: Harvest,
  ): void {
    if (!hasValidSuffix(text, this.#rules.suffixes)) return;
    const spellings = new Map(
      places.map((place) => [this.pathOf(place.spelling + text), place.spelling + text]),
    );
    const previous = this.#isForgotten ? undefined : this.#records.get("");
    const result = this.#eyes.stat([...spellings.keys()], this.#rules.nofollow, previous?.digest);
    let record = previous;
    if (result.changed) {
      const spell = (path: string): string => spellings.get(path) ?? path;
      const files = result.entries.map((entry): FileFacts => ({
        ...entry,
        name: spell(entry.name),
      }));
      const oddities = result.skipped.map(({ name, kind }): Oddity => ({
        name: spell(name),
        what: kind,
      }));
      record = { digest: result.digest, files, oddities };
      harvest.isChanged = true;
    }
    if (record === undefined) return;
    records.set("", record);
    gather(record, harvest);
  }

  /** A place that is there and cannot be read: whatever was found below stays as it was. */
  #keepBelow(place: Place, held: FileMap, harvest: Harvest): void {
    harvest.isChanged = true;
    for (const name of held.keys()) if (name.startsWith(place.spelling)) harvest.unjudged.add(name);
    harvest.oddities.push({ name: place.spelling, what: "unreadable" });
  }

  #unavailable(why: string): Survey {
    this.#presence.lost();
    this.#isForgotten = true;
    const directory = quoteName(this.#presence.directory);
    return {
      kind: "unavailable",
      reason: `cannot search ${directory} for ${quoteName(this.address)}: ${why}`,
    };
  }

  forgetSurvey(): void {
    this.#isForgotten = true;
  }

  look(names: readonly string[]): readonly Sight[] {
    return lookAtNames(this.#eyes, names, (name) => this.pathOf(name), this.#rules.nofollow);
  }

  isInPlace(): boolean {
    return this.#presence.isInPlace();
  }

  /** Never: a tree may have more directories than are watched, and its scan is cheap by its records. */
  isCoveredByHints(): boolean {
    return false;
  }

  watchTargets(): readonly WatchTarget[] {
    if (!this.#presence.isPresent) return this.#presence.waitingPlace();
    const targets = new Map<string, WatchTarget>();
    for (const { path } of [...this.#walk.branches, ...this.#walk.places]) {
      if (targets.size >= MAX_WATCHED) break;
      const target = targets.has(path) ? undefined : this.#presence.target(path);
      if (target !== undefined) targets.set(path, target);
    }
    return [...targets.values()];
  }

  route(directory: string, name: string | null): Route {
    if (!this.#presence.isPresent) return this.#presence.routeWhileWaiting(directory, name);
    if (name === null || name === basename(directory)) return "survey";
    const isBranch = this.#walk.branches.some(
      ({ path, part }) => path === directory && matches(part, name),
    );
    if (isBranch || name.includes("\ufffd")) return "survey";
    const place = this.#walk.places.find(({ path }) => path === directory);
    if (place === undefined || this.#last === undefined || !matches(this.#last, name))
      return "ignore";
    if (this.#pattern.wantsDirectory || !hasValidSuffix(name, this.#rules.suffixes))
      return "ignore";
    return { look: place.spelling + name };
  }

  pathOf(name: string): string {
    return resolve(this.#rules.startDirectory, name);
  }
}

function matches(part: PatternPart, name: string): boolean {
  return part.kind === "literal" ? part.text === name : part.matches(name);
}

function gather(record: PlaceRecord, harvest: Harvest): void {
  for (const facts of record.files) harvest.files.set(facts.name, facts);
  for (const oddity of record.oddities) {
    harvest.oddities.push(oddity);
    if (oddity.what === "unreadable") harvest.unjudged.add(oddity.name);
  }
}

function leadsToSamePlaces(a: Walk, b: Walk): boolean {
  return (
    a.places.length === b.places.length &&
    a.places.every(({ path }, index) => path === b.places[index]?.path)
  );
}

/** The directory before the first wildcard. */
function fixedPlace(root: Place, parts: readonly PatternPart[]): Place {
  let place = root;
  for (const part of parts.slice(0, -1)) {
    if (part.kind === "wild") break;
    place = below(place, part.text);
  }
  return place;
}
