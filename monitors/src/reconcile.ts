/**
 * The difference between two looks at a source of files. Pure: no clock, no I/O, no opinion about
 * when a difference may be acted upon (that is `settle.ts`).
 */
import { sameButTime, sameVersion } from "./file-facts.ts";
import type { FileFacts } from "./file-facts.ts";

export type FileMap = ReadonlyMap<string, FileFacts>;

export interface FileDifference {
  /** Not there before. */
  readonly added: readonly FileFacts[];
  /** Size, inode, device or owner differ. */
  readonly changed: readonly FileFacts[];
  /** Only the modification time differs, in either direction. */
  readonly touched: readonly FileFacts[];
  /** Not there any more. */
  readonly removed: readonly string[];
}

/**
 * What leads from `before` to `after`. With `scope` both are only compared at those names: a look at
 * a few files says nothing of the others.
 */
export function reconcile(
  before: FileMap,
  after: FileMap,
  scope?: Iterable<string>,
): FileDifference {
  const added: FileFacts[] = [];
  const changed: FileFacts[] = [];
  const touched: FileFacts[] = [];
  const removed: string[] = [];
  const compare = (old: FileFacts | undefined, now: FileFacts): void => {
    if (old === undefined) added.push(now);
    else if (!sameVersion(old, now)) (sameButTime(old, now) ? touched : changed).push(now);
  };
  if (scope === undefined) {
    for (const [name, now] of after) compare(before.get(name), now);
    for (const name of before.keys()) if (!after.has(name)) removed.push(name);
  } else {
    for (const name of new Set(scope)) {
      const now = after.get(name);
      if (now !== undefined) compare(before.get(name), now);
      else if (before.has(name)) removed.push(name);
    }
  }
  return { added, changed, touched, removed };
}

/** `before` with the difference done to it: the inverse of `reconcile`. */
export function applyDifference(
  before: FileMap,
  difference: FileDifference,
): Map<string, FileFacts> {
  const result = new Map(before);
  for (const name of difference.removed) result.delete(name);
  for (const list of [difference.added, difference.changed, difference.touched]) {
    for (const facts of list) result.set(facts.name, facts);
  }
  return result;
}
