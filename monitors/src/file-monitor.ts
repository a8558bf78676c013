/**
 * The running monitor of `dir` and `glob`: brings together a finder (where to look), the ledger (what
 * becomes of it), hints (when to look) and the sink (whom to tell). It alone has timers: one for the
 * slow scan and, only while something waits to settle, one for that.
 */
import { dirname } from "node:path";
import { Digester } from "./digester.ts";
import { DirectoryGuards } from "./directory-guards.ts";
import type { FileEyes } from "./eyes.ts";
import { guardOf } from "./file-facts.ts";
import type { FileFacts } from "./file-facts.ts";
import { FileLedger } from "./file-ledger.ts";
import type { LookOutcome } from "./file-ledger.ts";
import type { FileFinder } from "./finder.ts";
import type { ImperialMonitor, MonitorOptions, MonitorSink, VassalSpec } from "./monitor.ts";
import { isHidden, objectionToName } from "./names.ts";
import { Oddities } from "./oddities.ts";
import type { HintKind, Instant } from "./settle.ts";
import { makeSpec } from "./spec.ts";
import type { ReadAttributes } from "./spec.ts";
import { WatchKeeper } from "./watch-keeper.ts";
import type { OpenHints } from "./watch.ts";

export interface FileMonitorTools {
  readonly eyes: FileEyes;
  readonly openHints: OpenHints;
  /** Calls back after the events that are already queued, inotify's among them, were delivered. */
  readonly soon: (callback: () => void) => void;
  readonly loadAttributeReader: () => Promise<ReadAttributes>;
}

/** Least time between two looks that hints ask for, ms. */
const LOOK_GAP_MS = 2;

/** With more hinted names than this a scan of everything is cheaper. */
const MAX_SINGLE_LOOKS = 256;

/** A file that is another one at each reading, this many times in a row, is given up. */
const MAX_MOVED_ON = 5;

/** Slow scans in a row that may be left out while hints cover everything. */
const MAX_SPARED_SCANS = 3;

/** Hints between two looks after which the kernel may have dropped some: its queue has 16384 places. */
const HINT_FLOOD = 4096;

export class FileMonitor implements ImperialMonitor {
  readonly #finder: FileFinder;
  readonly #options: MonitorOptions;
  readonly #tools: FileMonitorTools;
  readonly #ledger: FileLedger;
  readonly #oddities = new Oddities();
  readonly #movedOn = new Map<string, number>();
  readonly #digester: Digester;
  readonly #watch: WatchKeeper;
  /** Only in Tyrant mode. */
  readonly #guards: DirectoryGuards | undefined;
  #sink: MonitorSink | undefined;
  #readAttributes: ReadAttributes | undefined;
  #state: "new" | "available" | "unavailable" | "closed" = "new";
  #reason = "";
  #hasSnapshot = false;
  #hints = new Map<string, HintKind>();
  #wantsSurvey = false;
  #lastLookAtMs = -Infinity;
  #isLookQueued = false;
  #dueTimer: { cancel(): void } | undefined;
  #dueAtMs = Infinity;
  #frequencyTimer: { cancel(): void } | undefined;
  #sparedScans = 0;
  #hintsHeard = 0;

