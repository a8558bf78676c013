import type { ImperialMonitor, VassalSpec } from "@emperor/monitors";
import { describe, expect, test } from "vitest";
import { MonitorDesk, type DeskListener } from "./monitor-desk.ts";

const MONITOR: ImperialMonitor = {
  id: "dir:/v",
  address: "/v",
  start: () => Promise.resolve(),
  rescan: () => undefined,
  close: () => Promise.resolve(),
};

function spec(name: string): VassalSpec {
  return { name, monitor: "dir:/v", version: "1", modifiedAt: 0, cwd: "/v", attributes: {} };
}

function desk(held: readonly string[] = []) {
  const heard: string[] = [];
  const listener: DeskListener = {
    wanted: (wanted) => void heard.push(`wanted ${wanted.name}`),
    unwanted: (monitor, name) => void heard.push(`unwanted ${monitor} ${name}`),
    namesOf: () => held,
    log: (severity, message) => void heard.push(`${severity}: ${message}`),
    now: () => 7_000,
  };
  return { heard, desk: new MonitorDesk(MONITOR, listener) };
}

describe("MonitorDesk", () => {
  test("a source that fails is said once, stops nothing, and is said once when it is back", () => {
    const { heard, desk: it } = desk(["a.ini"]);
    it.unavailable("cannot read /v: EACCES");
    it.unavailable("cannot read /v: EACCES");
    expect([it.state, it.reason, it.since]).toEqual(["unavailable", "cannot read /v: EACCES", 7]);
    it.available();
    it.available();
    expect(heard).toEqual([
      "error: [emperor] monitor /v: cannot read /v: EACCES; its vassals stay as they are",
      "info: [emperor] monitor /v is available again",
    ]);
    expect(it.state).toBe("connected");
  });

  test("a snapshot removes what is not in it, then passes on what is", () => {
    const { heard, desk: it } = desk(["a.ini", "b.ini"]);
    it.snapshot([spec("b.ini"), spec("c.ini")]);
    expect(heard).toEqual(["unwanted dir:/v a.ini", "wanted b.ini", "wanted c.ini"]);
    expect(it.lastChangeAt).toBe(7);
  });

  test("nothing is heard after it was closed", () => {
    const { heard, desk: it } = desk(["a.ini"]);
    it.close();
    it.upsert(spec("a.ini"));
    it.remove("a.ini");
    it.snapshot([]);
    it.unavailable("gone");
    it.available();
    it.notice("error", "x");
    expect(heard).toEqual([]);
  });
});
