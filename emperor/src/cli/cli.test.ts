/** Ids, limits and signals, decided over a system that only takes notes. */
import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { Operator } from "../court/operator.ts";
import type { RunningEmperor } from "../court/running-emperor.ts";
import { memoryLogger } from "../log/logger.ts";
import { raiseOpenFiles } from "./open-files.ts";
import { dropAtOnce, dropPrivileges, type WantedIdentity } from "./privileges.ts";
import { connectSignals, signalActions } from "./signals.ts";
import type { OpenFileLimit } from "./system.ts";

const ROOT = { uid: 0, gid: 0 };
const NOTHING: WantedIdentity = {
  uid: undefined,
  gid: undefined,
  addGids: [],
  initgroups: true,
  capabilities: undefined,
};

function accounts() {
  const changes: unknown[] = [];
  return {
    changes,
    lookupUser: (key: string | number) =>
      key === "www-data" || key === 33 ? { uid: 33, gid: 33, name: "www-data" } : undefined,
    lookupGroup: (key: string | number) =>
      key === "adm"
        ? { gid: 4, name: "adm" }
        : key === "www-data"
          ? { gid: 33, name: "www-data" }
          : undefined,
    groupsOf: (_user: string, gid: number) => [gid, 100],
    setCredentials: (ids: object, keep: readonly number[] | undefined) => {
      changes.push(keep === undefined ? ids : { ...ids, keep });
    },
  };
}

describe("privileges", () => {
  function change(wanted: Partial<WantedIdentity>, own = ROOT): unknown[] {
    const system = accounts();
    dropPrivileges({ ...NOTHING, ...wanted }, own, system, memoryLogger());
    return system.changes;
  }

  it("are dropped as uWSGI does: names or numbers, the user's groups or those of add-gid", () => {
    expect(change({})).toEqual([]);
    expect(change({ uid: "www-data", gid: "www-data" })).toEqual([
      { uid: 33, gid: 33, groups: [33, 100] },
    ]);
    expect(change({ uid: "33", gid: "33" })).toEqual([{ uid: 33, gid: 33, groups: [33, 100] }]);
    expect(change({ uid: "12345", gid: "5" })).toEqual([{ uid: 12_345, gid: 5, groups: [] }]);
    expect(change({ gid: "adm" })).toEqual([{ uid: 0, gid: 4, groups: [] }]);
    expect(change({ uid: "33", gid: "33", initgroups: false })).toEqual([
      { uid: 33, gid: 33, groups: [] },
    ]);
    expect(change({ uid: "33", gid: "33", addGids: ["adm", "7"] })).toEqual([
      { uid: 33, gid: 33, groups: [4, 7] },
    ]);
    expect(change({ uid: "33", gid: "33", capabilities: [6, 7] })).toEqual([
      { uid: 33, gid: 33, groups: [33, 100], keep: [6, 7] },
    ]);
  });

  it("warn of a uid that keeps root's group", () => {
    const logger = memoryLogger();
    dropPrivileges({ ...NOTHING, uid: "33" }, ROOT, accounts(), logger);
    expect(logger.lines[0]?.message).toMatch(/uid without gid/);
  });

  it("that nobody has are errors, also for names that uWSGI ignores", () => {
    expect(() => change({ uid: "nobody-such" })).toThrow(
      /uid = nobody-such: there is no such user/,
    );
    expect(() => change({ gid: "no-such" })).toThrow(/gid = no-such: there is no such group/);
    expect(() => change({ addGids: ["no-such"] })).toThrow(/add-gid = no-such/);
    expect(() => change({ uid: "4294967295" })).toThrow(/no such user/);
    expect(() => change({ uid: "www-data" }, { uid: 1000, gid: 1000 })).toThrow(/needs root/);
    expect(change({ uid: "33", gid: "33" }, { uid: 33, gid: 33 })).toEqual([]);
  });

  it("dropped at once are never root's", () => {
    const system = accounts();
    expect(() => dropAtOnce({ uid: "0", gid: undefined }, ROOT, system, memoryLogger())).toThrow(
      /never make root/,
    );
    dropAtOnce({ uid: "33", gid: "33" }, ROOT, system, memoryLogger());
    expect(system.changes).toEqual([{ uid: 33, gid: 33, groups: [33, 100] }]);
  });
});