  constructor(finder: FileFinder, options: MonitorOptions, tools: FileMonitorTools) {
    this.#finder = finder;
    this.#options = options;
    this.#tools = tools;
    this.#ledger = new FileLedger({ quietMs: options.quietMs });
    this.#guards = options.guarded === true ? new DirectoryGuards(tools.eyes) : undefined;
    this.#digester = new Digester(finder, this.#ledger, tools, options.nofollow);
    this.#watch = new WatchKeeper(finder, tools.openHints, options, {
      hint: (directory, kind, name) => this.#hear(directory, kind, name),
      surveyWanted: () => this.rescan(),
      notice: (severity, message) => this.#sink?.notice(severity, message),
    });
  }

  get id(): string {
    return this.#finder.id;
  }

  get address(): string {
    return this.#finder.address;
  }

  async start(sink: MonitorSink): Promise<void> {
    this.#sink = sink;
    if (this.#options.collectAttributes.length > 0) await this.#loadAttributeReader(sink);
    if (this.#state === "closed") return;
    this.#wantsSurvey = true;
    this.#look();
    this.#watch.open();
    this.#armFrequency();
  }

  rescan(): void {
    if (this.#state === "new" || this.#state === "closed") return;
    this.#wantsSurvey = true;
    this.#queueLook();
  }

  async close(): Promise<void> {
    this.#state = "closed";
    this.#sink = undefined;
    this.#dueTimer?.cancel();
    this.#frequencyTimer?.cancel();
    this.#digester.close();
    await this.#watch.close();
  }

  async #loadAttributeReader(sink: MonitorSink): Promise<void> {
    try {
      this.#readAttributes = await this.#tools.loadAttributeReader();
    } catch (error) {
      sink.notice(
        "error",
        `attributes are not collected, their reader cannot be loaded: ${String(error)}`,
      );
    }
  }

  #hear(directory: string, kind: HintKind, name: string | null): void {
    if (this.#state === "new" || this.#state === "closed") return;
    this.#hintsHeard += 1;
    const route = this.#hintsHeard >= HINT_FLOOD ? "survey" : this.#finder.route(directory, name);
    if (route === "ignore") return;
    if (route === "survey") this.#wantsSurvey = true;
    else this.#hints.set(route.look, kind);
    this.#arm();
  }

  /** Looks always run here, after a round of events: `settle.ts` relies on hints between two looks. */
  #queueLook(): void {
    if (this.#isLookQueued) return;
    this.#isLookQueued = true;
    this.#tools.soon(() => {
      this.#isLookQueued = false;
      if (this.#state !== "closed") this.#look();
    });
  }

  #look(): void {
    const now = this.#now();
    this.#lastLookAtMs = now.monotonicMs;
    const hints = this.#hints;
    this.#hints = new Map();
    this.#hintsHeard = 0;
    let wantsSurvey =
      this.#wantsSurvey || this.#state !== "available" || hints.size > MAX_SINGLE_LOOKS;
    this.#wantsSurvey = false;
    if (!wantsSurvey) wantsSurvey = !this.#lookAtNames(hints, now);
    if (wantsSurvey && this.#survey(hints, now) === "unchanged") this.#lookAtNames(hints, now);
    this.#arm();
  }

  /** False if everything must be looked at instead. */
  #lookAtNames(hints: ReadonlyMap<string, HintKind>, now: Instant): boolean {
    const due = this.#ledger.dueNames(now.monotonicMs);
    const scope = [...new Set([...hints.keys(), ...due])];
    if (scope.length === 0) return true;
    const sights = this.#finder.look(scope);
    const files = new Map<string, FileFacts>();
    const unjudged = new Set<string>();
    let isMissing = false;
    for (const [index, name] of scope.entries()) {
      const sight = sights[index];
      if (sight === undefined || sight.kind === "missing") isMissing = true;
      else if (sight.kind === "file") files.set(name, sight.facts);
      else if (sight.what === "unreadable") unjudged.add(name);
      if (sight?.kind === "skipped") this.#tell(name, this.#oddities.skipped(name, sight.what));
      else if (sight?.kind !== "file") this.#oddities.clear(name);
    }
    // A name is only gone if the directory it is gone from is still the one we know.
    if (isMissing && !this.#finder.isInPlace()) return false;
    this.#admit(files);
    const outcome = this.#ledger.observe(
      { files, scope, unjudged, hints },
      now,
      this.#digester.hasTakenBytes,
    );
    if (outcome.ready.length + outcome.removed.length > 0 || isMissing) this.#finder.forgetSurvey();
    this.#report(outcome);
    return true;
  }

  #survey(hints: ReadonlyMap<string, HintKind>, now: Instant): "unchanged" | "done" {
    // Who may write a directory is no part of what a survey compares.
    if (this.#guards?.refresh() === true) this.#finder.forgetSurvey();
    const survey = this.#finder.survey(this.#ledger.wanted);
    if (survey.kind === "unchanged") {
      this.#watch.retry();
      return "unchanged";
    }
    if (survey.kind === "unavailable") {
      this.#ledger.suspend();
      this.#enterUnavailable(survey.reason);
    } else {
      if (this.#state !== "available") this.#enterAvailable();
      const { files, oddities, unjudged } = survey;
      const odd = new Set(oddities.map(({ name }) => name));
      for (const { name, what } of oddities) this.#tell(name, this.#oddities.skipped(name, what));
      this.#oddities.keepOnly((name) => odd.has(name) || files.has(name));
      this.#admit(files);
      this.#report(
        this.#ledger.observe({ files, unjudged, hints }, now, this.#digester.hasTakenBytes),
      );
    }
    this.#watch.update();
    return "done";
  }

  #enterAvailable(): void {
    this.#state = "available";
    this.#reason = "";
    this.#sink?.available();
  }

  #enterUnavailable(reason: string): void {
    if (this.#state === "unavailable" && this.#reason === reason) return;
    this.#state = "unavailable";
    this.#reason = reason;
    this.#sink?.unavailable(reason);
  }

  /**
   * Drops what can be no vassal, gives links their own owner where that is wanted, and notes in Tyrant
   * mode what else decides about trust.
   */
  #admit(files: Map<string, FileFacts>): void {
    const { ignoreHidden, ownerOfLink, nofollow } = this.#options;
    for (const [name, facts] of files) {
      if (!this.#ledger.wanted.has(name)) {
        const objection = ignoreHidden && isHidden(name) ? "" : objectionToName(name);
        if (objection !== undefined) {
          files.delete(name);
          if (objection !== "")
            this.#tell(name, this.#oddities.say(name, `is ignored: ${objection}`));
          continue;
        }
      }
      const isOwnedByLink = ownerOfLink && !nofollow && facts.isLink;
      if (!isOwnedByLink && this.#guards === undefined) continue;
      const directory = dirname(this.#finder.pathOf(name));
      files.set(name, {
        ...facts,
        ...(isOwnedByLink
          ? { uid: facts.linkUid ?? facts.uid, gid: facts.linkGid ?? facts.gid }
          : {}),
        ...(this.#guards === undefined
          ? {}
          : { guard: guardOf(facts, this.#guards.stateOf(directory)) }),
      });
    }
  }

  #report(outcome: LookOutcome): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    for (const name of outcome.removed) sink.remove(name);
    for (const name of outcome.restless) {
      this.#tell(
        name,
        this.#oddities.say(name, "is being written to all the time; it is taken when that ends"),
      );
    }
    const specs: VassalSpec[] = [];
    for (const facts of outcome.ready) {
      const spec = this.#take(facts);
      if (spec !== undefined) specs.push(spec);
    }
    if (this.#hasSnapshot) for (const spec of specs) sink.upsert(spec);
    else sink.snapshot(specs);
    this.#hasSnapshot = true;
  }

  #take(facts: FileFacts): VassalSpec | undefined {
    const { name } = facts;
    const outcome = makeSpec(this.#finder, facts, this.#options, this.#readAttributes);
    if (outcome.kind === "moved-on") return this.#lookAgain(facts);
    this.#movedOn.delete(name);
    if (outcome.kind === "refused") return this.#refuse(facts, outcome.why);
    this.#oddities.clear(name);
    if (outcome.warning !== undefined) this.#tell(name, this.#oddities.say(name, outcome.warning));
    this.#ledger.take(facts);
    this.#digester.add(facts);
    return outcome.spec;
  }

  #lookAgain(facts: FileFacts): undefined {
    const count = (this.#movedOn.get(facts.name) ?? 0) + 1;
    if (count > MAX_MOVED_ON) {
      this.#movedOn.delete(facts.name);
      return this.#refuse(facts, "it is another file each time it is read");
    }
    this.#movedOn.set(facts.name, count);
    this.#hints.set(facts.name, "change");
    return undefined;
  }

  #refuse(facts: FileFacts, why: string): undefined {
    this.#ledger.refuse(facts);
    const consequence = this.#ledger.wanted.has(facts.name)
      ? "its vassal keeps the config it has"
      : "no vassal";
    // A refusal belongs to one state of the file: the next one is told again, whatever its reason.
    this.#oddities.clear(facts.name);
    this.#tell(
      facts.name,
      this.#oddities.say(facts.name, `cannot be used, ${consequence}: ${why}`),
    );
    return undefined;
  }

  #tell(name: string, message: string | undefined): void {
    if (message !== undefined) this.#sink?.notice("warning", message, name);
  }

  #now(): Instant {
    const { clock } = this.#options;
    return { monotonicMs: clock.now(), wallMs: clock.wallNow() };
  }

  /** Arranges the next look that hints or waiting files ask for. */
  #arm(): void {
    if (this.#state === "closed") return;
    const hintedAtMs =
      this.#hints.size > 0 || this.#wantsSurvey ? this.#lastLookAtMs + LOOK_GAP_MS : Infinity;
    const atMs = Math.min(this.#ledger.nextLookAt() ?? Infinity, hintedAtMs);
    if (atMs === this.#dueAtMs) return;
    this.#dueTimer?.cancel();
    this.#dueTimer = undefined;
    this.#dueAtMs = Infinity;
    if (atMs === Infinity) return;
    const inMs = atMs - this.#options.clock.now();
    if (inMs <= 0) return this.#queueLook();
    this.#dueAtMs = atMs;
    // Whole milliseconds, never too early: an early look would only be repeated.
    this.#dueTimer = this.#options.clock.setTimer(Math.ceil(inMs), () => {
      this.#dueTimer = undefined;
      this.#dueAtMs = Infinity;
      this.#queueLook();
    });
  }

  #armFrequency(): void {
    const everyMs = Math.max(1, this.#options.frequencySeconds) * 1000;
    this.#frequencyTimer = this.#options.clock.setTimer(everyMs, () => {
      if (this.#state === "closed") return;
      if (!this.#isScanSpared()) this.rescan();
      this.#armFrequency();
    });
  }

  /**
   * A scan of 1000 files takes 1.7 ms. Where the kernel tells of every change, three of four slow
   * scans are left out; the fourth heals what a lost hint or a write through mmap left unseen.
   */
  #isScanSpared(): boolean {
    if (this.#guards?.refresh() === true) {
      this.#finder.forgetSurvey();
      return false;
    }
    const isCovered =
      this.#state === "available" && this.#watch.isWatchingAll() && this.#finder.isCoveredByHints();
    this.#sparedScans =
      isCovered && this.#sparedScans < MAX_SPARED_SCANS ? this.#sparedScans + 1 : 0;
    return this.#sparedScans > 0;
  }
}
