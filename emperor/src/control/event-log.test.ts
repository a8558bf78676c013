import { expect, test } from "vitest";
import { EventLog } from "./event-log.ts";

const ALL = (): boolean => true;

function filled(size: number, count: number): EventLog {
  const log = new EventLog(size);
  for (let n = 1; n <= count; n++)
    log.add(
      { at: n, monitor: "dir:/v", vassal: `v${n % 3}`, event: "ready", state: "running" },
      n % 2,
    );
  return log;
}

const ids = (events: readonly { readonly id: number }[]): number[] => events.map(({ id }) => id);

test("a reader resumes after the id that it names", () => {
  const reader = filled(100, 10).read(7, ALL, () => undefined);
  expect(reader.take(2)).toMatchObject({ events: [{ id: 8 }, { id: 9 }], lost: 0 });
  expect(ids(reader.take(9).events)).toEqual([10]);
  expect(reader.take(9)).toEqual({ events: [], lost: 0 });
});

test("a slow reader loses the oldest and is told how many; nothing grows", () => {
  const log = filled(4, 1);
  const reader = log.read(0, ALL, () => undefined);
  expect(ids(reader.take(9).events)).toEqual([1]);
  for (let n = 0; n < 10; n++)
    log.add({ at: 0, monitor: "m", vassal: "v", event: "e", state: "s" }, 0);
  const { events, lost } = reader.take(99);
  expect(ids(events)).toEqual([8, 9, 10, 11]);
  expect(lost).toBe(6);
});

test.each([0, 9999])("from %i on: all that there is, and nothing lost", (since) => {
  const { events, lost } = filled(4, 10)
    .read(since, ALL, () => undefined)
    .take(99);
  expect(ids(events)).toEqual([7, 8, 9, 10]);
  expect(lost).toBe(0);
});

test("what is not visible is left out, also where it is all that is left", () => {
  const log = filled(100, 10);
  const mine = log.read(
    0,
    (owner) => owner === 1,
    () => undefined,
  );
  expect(ids(mine.take(99).events)).toEqual([1, 3, 5, 7, 9]);
  const nobodys = log.read(
    0,
    () => false,
    () => undefined,
  );
  expect(nobodys.take(3)).toEqual({ events: [], lost: 0 });
});

test("readers are woken until they close", () => {
  const log = new EventLog(4);
  let woken = 0;
  const reader = log.read(0, ALL, () => (woken += 1));
  log.add({ at: 0, monitor: "m", vassal: "v", event: "e", state: "s" }, 0);
  reader.close();
  log.add({ at: 0, monitor: "m", vassal: "v", event: "e", state: "s" }, 0);
  expect([woken, log.readers]).toEqual([1, 0]);
});

test("the latest of one vassal, oldest first", () => {
  expect(ids(filled(100, 12).of("dir:/v", "v0", 3))).toEqual([6, 9, 12]);
  expect(filled(100, 12).of("dir:/other", "v0", 3)).toEqual([]);
});
