/**
 * When a new or changed file may be taken: never half-written, never later than needed. Pure: time,
 * facts and hints come in, a verdict goes out; it neither looks at files nor waits.
 */
import { sameState } from "./file-facts.ts";
import type { FileFacts } from "./file-facts.ts";

/**
 * What the kernel said of a name in its directory. `rename`: the name appeared, vanished or was
 * replaced. `change`: its bytes or its metadata changed while it was there.
 */
export type HintKind = "rename" | "change";

export interface SettleRules {
  /** How long a file must have been left alone, ms. */
  readonly quietMs: number;
}

/** Both clocks at one instant, ms. */
export interface Instant {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** A file that differs from what was taken and is not taken yet. Plain data. */
export interface Candidate {
  readonly facts: FileFacts;
  /** The last hint for the name since it differed; a later one replaces an earlier one. */
  readonly hint: HintKind | undefined;
  /** Monotonic: since when nothing is known to have happened to the file. */
  readonly quietSinceMs: number;
  /** Monotonic: first look that saw these facts under this hint. */
  readonly firstLookAtMs: number;
  /** How many looks saw these facts under this hint. */
  readonly looks: number;
  /** Monotonic: since when the name waits, through all its changes. */
  readonly waitingSinceMs: number;
  /** Nothing was known of the change before this look. */
  readonly isFirstSight: boolean;
}

export type Verdict =
  | { readonly take: true }
  /** Look again at this monotonic instant; one in the past means: after the next round of hints. */
  | { readonly take: false; readonly againAtMs: number };

/** A config of this size is written by one call, so a lone `rename` cannot be half of it. */
const ONE_WRITE_BYTES = 65_536;

/** Wait between the two looks at a file whose metadata cannot tell a rename from a write, ms. */
const RENAME_CONFIRM_MS = 2;

/** An empty config is almost surely about to be written: its writer may be held up on a busy machine. */
const EMPTY_FACTOR = 5;

/** Takes one more look at a file into account. `hint`: the last one for its name since the look before. */
export function consider(
  previous: Candidate | undefined,
  facts: FileFacts,
  hint: HintKind | undefined,
  now: Instant,
): Candidate {
  const at = now.monotonicMs;
  if (previous === undefined) {
    return {
      facts,
      hint,
      quietSinceMs: at,
      firstLookAtMs: at,
      looks: 1,
      waitingSinceMs: at,
      isFirstSight: true,
    };
  }
  const { waitingSinceMs } = previous;
  if (sameState(previous.facts, facts)) {
    if (hint === undefined) return { ...previous, looks: previous.looks + 1, isFirstSight: false };
    // A second rename with the same state is the same file seen twice; a change restarts the wait,
    // because within one tick of the file system's clock two writes leave the same times.
    const quietSinceMs = hint === "change" ? at : previous.quietSinceMs;
    return {
      facts,
      hint,
      quietSinceMs,
      firstLookAtMs: at,
      looks: 1,
      waitingSinceMs,
      isFirstSight: false,
    };
  }
  // Another state that no hint explains: somebody writes, whatever put the file there.
  return {
    facts,
    hint: hint ?? "change",
    quietSinceMs: at,
    firstLookAtMs: at,
    looks: 1,
    waitingSinceMs,
    isFirstSight: false,
  };
}

/**
 * May the candidate be taken now?
 *
 * 1. Seen for the first time and untouched for `quietMs` by the wall clock: at once (configs that
 *    were there before). A time in the future proves nothing.
 * 2. Renamed into place: the last hint is `rename`, and a second look after the next round of hints
 *    finds the same state. A file created in place also begins with `rename`, but its writes queue a
 *    `change` before the first look can see their bytes, so that the second look knows of it. If
 *    mtime and ctime differ, the last thing done was no write: the round of hints is enough. Within
 *    one tick of the file system's clock (4 ms is usual) they are equal even when renamed; then the
 *    second look comes 2 ms later and only for files that one write call can have filled.
 * 3. Else when its state has been the same, without a `change`, for `quietMs` of monotonic time.
 *    An empty file is never "renamed into place" and must be quiet five times as long. Then it is
 *    taken, as uWSGI does.
 */
export function judge(candidate: Candidate, now: Instant, rules: SettleRules): Verdict {
  const { facts } = candidate;
  const quietMs = facts.size === 0 ? rules.quietMs * EMPTY_FACTOR : rules.quietMs;
  if (candidate.isFirstSight && isOlderThan(facts, now.wallMs, quietMs)) return { take: true };
  const quietAtMs = candidate.quietSinceMs + quietMs;
  if (now.monotonicMs >= quietAtMs) return { take: true };
  const confirmAtMs = renameConfirmedAt(candidate);
  if (confirmAtMs === undefined) return { take: false, againAtMs: quietAtMs };
  if (candidate.looks >= 2 && now.monotonicMs >= confirmAtMs) return { take: true };
  return { take: false, againAtMs: Math.min(confirmAtMs, quietAtMs) };
}

function renameConfirmedAt(candidate: Candidate): number | undefined {
  const { facts } = candidate;
  // A link is put in place at once, its target may be written at this moment.
  if (candidate.hint !== "rename" || facts.size === 0 || facts.isLink) return undefined;
  const wasWrittenLast = facts.mtimeNsec === facts.ctimeNsec && facts.mtimeSec === facts.ctimeSec;
  if (!wasWrittenLast) return candidate.firstLookAtMs;
  return facts.size <= ONE_WRITE_BYTES ? candidate.firstLookAtMs + RENAME_CONFIRM_MS : undefined;
}

function isOlderThan(facts: FileFacts, wallMs: number, ageMs: number): boolean {
  const limitMs = wallMs - ageMs;
  return (
    facts.mtimeSec * 1000 + facts.mtimeNsec / 1e6 <= limitMs &&
    facts.ctimeSec * 1000 + facts.ctimeNsec / 1e6 <= limitMs
  );
}
