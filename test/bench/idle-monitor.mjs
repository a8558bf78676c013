/**
 * One monitor alone, with a sink that counts: prints how long the first look took, waits for the
 * monitor to be at rest, prints its CPU and number of looks in 20 s, and, when it is asked on stdin,
 * how long the loop was held up since. For remote-databases.mjs.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { makeMonitor, systemClock } from "../../monitors/dist/index.js";

const told = new Set();
let changes = 0;
const sink = {
  upsert: (spec) => {
    changes += 1;
    told.add(spec.name);
  },
  remove: (name) => told.delete(name),
  snapshot: (specs) => specs.forEach((spec) => told.add(spec.name)),
  unavailable: (reason) => console.error(reason),
  available: () => undefined,
  notice: (_severity, message) => console.error(message),
};
const made = await makeMonitor(process.argv[2], {
  startDirectory: process.cwd(),
  frequencySeconds: 3,
  nofollow: false,
  ownerOfLink: false,
  extraExtensions: [],
  collectAttributes: [],
  readConfig: false,
  quietMs: 40,
  ignoreHidden: false,
  clock: systemClock,
});
if (!made.ok) throw made.error;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const startedAt = performance.now();
await made.monitor.start(sink);
while (told.size < 10_000) await pause(5);
const firstMs = performance.now() - startedAt;
await pause(4000);
console.log(JSON.stringify({ firstMs }));
// The resolution is part of what it measures; a busy machine holds up the loop as well.
const RESOLUTION_MS = 5;
const idle = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
const before = process.cpuUsage();
const from = performance.now();
await pause(20_000);
const { user, system } = process.cpuUsage(before);
const wallMs = performance.now() - from;
console.log(
  JSON.stringify({ cpuMs: (user + system) / 1000, wallMs, looks: Math.round(wallMs / 3000) }),
);
// The loop first with nothing to do, then while the parent changes rows; it ends this process.
idle.enable();
await pause(20_000);
idle.disable();
console.log(JSON.stringify({ idleLongestMs: idle.max / 1e6 - RESOLUTION_MS }));
const busy = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
busy.enable();
changes = 0;
process.stdin.once("data", () => {
  const longestMs = busy.max / 1e6 - RESOLUTION_MS;
  const usualMs = busy.percentile(99) / 1e6 - RESOLUTION_MS;
  console.log(JSON.stringify({ changes, longestMs, usualMs }));
});
await pause(120_000);
