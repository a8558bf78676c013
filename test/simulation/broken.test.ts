/** The simulation can fail: each of these breaks one decision or one hand, and has to be found. */
import { expect, test } from "vitest";
import type { Hands, HandsListener } from "../../emperor/src/court/hands.ts";
import type { Notice, Phase, Vassal } from "../../emperor/src/lifecycle/index.ts";
import { Violation } from "./fake-machine.ts";
import { Simulation, type Sabotage } from "./simulation.ts";

/** Few, so that a promise which is broken now and then is noticed soon. */
const SEEDS = 60;

/** The first violation within `SEEDS` runs. */
async function violationOf(sabotage: Sabotage): Promise<string> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await new Simulation(seed, sabotage).run();
    } catch (error) {
      if (error instanceof Violation) return error.message.split("\n")[0] ?? "";
      throw error;
    }
  }
  return "none";
}

function within<Name extends Phase["name"]>(
  name: Name,
  vassal: Vassal,
  change: (phase: Extract<Phase, { readonly name: Name }>) => Phase,
): Vassal {
  const { phase } = vassal;
  return phase.name === name
    ? { ...vassal, phase: change(phase as Extract<Phase, { readonly name: Name }>) }
    : vassal;
}

test("the honest Emperor passes these seeds", async () => {
  expect(await violationOf({})).toBe("none");
});

type Decision = (vassal: Vassal, notice: Notice) => Vassal;

const BROKEN_STEPS: readonly (readonly [string, Decision, RegExp])[] = [
  [
    "forgets failures",
    (vassal, notice) =>
      notice.kind === "blacklisted"
        ? { ...vassal, history: { ...vassal.history, failures: 0 } }
        : vassal,
    /is started .* after death/,
  ],
  [
    "never kills",
    (vassal, notice) =>
      notice.kind === "stopping"
        ? within("stopping", vassal, (phase) => ({ ...phase, killAt: undefined }))
        : vassal,
    /should be gone since/,
  ],
  [
    "starts again what was removed",
    (vassal, notice) =>
      notice.kind === "stopping" && notice.reason === "removed"
        ? within("stopping", vassal, (phase) => ({ ...phase, next: "respawn" }))
        : vassal,
    /started although nobody wants it|its record outlives it/,
  ],
  [
    "starts again in Ragnarok",
    (vassal, notice) =>
      notice.kind === "stopping" && notice.reason === "shutdown"
        ? within("stopping", vassal, (phase) => ({ ...phase, next: "respawn" }))
        : vassal,
    /started after the shutdown|its record outlives it/,
  ],
  [
    "lets a failure wait for ever",
    (vassal, notice) =>
      notice.kind === "blacklisted"
        ? within("queued", vassal, (phase) => ({ ...phase, notBefore: phase.notBefore + 1e9 }))
        : vassal,
    /queued for ever/,
  ],
  [
    "forgets that it holds a slot",
    (vassal, notice) =>
      notice.kind === "spawning"
        ? within("starting", vassal, (phase) => ({ ...phase, permit: false }))
        : vassal,
    /the gate is open|slots of the gate|does not run in the end/,
  ],
  [
    "does not mind a missed heartbeat",
    (vassal, notice) =>
      notice.kind === "heartbeat"
        ? within("running", vassal, (phase) => ({ ...phase, heartbeatAt: undefined }))
        : vassal,
    /is silent since/,
  ],
  [
    "kills at once",
    (vassal, notice) =>
      notice.kind === "stopping"
        ? within("stopping", vassal, (phase) => ({
            ...phase,
            termAt: phase.startedAt,
            killAt: phase.startedAt,
          }))
        : vassal,
    /gets SIG(KILL|TERM)/,
  ],
];

test.each(BROKEN_STEPS)("a step that %s is found", async (_name, decide, violation) => {
  expect(await violationOf({ decide })).toMatch(violation);
});

