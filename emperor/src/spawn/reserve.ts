/**
 * Keeps the last descriptors for the Emperor itself. Vassals that took all of them would blind it: it
 * could no longer read a directory, so not even the deletion of a config would free any. Knows
 * nothing of what the descriptors are for.
 */
import type { Machine } from "./machine.ts";

/** For a scan, some clients of the statistics and a hook with its pipes. */
export const RESERVED_DESCRIPTORS = 12;

/** What a call of the system throws when nothing is left, so that callers need no case of their own. */
class NoDescriptorLeft extends Error {
  readonly code = "EMFILE";

  constructor(limit: number) {
    super(`of ${limit} descriptors the last ${RESERVED_DESCRIPTORS} are kept for the Emperor`);
    this.name = "NoDescriptorLeft";
  }
}

/**
 * The same machine, on which a channel that would reach into the last descriptors below `limit` (the
 * soft limit, a count) is refused with EMFILE. The kernel gives the lowest free number, so a high
 * number means that few are left.
 */
export function withReserve(machine: Machine, limit: number): Machine {
  const end = limit - RESERVED_DESCRIPTORS;
  const socketpair: Machine["socketpair"] = (options) => {
    const pair = machine.socketpair(options);
    if (Math.max(...pair) < end) return pair;
    for (const fd of pair) machine.close(fd);
    throw new NoDescriptorLeft(limit);
  };
  // A proxy, because the machine may be a module or an object of a class; each call is bound once.
  const calls = new Map<PropertyKey, unknown>([["socketpair", socketpair]]);
  return new Proxy(machine, {
    get(target, key): unknown {
      if (!calls.has(key)) {
        const call: unknown = Reflect.get(target, key);
        calls.set(key, typeof call === "function" ? call.bind(target) : call);
      }
      return calls.get(key);
    },
  });
}
