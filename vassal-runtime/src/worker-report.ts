/**
 * What a worker tells its master beyond the bytes of the Emperor's protocol: how busy it is, and that it
 * wants to be replaced. One line of JSON each, on a descriptor of their own. Decides nothing.
 */

/** The state of a worker, once a second. */
export interface WorkerReport {
  /** Requests finished so far. */
  readonly requests: number;
  /** Requests that run now. */
  readonly running: number;
  /** Part of the last second in which the event loop worked, 0 to 1. */
  readonly load: number;
}

export type WorkerMessage =
  | ({ readonly type: "report" } & WorkerReport)
  /** A limit is reached; the worker serves on until its successor accepts. */
  | { readonly type: "retire"; readonly reason: string }
  /** A hook failed, which is the end of the whole vassal. */
  | { readonly type: "hook-failed" }
  /** A request took too long; the worker kills itself next. */
  | { readonly type: "harakiri" };

/** A line with its end. */
export function encodeWorkerMessage(message: WorkerMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/** Longer lines are dropped: an app that writes to the descriptor can do no harm. */
const MAX_LINE = 4096;

/** Cuts what arrives into messages. What is no message is ignored: the app shares the process. */
export class WorkerMessageReader {
  #rest = "";

  /** The complete messages in what has arrived so far. */
  read(text: string): WorkerMessage[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(0, MAX_LINE);
    return lines.map(parse).filter((message) => message !== undefined);
  }
}

function parse(line: string): WorkerMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  const fields = value as Record<string, unknown>;
  if (fields["type"] === "hook-failed") return { type: "hook-failed" };
  const { requests, running, load, reason } = fields;
  if (fields["type"] === "harakiri") return { type: "harakiri" };
  if (fields["type"] === "retire" && typeof reason === "string") {
    return { type: "retire", reason: reason.slice(0, 200) };
  }
  if (
    fields["type"] === "report" &&
    typeof requests === "number" &&
    typeof running === "number" &&
    typeof load === "number"
  ) {
    return { type: "report", requests, running, load };
  }
  return undefined;
}