type Between = NonNullable<Sabotage["between"]>;

const BROKEN_HANDS: readonly (readonly [string, Between, RegExp])[] = [
  [
    "take the end of the channel for a death",
    (hands, listener) => ({
      hands,
      listener: listening(listener, {
        onChannelClosed: (handle) => listener.onExited(handle, { code: 0, signal: null }),
      }),
    }),
    /released while alive/,
  ],
  [
    "hear what was not said",
    (hands, listener) => ({
      hands,
      listener: listening(listener, {
        onSpawned: (handle, pid) => {
          listener.onSpawned(handle, pid);
          listener.onBytes(handle, Uint8Array.of(1));
        },
      }),
    }),
    /vassals start at once/,
  ],
  [
    "lose an exit",
    (hands, listener) => ({ hands, listener: listening(listener, { onExited: () => undefined }) }),
    /dead process was not released/,
  ],
  [
    "lose signals",
    (hands, listener) => ({ hands: handling(hands, { kill: () => undefined }), listener }),
    /should be gone since/,
  ],
  [
    "lose the alarm",
    (hands, listener) => ({ hands: handling(hands, { setAlarm: () => undefined }), listener }),
    /waits although its time came|should be gone since|is silent since|queued/,
  ],
  [
    "lose connections",
    (hands, listener) => ({
      hands,
      listener: listening(listener, { onConnectionWaiting: () => undefined }),
    }),
    /somebody waits at its socket/,
  ],
  [
    "forget to close sockets",
    (hands, listener) => ({ hands: handling(hands, { closeSockets: () => undefined }), listener }),
    /sockets are left in the end|its socket outlives/,
  ],
  [
    "report connections that are not there",
    (hands, listener) => ({
      hands: handling(hands, {
        watchSockets: (key, spec) => {
          const failure = hands.watchSockets(key, spec);
          if (failure === undefined) listener.onConnectionWaiting(key);
          return failure;
        },
      }),
      listener,
    }),
    /is started although nobody waits/,
  ],
  [
    "lose stop messages",
    (hands, listener) => ({
      hands: handling(hands, {
        send: (handle, message) => (message === "reload" ? hands.send(handle, message) : true),
      }),
      listener,
    }),
    /gets SIGKILL/,
  ],
];

test.each(BROKEN_HANDS)("hands that %s are found", async (_name, between, violation) => {
  expect(await violationOf({ between })).toMatch(violation);
});

function handling(hands: Hands, changes: Partial<Hands>): Hands {
  return {
    spawn: (handle, spec, extras) => hands.spawn(handle, spec, extras),
    send: (handle, message) => hands.send(handle, message),
    sendConfig: (handle, config) => hands.sendConfig(handle, config),
    kill: (handle, signal, scope) => hands.kill(handle, signal, scope),
    release: (handle) => hands.release(handle),
    watchSockets: (key, spec) => hands.watchSockets(key, spec),
    unwatchSockets: (key) => hands.unwatchSockets(key),
    closeSockets: (key) => hands.closeSockets(key),
    now: () => hands.now(),
    wallNow: () => hands.wallNow(),
    setAlarm: (at) => hands.setAlarm(at),
    ...changes,
  };
}

function listening(listener: HandsListener, changes: Partial<HandsListener>): HandsListener {
  return {
    onSpawned: (handle, pid) => listener.onSpawned(handle, pid),
    onSpawnFailed: (handle, failure) => listener.onSpawnFailed(handle, failure),
    onBytes: (handle, bytes) => listener.onBytes(handle, bytes),
    onChannelClosed: (handle) => listener.onChannelClosed(handle),
    onExited: (handle, status) => listener.onExited(handle, status),
    onConnectionWaiting: (key) => listener.onConnectionWaiting(key),
    onDeserted: (handle) => listener.onDeserted(handle),
    onAlarm: () => listener.onAlarm(),
    ...changes,
  };
}
