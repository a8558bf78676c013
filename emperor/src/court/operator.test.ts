import { expect, test } from "vitest";
import type { Phase } from "../lifecycle/index.ts";
import { Life } from "../lifecycle/life.fixture.ts";
import { Operator } from "./operator.ts";
import type { CourtRecord } from "./record.ts";

/** A court of one vassal; its events go to the real life-cycle. */
function court(life: Life) {
  const alarms: (() => void)[] = [];
  const record = {
    spec: { name: "a.ini", monitor: "dir:/v" },
    get vassal() {
      return life.vassal;
    },
  } as unknown as CourtRecord;
  const tell = (): void => {
    for (const notice of life.notices) operator.observe({ record, notice, at: 0 });
  };
  const operator: Operator = new Operator(
    {
      records: () => [record],
      post: (_record, event) => {
        life.on(event);
        tell();
      },
      schedule: (_at, run) => {
        alarms.push(run);
        return () => void alarms.splice(alarms.indexOf(run), 1);
      },
    },
    () => 0,
  );
  return {
    operator,
    record,
    alarms,
    meanwhile: (act: (life: Life) => unknown) => (act(life), tell()),
  };
}

test("reload: answered when the new generation accepts, not by what the old one said", async () => {
  const { operator, record, meanwhile, alarms } = court(new Life().loyal());
  const outcome = operator.await("reload", record, 1000);
  meanwhile((life) => life.says("loyal"));
  expect(operator.waiting).toBe(1);
  meanwhile((life) => life.says("accepting"));
  expect(await outcome).toMatchObject({ ok: true, result: "accepting" });
  expect([operator.waiting, alarms.length]).toEqual([0, 0]);
});

test.each<[string, (life: Life) => unknown, RegExp]>([
  ["dies", (life) => life.exits(3), /it died: exit status 3/],
  ["is stopped meanwhile", (life) => life.on({ type: "stop-requested" }).exits(0), /rests/],
  ["is removed meanwhile", (life) => life.on({ type: "unwanted" }).exits(0), /no longer has it/],
])("reload: one that %s is said so", async (_what, happen, why) => {
  const { operator, record, meanwhile } = court(new Life().loyal());
  const outcome = operator.await("reload", record, 1000);
  meanwhile(happen);
  expect(await outcome).toMatchObject({ ok: false, detail: expect.stringMatching(why) });
});

test("one that never says whether it accepts: the time is over, and the order stands", async () => {
  const { operator, record, alarms } = court(new Life().loyal());
  const outcome = operator.await("reload", record, 1000);
  alarms[0]?.();
  expect(await outcome).toMatchObject({ ok: false, result: "timeout" });
  expect(operator.waiting).toBe(0);
});

test("stop wins over respawn until start", async () => {
  const { operator, record, meanwhile } = court(new Life().loyal());
  const stopped = operator.await("stop", record, 1000);
  meanwhile((life) => life.exits(0));
  expect(await stopped).toMatchObject({ ok: true, result: "stopped" });
  meanwhile((life) => life.wanted({ version: "v2" }));
  expect(record.vassal.phase.name).toBe("suspended");
  const started = operator.await("start", record, 1000);
  meanwhile((life) => life.on({ type: "permitted" }));
  meanwhile((life) => life.spawned());
  meanwhile((life) => life.says("spawned"));
  meanwhile((life) => life.says("accepting"));
  expect(await started).toMatchObject({ ok: true, result: "accepting" });
});

test.each<["start" | "stop" | "reload", () => Life, Phase["name"], boolean, string]>([
  ["reload", () => new Life().wanted({ onDemand: true }), "dormant", true, "asleep"],
  ["reload", () => new Life().started().exits(26), "suspended", false, "stopped"],
  ["reload", () => new Life().running().on({ type: "unwanted" }), "stopping", false, "stopping"],
  ["start", () => new Life().loyal(), "running", true, "running"],
  ["stop", () => new Life().started().exits(), "suspended", true, "stopped"],
])(
  "%s needs no waiting where there is nothing to wait for",
  async (order, make, phase, ok, result) => {
    const { operator, record } = court(make());
    expect(await operator.await(order, record, 1000)).toMatchObject({ ok, result });
    expect(record.vassal.phase.name).toBe(phase);
    expect(operator.waiting).toBe(0);
  },
);

test("orders without waiting say what was and what is", () => {
  const { operator, record } = court(new Life().loyal());
  expect(operator.give("stop", record)).toMatchObject({
    ok: true,
    detail: "stop: it was running, it is stopping",
  });
  const listed = court(new Life().started().exits());
  expect(listed.operator.give("pardon", listed.record).ok).toBe(true);
  expect(listed.record.vassal.history.failures).toBe(0);
});

test("found by name, and by monitor where it is given", () => {
  const { operator } = court(new Life().loyal());
  expect(operator.find({ name: "a.ini", monitor: undefined })).toHaveLength(1);
  expect(operator.find({ name: "a.ini", monitor: "dir:/w" })).toHaveLength(0);
  expect(operator.find({ name: "b.ini", monitor: undefined })).toHaveLength(0);
});

test("a zerg is found by its name and by its number", () => {
  const { record } = court(new Life());
  const zerg = (number: number): CourtRecord => ({
    ...record,
    spec: { ...record.spec, name: "a.ini:zerg" },
    zerg: { base: record, number },
  });
  const zergs = [zerg(1), zerg(12)];
  const operator = new Operator(
    { records: () => [record, ...zergs], post: () => undefined, schedule: () => () => undefined },
    () => 0,
  );
  const find = (name: string): readonly CourtRecord[] =>
    operator.find({ name, monitor: undefined });
  expect(find("a.ini:zerg")).toEqual(zergs);
  expect(find("a.ini:zerg#12")).toEqual([zergs[1]]);
  expect(find("a.ini:zerg#2")).toEqual([]);
  expect(find("a.ini#1")).toEqual([]);
});
