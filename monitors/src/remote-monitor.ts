/**
 * The monitor around any remote source: connects, looks again in time, connects anew after a failure
 * with growing pauses, and says what state the source is in. One connection at a time, one look at a
 * time, one timer. It knows no protocol; what is wanted is the roll's.
 */
import { backOffMs } from "./back-off.ts";
import type { ImperialMonitor, MonitorClock, MonitorOptions, MonitorSink } from "./monitor.ts";
import { validSuffixes } from "./names.ts";
import {
  REMOTE_DEFAULTS,
  type RemoteEntry,
  type RemoteListener,
  type RemoteRules,
  type RemoteSession,
  type RemoteSource,
  type Verdict,
} from "./remote.ts";
import { reasonOf } from "./reason.ts";
import { Roll } from "./roll.ts";
import { withoutSecrets } from "./secrets.ts";

/** `start` waits no longer for the first answer: the other monitors and systemd wait with it. */
const PATIENCE_MS = 2000;

/** A connection that lived so long was a good one: the next failure is a first failure. */
const STABLE_MS = 10_000;

/** Hints that come close together are one look. */
const HINT_GAP_MS = 5;

export class RemoteMonitor implements ImperialMonitor {
  readonly id: string;
  readonly address: string;
  readonly #source: RemoteSource;
  readonly #options: MonitorOptions;
  readonly #rules: RemoteRules;
  #sink: MonitorSink | undefined;
  #roll: Roll | undefined;
  #link: Link | undefined;
  #failures = 0;
  #retryTimer: { cancel(): void } | undefined;
  #firstOutcome: (() => void) | undefined;
  #state: "new" | "open" | "closed" = "new";

  constructor(source: RemoteSource, options: MonitorOptions) {
    this.id = source.id;
    this.address = source.address;
    this.#source = source;
    this.#options = options;
    this.#rules = options.remote ?? REMOTE_DEFAULTS;
  }

  async start(sink: MonitorSink): Promise<void> {
    const { clock, startDirectory, extraExtensions } = this.#options;
    this.#sink = sink;
    this.#state = "open";
    this.#roll = new Roll(
      {
        monitor: this.id,
        cwd: startDirectory,
        suffixes: this.#source.needsSuffix ? validSuffixes(extraExtensions) : undefined,
        rules: this.#rules,
        clock,
      },
      sink,
    );
    const outcome = new Promise<void>((resolve) => {
      const patience = clock.setTimer(PATIENCE_MS, () => {
        this.#unavailable(`no answer for ${PATIENCE_MS / 1000} s; still waiting for it`);
      });
      this.#firstOutcome = () => {
        patience.cancel();
        resolve();
      };
    });
    this.#connect();
    await outcome;
  }

  rescan(): void {
    if (this.#state !== "open") return;
    if (this.#link !== undefined) this.#link.lookSoon();
    else this.#retryNow();
  }

  async close(): Promise<void> {
    this.#state = "closed";
    this.#retryTimer?.cancel();
    this.#roll?.close();
    this.#sink = undefined;
    this.#settleFirst();
    const link = this.#link;
    this.#link = undefined;
    await link?.end();
  }

  #connect(): void {
    const roll = this.#roll;
    if (roll === undefined) return;
    this.#link = new Link({
      source: this.#source,
      clock: this.#options.clock,
      everyMs: Math.max(1, this.#options.frequencySeconds * 1000),
      answerTimeoutMs: this.#rules.answerTimeoutMs,
      roll,
      notice: (severity, message, name) =>
        this.#sink?.notice(severity, withoutSecrets(message, this.#source.secrets), name),
      looked: (link) => this.#looked(link),
      failed: (link, reason) => this.#failed(link, reason),
    });
    this.#link.open();
  }

  /** The source has answered with everything it wants, or listens from now on. */
  #looked(link: Link): void {
    if (link !== this.#link) return;
    this.#sink?.available();
    this.#settleFirst();
  }

  #failed(link: Link, reason: string): void {
    if (link !== this.#link || this.#state !== "open") return;
    this.#link = undefined;
    this.#failures = link.livedMs >= STABLE_MS ? 1 : this.#failures + 1;
    this.#unavailable(reason);
    void link.end();
    this.#retryTimer = this.#options.clock.setTimer(
      backOffMs(this.#failures, this.#rules.random),
      () => {
        this.#retryTimer = undefined;
        this.#connect();
      },
    );
  }

  #retryNow(): void {
    if (this.#retryTimer === undefined) return;
    this.#retryTimer.cancel();
    this.#retryTimer = undefined;
    this.#connect();
  }

  #unavailable(reason: string): void {
    this.#sink?.unavailable(withoutSecrets(reason, this.#source.secrets));
    this.#settleFirst();
  }

  #settleFirst(): void {
    this.#firstOutcome?.();
    this.#firstOutcome = undefined;
  }
}

