/**
 * What a transition sounds like in the log. The lines that operators and their alerts search for
 * are uWSGI's, letter by letter (`dated` marks those that it prefixes with the time); the rest says
 * what happened, why, and what happens next. Pure: it writes nothing.
 */
import type { ExitReason, Notice, StopReason } from "../lifecycle/index.ts";
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

/** Lines for one notice, in order. Most have one, debug matters none. `name` must be escaped already. */
export function announce(
  record: CourtRecord,
  name: string,
  notice: Notice,
  policy: AnnouncementPolicy,
): readonly Announcement[] {
  switch (notice.kind) {
    case "spawning":
    case "heartbeat":
    case "waiting-on-demand":
      return [];
    case "running":
      return notice.spoke
        ? []
        : [say("debug", `[emperor] vassal ${name} runs and has said nothing yet`)];
    case "started":
      return [
        say(
          "info",
          `[emperor] started vassal ${name} (pid: ${notice.pid}, start ${record.vassal.history.starts})`,
        ),
      ];
    case "queued":
      return notice.reason === "new" || notice.delayMs === 0
        ? []
        : [
            say(
              "info",
              `[emperor] vassal ${name} waits ${seconds(notice.delayMs)} before its next start (${notice.reason})`,
            ),
          ];
    case "ready":
      return [classic("info", `[emperor] vassal ${name} has been spawned`)];
    case "accepting":
      return [classic("info", `[emperor] vassal ${name} is ready to accept requests`)];
    case "loyal":
      return [classic("info", `[emperor] vassal ${name} is now loyal`)];
    case "healthy":
      return [
        say(
          "info",
          `[emperor] vassal ${name} has been up for ${seconds(notice.upMs)}: taken as healthy`,
        ),
      ];
    case "reloading":
      return [classic("info", `[emperor] reload the uwsgi instance ${name}`)];
    case "config-changed-while-waiting":
      return [classic("info", `[emperor] updated configuration for "on demand" instance ${name}`)];
    case "stopping":
      return stopping(record, name, notice.reason);
    case "channel-lost":
      return [
        classic("warning", `[emperor] curse the uwsgi instance ${name} (pid: ${pidOf(record)})`),
        say(
          "warning",
          `[emperor] vassal ${name} closed its channel: killed in ${seconds(policy.curseToleranceMs)} unless it exits`,
        ),
      ];
    case "heartbeat-missed":
      return [
        say(
          "warning",
          `[emperor] vassal ${name} sent no heartbeat in last ${Math.round(policy.requiredHeartbeatMs / 1000)} seconds, brutally respawning it...`,
        ),
      ];
    case "killed":
      return notice.why === "mercy"
        ? [classic("warning", `[emperor] NO MERCY for vassal ${name} !!!`)]
        : [
            say(
              "warning",
              `[emperor] vassal ${name} (pid: ${pidOf(record)}) did not stop in time: SIGKILL (${notice.why})`,
            ),
          ];
    case "exited":
      return exited(record, name, notice);
    case "spawn-failed":
      return [
        say(
          "error",
          `[emperor] unable to start vassal ${name}: ${notice.detail}; ${afterFailure(notice.cause)}`,
        ),
      ];
    case "blacklisted":
      return blacklisted(name, notice.failures, notice.delayMs, notice.atMaximum);
    case "damped":
      return [
        say(
          "warning",
          `[emperor] vassal ${name} was loyal and died quickly ${notice.quickDeaths} times in a row: next start in ${seconds(notice.delayMs)}`,
        ),
      ];
    case "unlisted":
      return notice.reason === "forgiven"
        ? []
        : [say("info", `[emperor] vassal ${name} leaves the blacklist (${notice.reason})`)];
    case "resting":
      return resting(name, notice.reason);
    case "removed":
      return [classic("info", `[emperor] removed uwsgi instance ${name}`)];
  }
}

function say(severity: Severity, message: string): Announcement {
  return { severity, message, dated: false };
}

function classic(severity: Severity, message: string): Announcement {
  return { severity, message, dated: true };
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
    command: "by command",
    heartbeat: undefined,
    "channel-lost": undefined,
    "slow-start": "it did not start in time",
  };
  // A lost channel cannot carry a stop, and a missed heartbeat was announced by its own line.
  if (reason === "channel-lost" || reason === "heartbeat") return [];
  const text = why[reason];
  const line = classic("info", `[emperor] stop the uwsgi instance ${name}`);
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
    classic("warning", `[emperor] curse the uwsgi instance ${name} (pid: ${notice.pid ?? -1})`),
    say("warning", `[emperor] vassal ${name} died: ${text} (death ${record.vassal.history.crashes})`),
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
      classic("warning", `[emperor] unloyal bad behaving vassal found: ${name} throttling it...`),
    );
  if (atMaximum)
    lines.push(
      classic("warning", `[emperor] maximum throttle level for vassal ${name} reached !!!`),
    );
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
