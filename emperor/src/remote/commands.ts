/**
 * What the datagrams of the command socket mean: spawn, respawn, stop, log. Knows an operator and a
 * log, and no socket; whoever could send has been let in by others.
 */
import { decodeCommand, COMMAND_MAX_BYTES, type Command } from "@emperor/protocol";
import type { Operator, OperatorOrder } from "../court/operator.ts";
import type { CourtRecord } from "../court/record.ts";
import type { LogLevel, Logger } from "../log/logger.ts";
import { quoteName, singleLine } from "../log/quoting.ts";
import { RepeatLimiter } from "../log/repeats.ts";

const ORDERS: Readonly<Record<string, OperatorOrder>> = {
  spawn: "start",
  respawn: "reload",
  stop: "stop",
};

/** Lines about senders that make no sense: a flood of them tells no more than the first ones. */
const NONSENSE = { burst: 20, intervalMs: 60_000, capacity: 16 };

const PROBLEMS = {
  "too-large": `it is longer than ${COMMAND_MAX_BYTES} bytes`,
  "too-short": "it is shorter than a header",
  malformed: "its dictionary is cut off",
  "no-command": "it has no key cmd",
} as const;

export interface CommandDeskParts {
  readonly operator: Pick<Operator, "find" | "give">;
  readonly logger: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export class CommandDesk {
  readonly #parts: CommandDeskParts;
  readonly #nonsense = new RepeatLimiter(NONSENSE);

  constructor(parts: CommandDeskParts) {
    this.#parts = parts;
  }

  /**
   * Carries out one datagram. Never throws and never answers: the protocol has no answers. Commands
   * that do not exist are ignored, as in uWSGI, but said.
   * @param sender for the log, such as `pid 12, uid 0`
   */
  take(datagram: Uint8Array, sender: string): void {
    const decoded = decodeCommand(datagram);
    if (!decoded.ok) return this.#complain("packet", PROBLEMS[decoded.reason], sender);
    const { command } = decoded;
    const order = Object.hasOwn(ORDERS, command.command) ? ORDERS[command.command] : undefined;
    if (order !== undefined) return this.#order(order, command);
    if (command.command !== "log")
      return this.#complain("command", `there is no command ${shown(command.command)}`, sender);
    this.#parts.logger.write({
      level: "info",
      dated: false,
      message: singleLine(command.message ?? ""),
    });
  }

  #order(order: OperatorOrder, { command, vassal }: Command): void {
    if (vassal === undefined || vassal === "")
      return this.#say("error", `ERROR: the "${command}" command requires a vassal name`);
    const records = this.#parts.operator.find({ name: vassal, monitor: undefined });
    if (records.length === 0)
      return this.#say("error", `ERROR: unable to find vassal ${shown(vassal)}`);
    // Two monitors may have the name, which uWSGI does not know: the command is for both.
    for (const record of records) this.#give(order, command, record);
  }

  #give(order: OperatorOrder, command: string, record: CourtRecord): void {
    const name = shown(record.spec.name);
    const { phase } = record.vassal;
    if (order === "start" && (phase.name === "starting" || phase.name === "running"))
      return this.#say("warning", `WARNING: the vassal ${name} is already active`);
    const outcome = this.#parts.operator.give(order, record);
    if (outcome.ok) this.#say("info", `INFO: requested the ${command} of vassal ${name}`);
    else this.#say("warning", `WARNING: no ${command} of vassal ${name}: ${outcome.detail}`);
  }

  #complain(kind: string, problem: string, sender: string): void {
    const answer = this.#nonsense.ask(kind, this.#parts.now());
    if (!answer.pass) return;
    const more = answer.suppressed > 0 ? ` (and ${answer.suppressed} more since)` : "";
    this.#say("warning", `WARNING: ignoring a ${kind} of ${sender}: ${problem}${more}`);
  }

  #say(level: LogLevel, text: string): void {
    this.#parts.logger.write({ level, dated: false, message: `[uwsgi-emperor] ${text}` });
  }
}

/** In quotes, as uWSGI shows names in these lines. */
function shown(name: string): string {
  const quoted = quoteName(name);
  return quoted === name ? `"${name}"` : quoted;
}
