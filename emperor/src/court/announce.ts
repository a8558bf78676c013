/**
 * What a transition sounds like in the log. The lines that operators and their alerts search for
 * are uWSGI's, letter by letter (`dated` marks those that it prefixes with the time); the rest says
 * what happened, why, and what happens next. Pure: it writes nothing.
 */
import type { ExitReason, Notice, NoticeKind, StopReason } from "../lifecycle/index.ts";
import { quoteName } from "../log/quoting.ts";
import type { CourtRecord } from "./record.ts";

export type Severity = "debug" | "info" | "warning" | "error";

export interface Announcement {
  readonly severity: Severity;
  readonly message: string;
  /** uWSGI prints this line with a date in front. */
  readonly dated: boolean;
}

export interface AnnouncementPolicy {
  readonly requiredHeartbeatMs: number;
  readonly curseToleranceMs: number;
}

type NoticeOf<Kind extends NoticeKind> = Extract<Notice, { readonly kind: Kind }>;

/** What there is to say of one kind of notice. `name` stands in the line as it is. */
type Speaker<Kind extends NoticeKind> = (
  name: string,
  notice: NoticeOf<Kind>,
  record: CourtRecord,
  policy: AnnouncementPolicy,
) => readonly Announcement[];

const SILENCE: readonly Announcement[] = [];

const SPEAKERS: { readonly [Kind in NoticeKind]: Speaker<Kind> } = {
  spawning: () => SILENCE,
  heartbeat: () => SILENCE,
  "waiting-on-demand": () => SILENCE,
  running: (name, { spoke }) =>
    spoke ? SILENCE : [say("debug", `[emperor] vassal ${name} runs and has said nothing yet`)],
  started: (name, { pid }, { vassal }) => [
    say("info", `[emperor] started vassal ${name} (pid: ${pid}, start ${vassal.history.starts})`),
  ],
  queued: (name, { reason, delayMs }) =>
    reason === "new" || delayMs === 0
      ? SILENCE
      : [
          say(
            "info",
            `[emperor] vassal ${name} waits ${seconds(delayMs)} before its next start (${reason})`,
          ),
        ],
  ready: (name) => [say("info", `[emperor] vassal ${name} has been spawned`)],
  accepting: (name) => [say("info", `[emperor] vassal ${name} is ready to accept requests`)],
  loyal: (name) => [say("info", `[emperor] vassal ${name} is now loyal`)],
  healthy: (name, { upMs }) => [
    say("info", `[emperor] vassal ${name} has been up for ${seconds(upMs)}: taken as healthy`),
  ],
  reloading: (name) => [say("info", `[emperor] reload the uwsgi instance ${name}`)],
  listening: (name, _notice, { spec }) => [
    say(
      "info",
      `[emperor] ${name} -> "on demand" instance detected, waiting for connections on socket ${quoteName(spec.socket ?? "")} ...`,
    ),
  ],
  "socket-failed": (name, { lasting, detail }) => [
    say(
      "error",
      `[emperor] vassal ${name} cannot wait for connections: ${detail}; ${lasting ? "not tried again until its config or address changes" : "trying again soon; not held against the vassal"}`,
    ),
  ],
  "config-changed-while-waiting": (name) => [
    say("info", `[emperor] updated configuration for "on demand" instance ${name}`),
  ],
  stopping: (name, { reason }, record) => stopping(record, name, reason),
  "channel-lost": (name, _notice, record, { curseToleranceMs }) => [
    say(
      "warning",
      `[emperor] vassal ${name} (pid: ${pidOf(record)}) closed its channel and lives on: killed in ${seconds(curseToleranceMs)} unless it exits`,
    ),
  ],
  "heartbeat-missed": (name, _notice, _record, { requiredHeartbeatMs }) => [
    sayUndated(
      "warning",
      `[emperor] vassal ${name} sent no heartbeat in last ${Math.round(requiredHeartbeatMs / 1000)} seconds, brutally respawning it...`,
    ),
  ],
  killed: (name, { why }, record) => [
    why === "mercy"
      ? say("warning", `[emperor] NO MERCY for vassal ${name} !!!`)
      : say(
          "warning",
          `[emperor] vassal ${name} (pid: ${pidOf(record)}) did not stop in time: SIGKILL (${why})`,
        ),
  ],
  exited: (name, notice, record) => exited(record, name, notice),
  "spawn-failed": (name, { detail, cause }) => [
    say("error", `[emperor] unable to start vassal ${name}: ${detail}; ${afterFailure(cause)}`),
  ],
  blacklisted: (name, { failures, delayMs, atMaximum }) =>
    blacklisted(name, failures, delayMs, atMaximum),
  damped: (name, { quickDeaths, delayMs }) => [
    say(
      "warning",
      `[emperor] vassal ${name} was loyal and died quickly ${quickDeaths} times in a row: next start in ${seconds(delayMs)}`,
    ),
  ],
  unlisted: (name, { reason }) =>
    reason === "forgiven"
      ? SILENCE
      : [say("info", `[emperor] vassal ${name} leaves the blacklist (${reason})`)],
  resting: (name, { reason }) => resting(name, reason),
  removed: (name) => [say("info", `[emperor] removed uwsgi instance ${name}`)],
};

