/**
 * Reads one config file exactly as it was scanned: bounded, never following what must not be
 * followed, never mistaking another file for it. Knows no monitor.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { errnoName, explainErrno } from "./errno.ts";
import type { FileFacts } from "./file-facts.ts";

export interface ReadRules {
  /** `emperor-nofollow`: the facts are the link's own. */
  readonly nofollow: boolean;
  /** The owner in the facts is the link's: a link is only read if its target has the same owner. */
  readonly ownerOfLink: boolean;
}

export type ReadOutcome =
  | { readonly kind: "read"; readonly bytes: Buffer }
  /** Not the file that was scanned, or it changed meanwhile: look again. */
  | { readonly kind: "moved-on" }
  /** `why` ends a sentence. */
  | { readonly kind: "unreadable"; readonly why: string };

/** Largest config that the two-byte length of the config pipe's packet can carry. */
export const MAX_PUSHED_BYTES = 65_535;

/** Largest `.ini` that is searched for attributes. */
export const MAX_ATTRIBUTES_BYTES = 1_048_576;

/**
 * The bytes of the file at `path` that `facts` describe. The Emperor may read as root what a tenant
 * put there, so the open file, not its name, is compared with the scan; a fifo that took its place
 * does not block.
 */
export function readConfigFile(
  path: string,
  facts: FileFacts,
  rules: ReadRules,
  limitBytes: number,
): ReadOutcome {
  if (facts.isLink && rules.nofollow) {
    return {
      kind: "unreadable",
      why: "it is a symbolic link, which emperor-nofollow does not read",
    };
  }
  if (facts.size > limitBytes) return tooLarge(facts.size, limitBytes);
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  let fd: number;
  try {
    fd = openSync(path, facts.isLink ? flags : flags | constants.O_NOFOLLOW);
  } catch (error) {
    const code = errnoName(error);
    // Gone, or a link now: the next look sees what is there.
    if (code === "ENOENT" || code === "ELOOP") return { kind: "moved-on" };
    return { kind: "unreadable", why: explainErrno(code) };
  }
  try {
    return readOpenFile(fd, facts, rules);
  } catch (error) {
    return { kind: "unreadable", why: explainErrno(errnoName(error)) };
  } finally {
    closeSync(fd);
  }
}

function readOpenFile(fd: number, facts: FileFacts, rules: ReadRules): ReadOutcome {
  if (!isScannedFile(fd, facts)) return { kind: "moved-on" };
  if (facts.isLink && rules.ownerOfLink && fstatSync(fd).uid !== facts.uid) {
    return { kind: "unreadable", why: "it is a symbolic link to a file of another owner" };
  }
  const buffer = Buffer.allocUnsafeSlow(facts.size);
  let length = 0;
  while (length < buffer.length) {
    const count = readSync(fd, buffer, length, buffer.length - length, length);
    if (count === 0) return { kind: "moved-on" };
    length += count;
  }
  // Written while it was read: what was read may be half of the old and half of the new.
  return isScannedFile(fd, facts) ? { kind: "read", bytes: buffer } : { kind: "moved-on" };
}

function isScannedFile(fd: number, facts: FileFacts): boolean {
  const now = fstatSync(fd, { bigint: true });
  return (
    now.isFile() &&
    // As numbers: an inode beyond 2^53 was already rounded in the scan.
    Number(now.dev) === facts.dev &&
    Number(now.ino) === facts.ino &&
    Number(now.size) === facts.size &&
    // Of a link the facts may have another owner; `readOpenFile` asks for it.
    (facts.isLink || (Number(now.uid) === facts.uid && Number(now.gid) === facts.gid)) &&
    now.mtimeNs === BigInt(facts.mtimeSec) * 1_000_000_000n + BigInt(facts.mtimeNsec)
  );
}

function tooLarge(sizeBytes: number, limitBytes: number): ReadOutcome {
  return { kind: "unreadable", why: `it has ${sizeBytes} bytes, ${limitBytes} are allowed` };
}
