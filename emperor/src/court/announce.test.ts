import { describe, expect, test } from "vitest";
import { newVassal, type Notice } from "../lifecycle/index.ts";
import { announce } from "./announce.ts";
import type { CourtRecord } from "./record.ts";

const POLICY = { requiredHeartbeatMs: 30_000, curseToleranceMs: 30_000 };

function record(): CourtRecord {
  const vassal = newVassal();
  return {
    spec: {
      name: "a.ini",
      monitor: "dir:/v",
      version: "1",
      modifiedAt: 0,
      cwd: "/v",
      attributes: {},
    },
    vassal: { ...vassal, history: { ...vassal.history, starts: 3, crashes: 2 } },
    handle: undefined,
    sockets: 0,
    handleGeneration: 0,
    deadlineAt: 0,
    heapIndex: -1,
    broken: undefined,
    lastExit: undefined,
    zerg: undefined,
    lastFailure: undefined,
    facts: {
      firstRun: 0,
      lastRun: 0,
      lastReady: 0,
      lastAccepting: 0,
      lastLoyal: 0,
      lastHeartbeat: 0,
      cursedAt: 0,
      respawns: 0,
      stateSince: 0,
      lastModified: 0,
      unknownBytes: 0,
      adopted: false,
    },
  };
}

function lines(notice: Notice): string[] {
  return announce(record(), "a.ini", notice, POLICY).map(
    (line) => `${line.dated ? "D " : ""}${line.message}`,
  );
}

describe("the lines that operators search for, letter by letter", () => {
  test.each<[Notice, string]>([
    [{ kind: "ready", generation: 1 }, "D [emperor] vassal a.ini has been spawned"],
    [{ kind: "accepting", generation: 1 }, "D [emperor] vassal a.ini is ready to accept requests"],
    [{ kind: "loyal", generation: 1 }, "D [emperor] vassal a.ini is now loyal"],
    [
      { kind: "reloading", generation: 1, why: "changed" },
      "D [emperor] reload the uwsgi instance a.ini",
    ],
    [
      { kind: "stopping", generation: 1, reason: "removed" },
      "D [emperor] stop the uwsgi instance a.ini",
    ],
    [{ kind: "removed" }, "D [emperor] removed uwsgi instance a.ini"],
    [
      { kind: "heartbeat-missed", generation: 1, silentMs: 31_000 },
      "[emperor] vassal a.ini sent no heartbeat in last 30 seconds, brutally respawning it...",
    ],
    [{ kind: "killed", generation: 1, why: "mercy" }, "D [emperor] NO MERCY for vassal a.ini !!!"],
    [
      { kind: "blacklisted", failures: 3, delayMs: 2001, atMaximum: false },
      "D [emperor] unloyal bad behaving vassal found: a.ini throttling it...",
    ],
    [
      { kind: "blacklisted", failures: 200, delayMs: 180_000, atMaximum: true },
      "D [emperor] maximum throttle level for vassal a.ini reached !!!",
    ],
    [
      { kind: "config-changed-while-waiting" },
      'D [emperor] updated configuration for "on demand" instance a.ini',
    ],
    [
      {
        kind: "exited",
        generation: 1,
        pid: 42,
        exit: { kind: "signal", signal: 9 },
        uptimeMs: 1200,
        expected: false,
        loyal: true,
      },
      "D [emperor] curse the uwsgi instance a.ini (pid: 42)",
    ],
  ])("%j", (notice, line) => {
    expect(lines(notice)[0]).toBe(line);
  });
});

describe("what happened, why, and what happens next", () => {
  test("a death has its reason, its age and its number", () => {
    const exit = { kind: "signal", signal: 9 } as const;
    const notice = {
      kind: "exited",
      generation: 1,
      pid: 42,
      exit,
      uptimeMs: 1234,
      expected: false,
      loyal: false,
    } as const;
    expect(lines(notice)[1]).toBe(
      "D [emperor] vassal a.ini died: signal 9 (SIGKILL) after 1.2 s (death 2)",
    );
    expect(lines({ ...notice, expected: true })).toEqual([
      "D [emperor] vassal a.ini ended: signal 9 (SIGKILL) after 1.2 s",
    ]);
  });

  test("a failed start says whether and when it is tried again", () => {
    const failed = (cause: "system" | "vassal" | "exile"): string | undefined =>
      lines({ kind: "spawn-failed", generation: 1, cause, detail: "exec of /x: ENOENT" })[0];
    expect(failed("system")).toContain("exec of /x: ENOENT; the system refused, trying again soon");
    expect(failed("vassal")).toContain("trying again after its delay");
    expect(failed("exile")).toContain("not tried again until its config changes");
  });

  test("what would only be noise is not said", () => {
    expect(lines({ kind: "queued", reason: "new", delayMs: 0 })).toEqual([]);
    expect(lines({ kind: "spawning", generation: 1 })).toEqual([]);
    expect(lines({ kind: "heartbeat", generation: 1 })).toEqual([]);
  });
});