/** Lines for one notice, in order. Most have one, debug matters none. `name` must be escaped already. */
export function announce<Kind extends NoticeKind>(
  record: CourtRecord,
  name: string,
  notice: NoticeOf<Kind>,
  policy: AnnouncementPolicy,
): readonly Announcement[] {
  // The table has a speaker for exactly this kind, which the compiler cannot follow through a union.
  const speaker = SPEAKERS[notice.kind] as Speaker<Kind>;
  return speaker(name, notice, record, policy);
}

/** A line with the time in front: all of ours, and those of uWSGI's that have it. */
function say(severity: Severity, message: string): Announcement {
  return { severity, message, dated: true };
}

/** One of uWSGI's lines that have no time in front. */
function sayUndated(severity: Severity, message: string): Announcement {
  return { severity, message, dated: false };
}

/** `1500` -> `1.5 s`, `40` -> `40 ms`. */
function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`;
}

function pidOf(record: CourtRecord): number {
  const phase = record.vassal.phase;
  return "pid" in phase && phase.pid !== undefined ? phase.pid : -1;
}

function stopping(record: CourtRecord, name: string, reason: StopReason): readonly Announcement[] {
  const why: Readonly<Record<StopReason, string | undefined>> = {
    removed: undefined,
    shutdown: undefined,
    "changed-identity":
      "its owner, directory, wrapper or socket changed: started anew when it is gone",
    done: "it said that it is done",
    deserted: "nobody was connected to it for as long as emperor-on-demand-idle allows",
    replaced: "its vassal reloads: another reinforcement takes its place",
    command: "by command",
    heartbeat: undefined,
    "channel-lost": undefined,
    "slow-start": "it did not start in time",
  };
  // A lost channel cannot carry a stop, and a missed heartbeat was announced by its own line.
  if (reason === "channel-lost" || reason === "heartbeat") return [];
  const text = why[reason];
  const line = say("info", `[emperor] stop the uwsgi instance ${name}`);
  return text === undefined
    ? [line]
    : [line, say("info", `[emperor] vassal ${name} (pid: ${pidOf(record)}) is stopped: ${text}`)];
}

const SIGNAL_NAMES: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  4: "SIGILL",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  14: "SIGALRM",
  15: "SIGTERM",
  24: "SIGXCPU",
  25: "SIGXFSZ",
  31: "SIGSYS",
};

/** `exit status 1`, `signal 9 (SIGKILL)`. */
export function describeExit(exit: ExitReason): string {
  if (exit.kind === "code") return `exit status ${exit.code}`;
  const name = SIGNAL_NAMES[exit.signal];
  return name === undefined ? `signal ${exit.signal}` : `signal ${exit.signal} (${name})`;
}

function exited(
  record: CourtRecord,
  name: string,
  notice: Extract<Notice, { kind: "exited" }>,
): readonly Announcement[] {
  const text = `${describeExit(notice.exit)} after ${seconds(notice.uptimeMs)}`;
  if (notice.expected) return [say("info", `[emperor] vassal ${name} ended: ${text}`)];
  return [
    say("warning", `[emperor] curse the uwsgi instance ${name} (pid: ${notice.pid ?? -1})`),
    say(
      "warning",
      `[emperor] vassal ${name} died: ${text} (death ${record.vassal.history.crashes})`,
    ),
  ];
}

function afterFailure(cause: "system" | "vassal" | "exile"): string {
  switch (cause) {
    case "system":
      return "the system refused, trying again soon; not held against the vassal";
    case "vassal":
      return "counts as a death, trying again after its delay";
    case "exile":
      return "not tried again until its config changes";
  }
}

function blacklisted(
  name: string,
  failures: number,
  delayMs: number,
  atMaximum: boolean,
): readonly Announcement[] {
  const lines: Announcement[] = [];
  if (failures === 3)
    lines.push(
      say("warning", `[emperor] unloyal bad behaving vassal found: ${name} throttling it...`),
    );
  if (atMaximum)
    lines.push(say("warning", `[emperor] maximum throttle level for vassal ${name} reached !!!`));
  lines.push(
    say(
      "warning",
      `[emperor] vassal ${name} is in the blacklist: ${failures} ${failures === 1 ? "death" : "deaths"} before it was loyal, next start in ${seconds(delayMs)}`,
    ),
  );
  return lines;
}

function resting(name: string, reason: string): readonly Announcement[] {
  switch (reason) {
    case "exiled":
      return [
        say(
          "error",
          `[emperor] vassal ${name} asked not to be respawned (exit status 26): left alone until its config changes`,
        ),
      ];
    case "asleep":
      return [say("info", `[emperor] vassal ${name} sleeps until its config changes`)];
    case "wait-for-command":
      return [say("info", `[emperor] vassal ${name} waits for the command to start`)];
    default:
      return [say("info", `[emperor] vassal ${name} stays stopped until it is started by command`)];
  }
}