describe("open files", () => {
  function raise(
    maxFd: number | undefined,
    launchedWith: string | undefined,
    before: OpenFileLimit,
  ) {
    const logger = memoryLogger();
    let limit = before;
    const system = {
      openFileLimit: () => limit,
      setOpenFileLimit: (wanted: OpenFileLimit) => {
        if (wanted.hard > before.hard) throw new Error("EPERM: operation not permitted");
        limit = wanted;
      },
    };
    const forVassals = raiseOpenFiles(maxFd, launchedWith, system, logger);
    return { limit, forVassals, said: logger.lines.map((line) => line.message).join("\n") };
  }

  it("are raised to the hard limit, vassals keep what the Emperor was started with", () => {
    const raised = raise(undefined, "1024", { soft: 4096, hard: 4096 });
    expect(raised.limit).toEqual({ soft: 4096, hard: 4096 });
    expect(raised.forVassals).toEqual({ soft: 1024, hard: 4096 });
    expect(raised.said).toMatch(/raised from 1024 to 4096; vassals start with 1024/);
  });

  it("are left alone where there is nothing to raise or nothing is known", () => {
    expect(raise(undefined, "4096", { soft: 4096, hard: 4096 })).toMatchObject({
      forVassals: undefined,
      said: "",
    });
    expect(raise(undefined, undefined, { soft: 10, hard: 20 })).toMatchObject({
      limit: { soft: 20, hard: 20 },
      forVassals: undefined,
    });
    expect(raise(undefined, "unlimited", { soft: 20, hard: 20 }).forVassals).toBeUndefined();
  });

  it("are what max-fd says, for vassals too, or nothing is started", () => {
    expect(raise(100, "1024", { soft: 4096, hard: 4096 })).toMatchObject({
      limit: { soft: 100, hard: 4096 },
      forVassals: undefined,
    });
    expect(() => raise(9999, "1024", { soft: 10, hard: 20 })).toThrow(/max-fd = 9999.*20.*EPERM/);
  });
});

describe("signals", () => {
  function connected() {
    const calls: string[] = [];
    const note = (name: string) => () => void calls.push(name);
    const emperor: RunningEmperor = {
      start: async () => undefined,
      stats: () => {
        throw new Error("not asked for");
      },
      governed: 0,
      onGovernedChange: note("listen"),
      shutdown: note("shutdown"),
      reloadAll: note("reloadAll"),
      rescan: note("rescan"),
      freeze: () => undefined,
      clearBlacklist: note("clearBlacklist"),
      logStatus: note("logStatus"),
      operator: new Operator(
        { records: () => [], post: note("post"), schedule: () => () => undefined },
        () => 0,
      ),
      monitorAddress: (id) => id,
      superiorPid: undefined,
      finished: new Promise(() => undefined),
    };
    const notifier = {
      stopping: note("stopping"),
      reloading: note("reloading"),
      reloaded: note("reloaded"),
    };
    const source = new EventEmitter();
    const disconnect = connectSignals(signalActions(emperor, notifier), source);
    return { calls, source, disconnect };
  }

  it("mean what they mean to uWSGI's Emperor", () => {
    const { calls, source } = connected();
    for (const signal of ["SIGHUP", "SIGUSR1", "SIGWINCH", "SIGURG"]) source.emit(signal);
    expect(calls).toEqual([
      "reloading",
      "reloadAll",
      "reloaded",
      "logStatus",
      "rescan",
      "clearBlacklist",
    ]);
  });

  it.each(["SIGINT", "SIGTERM", "SIGQUIT"])(
    "%s is Ragnarok, a second one is passed on, a reload no more",
    (signal) => {
      const { calls, source, disconnect } = connected();
      source.emit(signal);
      source.emit(signal);
      source.emit("SIGHUP");
      expect(calls).toEqual(["stopping", "shutdown", "shutdown"]);
      disconnect();
      expect(source.eventNames()).toEqual([]);
    },
  );
});
