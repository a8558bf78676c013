/** Answers of the Emperor as an operator reads them. Pure. */
import { quoteName } from "../log/quoting.ts";

type Facts = Readonly<Record<string, unknown>>;

function text(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? quoteName(value) : JSON.stringify(value);
}

/** Columns: name, state, reason, pid, since, and what was last wrong. */
export function renderList(vassals: readonly Facts[], now: number): string[] {
  const rows = vassals.map((vassal) => [
    text(vassal["id"]),
    text(vassal["state"]),
    text(vassal["reason"]),
    vassal["pid"] === -1 ? "-" : text(vassal["pid"]),
    age(now - Number(vassal["state_since"])),
    text(vassal["monitor"]),
  ]);
  const all = [["NAME", "STATE", "REASON", "PID", "SINCE", "MONITOR"], ...rows];
  const widths = all[0]?.map((_, column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0)),
  );
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths?.[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function age(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "0s";
  if (seconds < 120) return `${Math.floor(seconds)}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** One event: time, vassal, what happened, and every other fact of it. */
export function renderEvent(event: Facts): string {
  const { id, at, vassal, event: kind, state, monitor: _monitor, generation: _, ...facts } = event;
  if (kind === "lost") return `(${text(event["count"])} events were lost: read too slowly)`;
  const when = new Date(Number(at)).toISOString();
  const rest = Object.entries(facts).map(([name, value]) => `${name}=${text(value)}`);
  return [`${text(id)} ${when}`, text(vassal), text(kind), `-> ${text(state)}`, ...rest].join(" ");
}

/** Everything about one vassal; `config`: its merged config, each line with its origin. */
export function renderShow(body: Facts, config: readonly string[]): string[] {
  const vassal = (body["vassal"] ?? {}) as Facts;
  const lines = Object.entries(vassal)
    .filter(([, value]) => value !== "" && value !== undefined)
    .map(([name, value]) => `${name}: ${text(value)}`);
  if (body["blacklist"] !== undefined) lines.push(`blacklist: ${text(body["blacklist"])}`);
  const sockets = body["sockets"] as readonly unknown[] | undefined;
  for (const socket of sockets ?? []) lines.push(`on-demand socket: ${text(socket)}`);
  const events = (body["events"] ?? []) as readonly Facts[];
  if (events.length > 0)
    lines.push("", "Events:", ...events.map((event) => `  ${renderEvent(event)}`));
  if (config.length > 0)
    lines.push("", "Config, with origins:", ...config.map((line) => `  ${line}`));
  return lines;
}
