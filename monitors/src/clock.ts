/** The real clock, in the shape in which monitors take one. */
import type { MonitorClock } from "./monitor.ts";

export const systemClock: MonitorClock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimer(afterMs, callback) {
    const timer = setTimeout(callback, afterMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
