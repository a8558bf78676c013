/**
 * When a worker has done enough: requests served, time lived, memory used. Pure: time and memory are
 * given. What follows (a successor first, then a graceful end) is the master's matter.
 */

export interface LimitSettings {
  /** Requests after which a worker is replaced; undefined: never. The same for the others. */
  readonly maxRequests: number | undefined;
  /** Worker n gets n times so many more, so that not all of them go at once. */
  readonly maxRequestsDelta: number;
  readonly maxLifetimeMs: number | undefined;
  readonly maxLifetimeDeltaMs: number;
  /** No worker is replaced for requests or memory before it lived so long (uWSGI: 60 s). */
  readonly minLifetimeMs: number;
  readonly reloadOnRssBytes: number | undefined;
}

export interface WorkerUse {
  /** Milliseconds since the worker started. */
  readonly ageMs: number;
  readonly requests: number;
  /** Resident memory; asked for only where it is limited. */
  readonly rssBytes: () => number;
}

const MEGABYTE = 1024 * 1024;

/**
 * Why worker `number` (1 is the first) has to go; undefined while it has not. As in uWSGI, `max-requests`
 * and `reload-on-rss` wait for `min-worker-lifetime`, so that a limit that is reached at once does not
 * make workers come and go.
 */
export function exhausted(
  limits: LimitSettings,
  number: number,
  { ageMs, requests, rssBytes }: WorkerUse,
): string | undefined {
  const { maxLifetimeMs, maxRequests, reloadOnRssBytes } = limits;
  if (maxLifetimeMs !== undefined) {
    const limitMs = maxLifetimeMs + (number - 1) * limits.maxLifetimeDeltaMs;
    if (ageMs >= limitMs) return `it lived ${limitMs / 1000} s (max-worker-lifetime)`;
  }
  if (ageMs < limits.minLifetimeMs) return undefined;
  if (maxRequests !== undefined) {
    const limit = maxRequests + (number - 1) * limits.maxRequestsDelta;
    if (requests >= limit) return `it served ${requests} requests (max-requests)`;
  }
  if (reloadOnRssBytes !== undefined) {
    const rss = rssBytes();
    if (rss >= reloadOnRssBytes)
      return `it uses ${Math.round(rss / MEGABYTE)} MB of memory (reload-on-rss = ${reloadOnRssBytes / MEGABYTE})`;
  }
  return undefined;
}
