import { describe, expect, test } from "vitest";
import type { ImperialMonitor, MonitorSink, VassalSpec } from "./monitor.ts";
import { takeSnapshot } from "./snapshot.ts";

const spec = (name: string): VassalSpec => ({
  name,
  monitor: "m",
  version: "1",
  modifiedAt: 1,
  cwd: "/",
  attributes: {},
});

/** A monitor that says what it is told to, and remembers whether it was closed. */
function monitorThat(says: (sink: MonitorSink) => void): ImperialMonitor & { isClosed: boolean } {
  return {
    id: "m",
    address: "http://config/list.json",
    isClosed: false,
    start: async (sink) => says(sink),
    rescan: () => undefined,
    async close() {
      this.isClosed = true;
    },
  };
}

describe("a snapshot", () => {
  test("is what the first scan leaves", async () => {
    const monitor = monitorThat((sink) => {
      sink.unavailable("not yet");
      sink.available();
      sink.snapshot([spec("a.ini"), spec("b.ini")]);
      sink.remove("a.ini");
      sink.upsert(spec("c.ini"));
    });
    expect([...(await takeSnapshot(monitor)).keys()]).toEqual(["b.ini", "c.ini"]);
    expect(monitor.isClosed).toBe(true);
  });

  test("of a source that cannot be read is an error, not an empty one", async () => {
    const monitor = monitorThat((sink) => {
      sink.upsert(spec("a.ini"));
      sink.unavailable("connection refused");
    });
    await expect(takeSnapshot(monitor)).rejects.toThrow(
      "its snapshot http://config/list.json cannot be read: connection refused",
    );
    expect(monitor.isClosed).toBe(true);
  });
});
