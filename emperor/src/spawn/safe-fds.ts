/**
 * `safe-fd`: descriptors that the Emperor was given and that its vassals shall have, under the same
 * number. Owns which of them can be passed on.
 */
import { readlinkSync } from "node:fs";

/** What a descriptor is, as the kernel names it; undefined: not open. */
export type DescribeDescriptor = (fd: number) => string | undefined;

const describeOwn: DescribeDescriptor = (fd) => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
};

/**
 * The numbers that can be passed on, each once. 0, 1 and 2 have their own rules. One that is not open
 * is left out with a warning (uWSGI says nothing); so is one that belongs to the event loop of this
 * process, which no vassal must ever hold.
 */
export function usableSafeFds(
  wanted: readonly number[],
  warn: (message: string) => void,
  describe: DescribeDescriptor = describeOwn,
): readonly number[] {
  return [...new Set(wanted)].filter((fd) => {
    if (fd <= 2) return false;
    const description = describe(fd);
    if (description !== undefined && !description.startsWith("anon_inode:")) return true;
    const reason =
      description === undefined ? "is not open" : "belongs to the Emperor's event loop";
    warn(`[emperor] safe-fd ${fd} ${reason}: vassals start without it`);
    return false;
  });
}
