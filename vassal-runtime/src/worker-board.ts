/**
 * Where a master collects the numbers of its workers: each worker connects to a socket that only the
 * vassal's processes know the name of, and answers when it is asked. Nothing is sent while nobody looks
 * at the statistics. Knows not how workers are started.
 */
import { randomBytes } from "node:crypto";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { RequestCounter } from "./request-counter.ts";
import type { RequestTotals } from "./request-counter.ts";
import { observeRequests } from "./request-observer.ts";
import type { WorkerState } from "./worker-states.ts";

/** A worker that has not answered by then is busy; its last numbers count. */
const ANSWER_WITHIN_MS = 250;
/** The app shares the process of the worker, so what comes is not trusted. */
const MOST_BYTES = 4096;
const MOST_WORKERS = 4096;

interface Seat {
  readonly id: number;
  socket: Socket | undefined;
  pid: number;
  startedAt: number;
  starts: number;
  totals: RequestTotals | undefined;
  answered: (() => void) | undefined;
}

export class WorkerBoard {
  /** Given to the workers; see `joinBoard`. */
  readonly name = `vassal-board-${process.pid}-${randomBytes(12).toString("hex")}`;
  readonly #seats: Seat[] = [];
  readonly #processes: number;

  /** `processes` workers are expected; seats without one are shown as cheap. */
  constructor(processes: number) {
    this.#processes = processes;
  }

  /** Begins to listen. */
  async open(): Promise<void> {
    const server = createServer((socket) => this.#joined(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ path: `\0${this.name}` }, resolve);
    });
    server.unref();
  }

  /** Asks all workers. */
  async ask(): Promise<readonly WorkerState[]> {
    const asked = this.#seats.map(async (seat) => {
      const { socket } = seat;
      if (socket === undefined) return false;
      return new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(false), ANSWER_WITHIN_MS);
        seat.answered = () => {
          clearTimeout(timer);
          resolve(true);
        };
        socket.write("?");
      });
    });
    const answers = await Promise.all(asked);
    for (let id = this.#seats.length + 1; id <= this.#processes; id++) this.#add(id);
    return this.#seats.map((seat, index) => ({
      id: seat.id,
      pid: seat.pid,
      accepting: seat.socket !== undefined,
      startedAt: seat.startedAt,
      respawns: Math.max(0, seat.starts - 1),
      silent: seat.socket !== undefined && answers[index] !== true,
      totals: seat.totals,
    }));
  }

  #add(id: number): Seat {
    const seat: Seat = {
      id,
      socket: undefined,
      pid: 0,
      startedAt: 0,
      starts: 0,
      totals: undefined,
      answered: undefined,
    };
    this.#seats.push(seat);
    return seat;
  }

  /** The first line says who it is; later workers of the same number take over its seat. */
  #joined(socket: Socket): void {
    socket.unref();
    socket.on("error", () => undefined);
    let seat: Seat | undefined;
    let rest = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = (lines.pop() ?? "").slice(0, MOST_BYTES);
      for (const line of lines) {
        const said = parse(line);
        if (said === undefined) continue;
        seat ??= this.#seatOf(said, socket);
        if (seat?.socket === socket) heard(seat, said);
      }
    });
    socket.once("close", () => {
      if (seat?.socket !== socket) return;
      seat.socket = undefined;
      seat.pid = 0;
      seat.answered?.();
    });
  }

  #seatOf({ number, pid }: Said, socket: Socket): Seat | undefined {
    if (!isCount(number) || !isCount(pid) || number > MOST_WORKERS) return undefined;
    while (this.#seats.length < number) this.#add(this.#seats.length + 1);
    const seat = this.#seats[number - 1];
    if (seat === undefined) return undefined;
    seat.socket = socket;
    seat.pid = pid;
    seat.startedAt = Math.floor(Date.now() / 1000);
    seat.starts += 1;
    seat.totals = undefined;
    return seat;
  }
}

type Said = Readonly<Record<string, unknown>>;

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

function parse(line: string): Said | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Said) : undefined;
  } catch {
    return undefined;
  }
}

const FIELDS = [
  "requests",
  "running",
  "failures",
  "runningTimeUs",
  "averageUs",
  "sentBytes",
] as const;

function heard(seat: Seat, said: Said): void {
  const totals: Record<string, number> = {};
  for (const field of FIELDS) {
    const number = said[field];
    if (typeof number !== "number" || !Number.isFinite(number)) return;
    totals[field] = number;
  }
  seat.totals = totals as unknown as RequestTotals; // every field was just checked
  seat.answered?.();
  seat.answered = undefined;
}

/** The worker's part (`number` from 1): counts its requests and answers when it is asked. Call it before the app is loaded. */
export function joinBoard(name: string, number: number): void {
  const counter = new RequestCounter();
  observeRequests(counter);
  const socket = connect({ path: `\0${name}` });
  socket.unref();
  socket.on("error", () => undefined); // the master is gone, which other channels tell
  socket.write(`${JSON.stringify({ number, pid: process.pid })}\n`);
  socket.on("data", () => {
    socket.write(`${JSON.stringify(counter.totals)}\n`);
  });
}
