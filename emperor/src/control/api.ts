/**
 * The control socket's requests and their answers, without the wire: a method, a path and a caller come
 * in, a status and plain data go out. Rights are checked here, and nowhere after it.
 */
import type { StatsDocument, StatsVassal } from "@emperor/protocol";
import type { Operator, OrderOutcome } from "../court/operator.ts";
import type { CourtRecord } from "../court/record.ts";
import type { EventLog } from "./event-log.ts";
import { isAdministrator, maySee, type Caller, type RightsPolicy } from "./rights.ts";

export interface ControlParts {
  readonly operator: Operator;
  readonly events: EventLog;
  readonly policy: RightsPolicy;
  readonly version: string;
  readonly stats: () => StatsDocument;
  /** Address of a monitor, as the statistics show it. */
  readonly monitorAddress: (id: string) => string;
  readonly rescan: () => void;
  readonly pardonAll: () => void;
  /** Stops and continues all processes of a vassal by its control group; absent: there is none. */
  readonly freeze?: (record: CourtRecord, frozen: boolean) => OrderOutcome;
}

export interface ControlRequest {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly caller: Caller;
}

export interface ControlAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** How long `wait` waits unless it is told, and at most. */
const DEFAULT_WAIT_SECONDS = 60;
const LONGEST_WAIT_SECONDS = 3600;
/** Events shown with one vassal. */
const SHOWN_EVENTS = 20;

const ORDERS: ReadonlySet<string> = new Set([
  "start",
  "stop",
  "reload",
  "pardon",
  "freeze",
  "thaw",
]);

/** Answers everything but the stream of events. Never rejects for what a client sent. */
export async function answer(request: ControlRequest, parts: ControlParts): Promise<ControlAnswer> {
  const url = parse(request.url);
  if (url === undefined) return problem(400, "bad-request", "the address of the request is none");
  const [version, ...path] = url.pathname.slice(1).split("/");
  if (url.pathname === "/" && request.method === "GET") return about(parts);
  if (version !== "v1")
    return problem(404, "not-found", `there is no ${url.pathname}; begin with /v1/`);
  const words = path.map(decoded);
  if (words.includes(undefined)) return problem(400, "bad-request", "a name is badly encoded");
  const [what, name, order] = words;
  if (what === "vassals" && name === undefined)
    return only("GET", request) ?? list(request.caller, parts);
  if (what === "vassals" && name !== undefined && path.length <= 3)
    return ofVassal(request, { name, order, query: url.searchParams }, parts);
  if (what === "pardon" && path.length === 1) return forAll(request, parts, parts.pardonAll);
  if (what === "rescan" && path.length === 1) return forAll(request, parts, parts.rescan);
  return problem(404, "not-found", `there is no ${url.pathname}`);
}

