/**
 * Digests of the configs in force, so that a mere touch is told from an edit and need not settle.
 * Made in small batches after the files were taken; a boot does not wait for them.
 */
import type { FileEyes } from "./eyes.ts";
import { sameState } from "./file-facts.ts";
import type { FileFacts } from "./file-facts.ts";
import type { FileLedger } from "./file-ledger.ts";
import type { FileFinder } from "./finder.ts";

/** Files digested per turn of the event loop. */
const DIGESTS_PER_TURN = 16;

/** Larger configs settle by being quiet, whatever their bytes. */
const MAX_DIGEST_BYTES = 1_048_576;

export interface DigesterTools {
  readonly eyes: FileEyes;
  readonly soon: (callback: () => void) => void;
}

export class Digester {
  readonly #finder: FileFinder;
  readonly #ledger: FileLedger;
  readonly #tools: DigesterTools;
  readonly #nofollow: boolean;
  #undigested: FileFacts[] = [];
  #isQueued = false;

  constructor(finder: FileFinder, ledger: FileLedger, tools: DigesterTools, nofollow: boolean) {
    this.#finder = finder;
    this.#ledger = ledger;
    this.#tools = tools;
    this.#nofollow = nofollow;
  }

  /** Whether the file's bytes are those in force: it was merely touched. */
  readonly hasTakenBytes = (facts: FileFacts): boolean => {
    if (!this.#isDigestible(facts)) return false;
    const digest = this.#tools.eyes.digest(this.#finder.pathOf(facts.name));
    return digest !== undefined && digest === this.#ledger.digestOf(facts.name);
  };

  /** The file was taken: its digest follows soon. */
  add(facts: FileFacts): void {
    if (!this.#isDigestible(facts)) return;
    this.#undigested.push(facts);
    this.#queue();
  }

  close(): void {
    this.#undigested = [];
  }

  /** With `emperor-nofollow` a link's target is nobody's business. */
  #isDigestible(facts: FileFacts): boolean {
    return facts.size <= MAX_DIGEST_BYTES && !(facts.isLink && this.#nofollow);
  }

  #queue(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#tools.soon(() => {
      this.#isQueued = false;
      this.#digestSome();
    });
  }

  #digestSome(): void {
    const batch = this.#undigested.splice(-DIGESTS_PER_TURN);
    if (batch.length === 0) return;
    const digests = batch.map(({ name }) => this.#tools.eyes.digest(this.#finder.pathOf(name)));
    // Only what is still as it was taken: else these are the bytes of a version not yet judged.
    const sights = this.#finder.look(batch.map(({ name }) => name));
    for (const [index, facts] of batch.entries()) {
      const sight = sights[index];
      const digest = digests[index];
      if (digest === undefined || sight?.kind !== "file") continue;
      if (isStillTheSame(facts, sight.facts)) this.#ledger.noteDigest(facts, digest);
    }
    if (this.#undigested.length > 0) this.#queue();
  }
}

/** The owner may have been replaced by the link's when the file was taken, and a guard been added. */
function isStillTheSame(taken: FileFacts, seen: FileFacts): boolean {
  const { uid, gid, guard } = taken;
  return sameState(taken, { ...seen, uid, gid, ...(guard === undefined ? {} : { guard }) });
}
