/** The hands over a machine without processes, with a clock that the test moves. */
import { memoryLogger } from "../log/logger.ts";
import type { Settings } from "../options/settings.ts";
import { createEmperorHooks, createHands } from "./create-hands.ts";
import { FakeMachine, RecordingListener, testSettings, testTyrant } from "./spawn.fixture.ts";

/** `advance` moves the hands' clock; timers are moved by the test's fake ones. */
export function fakeHands(changes: Partial<Settings> = {}) {
  const machine = new FakeMachine();
  const listener = new RecordingListener();
  const logger = memoryLogger();
  let now = 1000;
  const settings = testSettings(changes);
  const functions = machine.functions();
  const hooks = createEmperorHooks(settings, functions, logger);
  const hands = createHands(settings, functions, listener, logger, hooks, {
    now: () => now,
    ids: { uid: 0, gid: 0, groups: [] },
    ...testTyrant(settings),
  });
  const lines = (): string[] => logger.lines.map(({ message }) => message);
  return { machine, listener, hands, lines, advance: (ms: number) => (now += ms) };
}