function parse(text: string): URL | undefined {
  try {
    return new URL(text, "http://control");
  } catch {
    return undefined;
  }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

export function problem(status: number, error: string, message: string): ControlAnswer {
  return { status, body: { ok: false, error, message } };
}

function only(method: string, request: ControlRequest): ControlAnswer | undefined {
  if (request.method === method) return undefined;
  return problem(405, "wrong-method", `use ${method}, not ${request.method}`);
}

function about({ version, events }: ControlParts): ControlAnswer {
  return { status: 200, body: { ok: true, version, last_event: events.last } };
}

function forAll(request: ControlRequest, parts: ControlParts, act: () => void): ControlAnswer {
  const wrong = only("POST", request);
  if (wrong !== undefined) return wrong;
  if (!isAdministrator(request.caller, parts.policy))
    return problem(403, "forbidden", "only root and the Emperor's user may ask for that");
  act();
  return { status: 200, body: { ok: true, result: "ordered" } };
}

function list(caller: Caller, parts: ControlParts): ControlAnswer {
  const vassals = parts.stats().vassals.filter(({ uid }) => maySee(caller, uid, parts.policy));
  return { status: 200, body: { ok: true, vassals } };
}

interface VassalRequest {
  readonly name: string;
  readonly order: string | undefined;
  readonly query: URLSearchParams;
}

async function ofVassal(
  request: ControlRequest,
  { name, order, query }: VassalRequest,
  parts: ControlParts,
): Promise<ControlAnswer> {
  const wrong = only(order === undefined ? "GET" : "POST", request);
  if (wrong !== undefined) return wrong;
  if (order !== undefined && !ORDERS.has(order))
    return problem(404, "not-found", `there is no order "${order}"`);
  const monitor = query.get("monitor");
  const found = parts.operator
    .find({ name, monitor: undefined })
    .filter(({ spec }) => maySee(request.caller, spec.uid, parts.policy))
    .filter(
      ({ spec }) =>
        monitor === null ||
        spec.monitor === monitor ||
        parts.monitorAddress(spec.monitor) === monitor,
    );
  const [record] = found;
  // Whose vassal it is, is nobody else's business: one that is not theirs does not exist for them.
  if (record === undefined) return problem(404, "no-such-vassal", `there is no vassal "${name}"`);
  if (found.length > 1) {
    const monitors = found.map(({ spec }) => parts.monitorAddress(spec.monitor));
    return {
      status: 409,
      body: {
        ok: false,
        error: "ambiguous",
        message:
          record.zerg === undefined
            ? `${found.length} monitors have a vassal "${name}": say which`
            : `there are ${found.length} zergs "${name}": say which, as "${name}#${record.zerg.number}"`,
        monitors,
      },
    };
  }
  if (order === undefined) return show(record, parts);
  return carryOut(order, record, query, parts);
}

function show(record: CourtRecord, parts: ControlParts): ControlAnswer {
  const { spec } = record;
  const address = parts.monitorAddress(spec.monitor);
  const document = parts.stats();
  const vassal = document.vassals.find(
    (each: StatsVassal) =>
      each.id === spec.name && each.monitor === address && each.zerg_number === record.zerg?.number,
  );
  const blacklist = document.blacklist.find(({ id }) => id === spec.name);
  const { history } = record.vassal;
  return {
    status: 200,
    body: {
      ok: true,
      vassal,
      ...(history.failures > 0 && blacklist !== undefined ? { blacklist } : {}),
      config: { path: spec.path ?? null, pushed: spec.config !== undefined, cwd: spec.cwd },
      sockets: (spec.socket ?? "").split("\n").filter((line) => line.trim() !== ""),
      events: parts.events.of(spec.monitor, spec.name, SHOWN_EVENTS),
    },
  };
}

async function carryOut(
  order: string,
  record: CourtRecord,
  query: URLSearchParams,
  parts: ControlParts,
): Promise<ControlAnswer> {
  if (order === "freeze" || order === "thaw") {
    if (parts.freeze === undefined) {
      const message = `${order} needs a control group for each vassal, which this Emperor does not have`;
      return problem(501, "not-available", message);
    }
    return told(parts.freeze(record, order === "freeze"));
  }
  const wait = query.get("wait");
  if (wait === null || wait === "0" || order === "pardon")
    return told(parts.operator.give(order as "start" | "stop" | "reload" | "pardon", record));
  const seconds = Number(query.get("timeout") ?? DEFAULT_WAIT_SECONDS);
  if (!(seconds > 0 && seconds <= LONGEST_WAIT_SECONDS))
    return problem(400, "bad-request", `timeout: from 0 to ${LONGEST_WAIT_SECONDS} seconds`);
  return told(
    await parts.operator.await(order as "start" | "stop" | "reload", record, seconds * 1000),
  );
}

function told(outcome: OrderOutcome): ControlAnswer {
  const status = outcome.ok ? 200 : outcome.result === "timeout" ? 504 : 409;
  const { ok, result, detail } = outcome;
  return {
    status,
    body: ok ? { ok, result, message: detail } : { ok, error: result, message: detail },
  };
}
