import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { PhaseName, VassalEvent } from "./index.ts";
import { eventTypesOf, lifecyclePage, phasesShown } from "./matrix.fixture.ts";

const PAGE = new URL("../../../docs/lifecycle.md", import.meta.url);

/** Complete by its type: a new event does not compile here before it has a name, nor pass before it has a row. */
const EVENT_TYPES: Readonly<Record<VassalEvent["type"], true>> = {
  wanted: true,
  unwanted: true,
  permitted: true,
  spawned: true,
  "spawn-failed": true,
  message: true,
  "channel-closed": true,
  unheard: true,
  exited: true,
  timer: true,
  "reload-requested": true,
  "stop-requested": true,
  "start-requested": true,
  forgiven: true,
  "socket-watched": true,
  "socket-failed": true,
  "connection-waiting": true,
  deserted: true,
  shutdown: true,
  "mercy-over": true,
};

const PHASES: Readonly<Record<PhaseName, true>> = {
  suspended: true,
  dormant: true,
  queued: true,
  starting: true,
  running: true,
  stopping: true,
  gone: true,
};

test("docs/lifecycle.md says what the code does (UPDATE_DOCS=1 writes it)", () => {
  const page = lifecyclePage();
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(PAGE, page);
  expect(readFileSync(PAGE, "utf8")).toBe(page);
});

test("every event and every phase is on the page", () => {
  expect([...eventTypesOf(lifecyclePage())].sort()).toEqual(Object.keys(EVENT_TYPES).sort());
  expect([...phasesShown()].sort()).toEqual(Object.keys(PHASES).sort());
});
