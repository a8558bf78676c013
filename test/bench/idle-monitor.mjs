/**
 * One monitor alone, with a sink that counts: prints how long the first look took, waits for the
 * monitor to be at rest, and prints its CPU and number of looks in 20 s. For remote-databases.mjs.
 */
import { makeMonitor, systemClock } from "../../monitors/dist/index.js";

const told = new Set();
const sink = {
  upsert: (spec) => told.add(spec.name),
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
const before = process.cpuUsage();
const from = performance.now();
await pause(20_000);
const { user, system } = process.cpuUsage(before);
const wallMs = performance.now() - from;
console.log(
  JSON.stringify({ cpuMs: (user + system) / 1000, wallMs, looks: Math.round(wallMs / 3000) }),
);
await pause(60_000);
