/** Scans of directories and lists of paths, digests of files. Knows nothing of vassals. */
import { native, packStrings, withoutNul } from "./native.ts";
import type { NativeScan } from "./native.ts";
import type { ScanEntry, ScanOptions, ScanResult } from "./types.ts";

/** Numbers per entry, in the order in which `add_entry` of `native/scan.c` writes them. */
const ENTRY_FIELDS = 15;
const ENTRY_KINDS = [
  "file",
  "directory",
  "fifo",
  "socket",
  "device",
  "dangling",
  "unreadable",
] as const;

const strict = new TextDecoder("utf-8", { fatal: true });
const lenient = new TextDecoder("utf-8");

/** All names at once when they are valid, which is nearly always; one by one to find those that are not. */
function decodeNames(bytes: Uint8Array): { names: string[]; valid: (index: number) => boolean } {
  try {
    const names = strict.decode(bytes).split("\0");
    return { names, valid: () => true };
  } catch {
    const names: string[] = [];
    const invalid = new Set<number>();
    for (let start = 0; start < bytes.length;) {
      const end = bytes.indexOf(0, start);
      const raw = bytes.subarray(start, end);
      try {
        names.push(strict.decode(raw));
      } catch {
        invalid.add(names.length);
        names.push(lenient.decode(raw));
      }
      start = end + 1;
    }
    return { names, valid: (index) => !invalid.has(index) };
  }
}

/**
 * A number out of a Float64Array is a box of 16 bytes wherever it is stored, also when it is a small
 * integer; this makes it one. An Emperor keeps a dozen of them per vassal.
 */
function small(value: number | undefined): number {
  const integer = (value ?? 0) | 0;
  return integer === value ? integer : (value ?? 0);
}

function makeEntry(name: string, fields: Float64Array, at: number): ScanEntry {
  const entry = {
    name,
    dev: small(fields[at + 1]),
    ino: small(fields[at + 2]),
    size: small(fields[at + 3]),
    mtimeSec: small(fields[at + 4]),
    mtimeNsec: small(fields[at + 5]),
    ctimeSec: small(fields[at + 6]),
    ctimeNsec: small(fields[at + 7]),
    uid: small(fields[at + 8]),
    gid: small(fields[at + 9]),
    mode: small(fields[at + 10]),
    nlink: small(fields[at + 11]),
    isLink: fields[at + 12] === 1,
  };
  return entry.isLink
    ? { ...entry, linkUid: small(fields[at + 13]), linkGid: small(fields[at + 14]) }
    : entry;
}

function makeResult(scan: NativeScan | undefined, previousDigest: string | undefined): ScanResult {
  if (scan === undefined) return { changed: false, digest: previousDigest ?? "" };
  const [digest, fields, bytes] = scan;
  const { names, valid } = decodeNames(bytes);
  const entries: ScanEntry[] = [];
  const skipped: Extract<ScanResult, { changed: true }>["skipped"][number][] = [];
  const invalidNames: string[] = [];
  for (let index = 0; index * ENTRY_FIELDS < fields.length; index += 1) {
    const at = index * ENTRY_FIELDS;
    const name = names[index] ?? "";
    const kind = ENTRY_KINDS[fields[at] ?? 0] ?? "unreadable";
    if (!valid(index)) invalidNames.push(name);
    else if (kind === "file") entries.push(makeEntry(name, fields, at));
    else skipped.push({ name, kind });
  }
  return { changed: true, digest, entries, skipped, invalidNames };
}

/**
 * Everything in `directory` whose name ends in one of the suffixes (a name that is nothing but the
 * suffix counts: uWSGI takes `.ini` for a vassal too), in the directory's own order. The digest
 * covers names, kinds and metadata and does not depend on that order; it is only comparable within
 * one process. Throws LinuxError (`opendir`, `getdents`) when the directory cannot be read: that is
 * never an empty directory.
 */
export function scanDirectory(options: ScanOptions): ScanResult {
  const { directory, suffixes, nofollow, previousDigest } = options;
  return makeResult(
    native.scanDirectory(
      withoutNul(directory, "opendir"),
      packStrings(suffixes, "opendir"),
      nofollow,
      previousDigest,
    ),
    previousDigest,
  );
}

/** The same for a list of paths (what a glob matched); `name` is the path. Paths that vanished are left out. */
export function statEntries(
  paths: readonly string[],
  nofollow: boolean,
  previousDigest?: string,
): ScanResult {
  return makeResult(
    native.statEntries(packStrings(paths, "stat"), nofollow, previousDigest),
    previousDigest,
  );
}

/**
 * 64-bit digest of a regular file's content, the same in every process; not safe against somebody
 * who looks for collisions. Throws LinuxError: EINVAL for a fifo or device (never waits for one),
 * EISDIR, EFBIG above 16 MiB.
 */
export function fileDigest(path: string): string {
  return native.fileDigest(withoutNul(path, "open"));
}
