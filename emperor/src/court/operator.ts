/**
 * What an operator may ask of the court, vassal by vassal: look, start, stop, reload, forgive, and hear
 * how it went. It knows no sockets and no rights; whoever calls has checked them.
 */
import type { CourtRecord, Observer, Publication } from "./record.ts";
import type { Notice, VassalEvent } from "../lifecycle/index.ts";

/** A vassal as an operator names it. */
export interface VassalName {
  readonly name: string;
  /** Needed only where two monitors have the name. */
  readonly monitor: string | undefined;
}

export type OperatorOrder = "start" | "stop" | "reload" | "pardon";

/** How an order ended. `detail` is a whole sentence part. */
export interface OrderOutcome {
  readonly ok: boolean;
  /** `done`, `asleep`, `stopped`, `failed`, `timeout`, ... for programs. */
  readonly result: string;
  readonly detail: string;
}

export interface OperatorCourt {
  records(): Iterable<CourtRecord>;
  post(record: CourtRecord, event: VassalEvent): void;
  schedule(at: number, run: () => void): () => void;
}

const EVENTS: Readonly<Record<OperatorOrder, VassalEvent>> = {
  start: { type: "start-requested" },
  stop: { type: "stop-requested" },
  reload: { type: "reload-requested" },
  pardon: { type: "forgiven" },
};

export class Operator {
  readonly #court: OperatorCourt;
  readonly #now: () => number;
  readonly #watchers = new Set<Observer>();

  constructor(court: OperatorCourt, now: () => number) {
    this.#court = court;
    this.#now = now;
  }

  /** Passes a transition on to whoever waits for one. */
  observe(publication: Publication): void {
    for (const watcher of this.#watchers) watcher(publication);
  }

  /** Orders whose outcome is waited for. */
  get waiting(): number {
    return this.#watchers.size;
  }

  find({ name, monitor }: VassalName): readonly CourtRecord[] {
    const found: CourtRecord[] = [];
    for (const record of this.#court.records()) {
      const { spec } = record;
      if (isNamed(record, name) && (monitor === undefined || spec.monitor === monitor))
        found.push(record);
    }
    return found;
  }

  /** Gives the order and returns at once. */
  give(order: OperatorOrder, record: CourtRecord): OrderOutcome {
    const before = record.vassal.phase.name;
    const refused = unwilling(order, record);
    if (refused !== undefined) return refused;
    this.#court.post(record, EVENTS[order]);
    return {
      ok: true,
      result: "ordered",
      detail: `${order}: it was ${before}, it is ${record.vassal.phase.name}`,
    };
  }

  /**
   * Gives the order and resolves when it is carried out: the new generation accepts (or is ready, if it
   * never says more), the process is gone, or it is known why not. Never rejects.
   */
  async await(
    order: "start" | "stop" | "reload",
    record: CourtRecord,
    timeoutMs: number,
  ): Promise<OrderOutcome> {
    const refused = unwilling(order, record);
    if (refused !== undefined) return refused;
    const settled = settledAlready(order, record);
    if (settled !== undefined) {
      this.#court.post(record, EVENTS[order]);
      return settled;
    }
    return new Promise((resolve) => {
      const finish = (outcome: OrderOutcome): void => {
        this.#watchers.delete(watcher);
        cancel();
        resolve(outcome);
      };
      const watcher: Observer = (publication) => {
        if (publication.record !== record) return;
        const outcome = outcomeOf(order, publication.notice, record);
        if (outcome !== undefined) finish(outcome);
      };
      const cancel = this.#court.schedule(this.#now() + timeoutMs, () => {
        finish({ ok: false, result: "timeout", detail: stillWaiting(order, record, timeoutMs) });
      });
      this.#watchers.add(watcher);
      this.#court.post(record, EVENTS[order]);
    });
  }
}

/** Several zergs have one name; `NAME:zerg#7` is the one with that number. */
function isNamed({ spec, zerg }: CourtRecord, name: string): boolean {
  return spec.name === name || (zerg !== undefined && `${spec.name}#${zerg.number}` === name);
}