interface LinkTools {
  readonly source: RemoteSource;
  readonly clock: MonitorClock;
  readonly everyMs: number;
  readonly answerTimeoutMs: number;
  readonly roll: Roll;
  readonly notice: RemoteListener["notice"];
  readonly looked: (link: Link) => void;
  readonly failed: (link: Link, reason: string) => void;
}

const GONE: Verdict = { accepted: false, why: "its connection is closed" };

/** One connection from the attempt to its end. What a dead one still says reaches nobody. */
class Link implements RemoteListener {
  readonly #tools: LinkTools;
  readonly #abort = new AbortController();
  #session: RemoteSession | undefined;
  #isOver = false;
  #isLooking = false;
  #wantsLook = false;
  #timer: { cancel(): void } | undefined;
  #watchdog: { cancel(): void } | undefined;
  #aliveAt = 0;
  #connectedAt: number | undefined;

  constructor(tools: LinkTools) {
    this.#tools = tools;
  }

  /** How long it was connected. */
  get livedMs(): number {
    return this.#connectedAt === undefined ? 0 : this.#tools.clock.now() - this.#connectedAt;
  }

  open(): void {
    this.#watch();
    this.#tools.source.connect(this, this.#abort.signal).then(
      (session) => {
        if (this.#isOver) return void settled(session.close());
        this.#session = session;
        this.#connectedAt = this.#tools.clock.now();
        if (session.look !== undefined) return this.#look();
        this.#unwatch();
        this.#tools.looked(this);
      },
      (error: unknown) => this.lost(reasonOf(error)),
    );
  }

  wanted(entry: RemoteEntry): Verdict {
    return this.#isOver ? GONE : this.#tools.roll.want(entry);
  }

  unwanted(name: string): boolean {
    return !this.#isOver && this.#tools.roll.drop(name);
  }

  keepOnly(names: { has(name: string): boolean }): void {
    if (!this.#isOver) this.#tools.roll.keepOnly(names);
  }

  has(name: string): boolean {
    return this.#tools.roll.has(name);
  }

  notice(severity: "info" | "warning" | "error", message: string, name?: string): void {
    if (!this.#isOver) this.#tools.notice(severity, message, name);
  }

  lost(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#tools.failed(this, reason);
  }

  lookSoon(): void {
    if (this.#isOver) return;
    if (this.#isLooking) this.#wantsLook = true;
    else if (this.#session !== undefined) this.#lookIn(HINT_GAP_MS);
  }

  alive(): void {
    this.#aliveAt = this.#tools.clock.now();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    this.#unwatch();
    this.#timer?.cancel();
    this.#abort.abort();
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) await settled(session.close());
  }

  #look(): void {
    const session = this.#session;
    if (session?.look === undefined || this.#isOver) return;
    this.#isLooking = true;
    this.#wantsLook = false;
    this.#watch();
    session.look().then(
      () => {
        this.#isLooking = false;
        this.#unwatch();
        if (this.#isOver) return;
        this.#tools.looked(this);
        this.#lookIn(this.#wantsLook ? HINT_GAP_MS : this.#tools.everyMs);
      },
      (error: unknown) => this.lost(reasonOf(error)),
    );
  }

  #lookIn(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#tools.clock.setTimer(ms, () => this.#look());
  }

  /** A server that answers nothing for so long is gone, whatever TCP believes. */
  #watch(): void {
    this.#unwatch();
    this.alive();
    this.#watchFor(this.#tools.answerTimeoutMs);
  }

  #watchFor(ms: number): void {
    const { clock, answerTimeoutMs } = this.#tools;
    this.#watchdog = clock.setTimer(ms, () => {
      const leftMs = this.#aliveAt + answerTimeoutMs - clock.now();
      if (leftMs > 0) this.#watchFor(leftMs);
      else this.lost(`no answer for ${answerTimeoutMs / 1000} s`);
    });
  }

  #unwatch(): void {
    this.#watchdog?.cancel();
    this.#watchdog = undefined;
  }
}

async function settled(closing: Promise<void> | void): Promise<void> {
  try {
    await closing;
  } catch {
    // It is being thrown away: how it ends interests nobody.
  }
}