/** Orders that change nothing, or cannot be followed, with the reason. */
function unwilling(order: OperatorOrder, record: CourtRecord): OrderOutcome | undefined {
  const { phase } = record.vassal;
  if (phase.name === "gone") return refuse("gone", "it is being removed");
  if (order === "start" && phase.name === "stopping" && phase.next === "remove")
    return refuse("gone", "its source no longer has it");
  if (order === "reload" && phase.name === "suspended")
    return refuse("stopped", `it does not run (${phase.reason}): start it`);
  if (order === "reload" && phase.name === "stopping")
    return refuse("stopping", `it is being stopped (${phase.reason})`);
  return undefined;
}

function refuse(result: string, detail: string): OrderOutcome {
  return { ok: false, result, detail };
}

/** What needs no waiting. The order is given all the same. */
function settledAlready(order: string, record: CourtRecord): OrderOutcome | undefined {
  const { phase } = record.vassal;
  if (order === "reload" && phase.name === "dormant")
    return { ok: true, result: "asleep", detail: "it sleeps: its next start reads the config" };
  if (order === "start" && phase.name === "running" && (phase.ready || phase.accepting))
    return { ok: true, result: "running", detail: `it runs already (pid ${phase.pid})` };
  if (
    order === "stop" &&
    phase.name !== "running" &&
    phase.name !== "starting" &&
    phase.name !== "stopping"
  )
    return {
      ok: true,
      result: "stopped",
      detail: "it has no process, and gets none until it is started",
    };
  return undefined;
}

/** Does the notice end the waiting? */
function outcomeOf(order: string, notice: Notice, record: CourtRecord): OrderOutcome | undefined {
  if (order === "stop") return stopOutcome(notice);
  switch (notice.kind) {
    case "accepting":
      return {
        ok: true,
        result: "accepting",
        detail: `it accepts requests (pid ${pidOf(record)})`,
      };
    case "healthy":
      return {
        ok: true,
        result: "healthy",
        detail: `it is up (pid ${pidOf(record)}) and says nothing`,
      };
    case "spawn-failed":
      return refuse("failed", `it cannot be started: ${notice.detail}`);
    case "socket-failed":
      return refuse("failed", `its socket cannot be bound: ${notice.detail}`);
    case "exited":
      // Its owner or directory changed: what follows is the new generation.
      if (notice.expected) return undefined;
      return refuse("failed", `it died: ${exitText(notice)} after ${notice.uptimeMs} ms`);
    case "waiting-on-demand":
      return { ok: true, result: "asleep", detail: "it waits for its first connection" };
    case "resting":
      return refuse("stopped", `it rests (${notice.reason})`);
    case "removed":
      return refuse("gone", "its source no longer has it");
    default:
      return undefined;
  }
}

function stopOutcome(notice: Notice): OrderOutcome | undefined {
  switch (notice.kind) {
    case "resting":
      return { ok: true, result: "stopped", detail: "it is stopped until it is started" };
    case "removed":
      return { ok: true, result: "gone", detail: "it is gone, and its source no longer has it" };
    case "queued":
    case "spawning":
      return refuse("started", "it was started again meanwhile");
    default:
      return undefined;
  }
}

function stillWaiting(order: string, record: CourtRecord, timeoutMs: number): string {
  const { phase } = record.vassal;
  const reason = "reason" in phase ? ` (${phase.reason})` : "";
  const hint =
    order !== "stop" && phase.name === "running" && !phase.accepting
      ? "; it has not said that it accepts requests"
      : "";
  return `after ${timeoutMs} ms it is still ${phase.name}${reason}${hint}; the order stands`;
}

function exitText(notice: Extract<Notice, { readonly kind: "exited" }>): string {
  return notice.exit.kind === "code"
    ? `exit status ${notice.exit.code}`
    : `signal ${notice.exit.signal}`;
}

function pidOf(record: CourtRecord): number | undefined {
  return "pid" in record.vassal.phase ? record.vassal.phase.pid : undefined;
}
