/** The file system as monitors look at it: `FileEyes` on the native addon and node:fs. No policy. */
import { readdirSync, statSync, statfsSync } from "node:fs";
import { fileDigest, scanDirectory, statEntries } from "@emperor/linux";
import type { FileEyes } from "./eyes.ts";

/** File systems that only this kernel writes to: ext2 to 4, xfs, btrfs, tmpfs, f2fs, zfs, bcachefs, overlay. */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x794c7630,
]);

export const systemEyes: FileEyes = {
  scan: scanDirectory,
  stat: statEntries,

  digest(path) {
    try {
      return fileDigest(path);
    } catch {
      // Gone, unreadable, too large, no file: no digest is an answer, the next look finds out more.
      return undefined;
    }
  },

  identify(path) {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    return {
      dev: stats.dev,
      ino: stats.ino,
      isDirectory: stats.isDirectory(),
      mtimeMs: stats.mtimeMs,
      uid: stats.uid,
      mode: stats.mode,
    };
  },

  isLocal(path) {
    try {
      return LOCAL_FILE_SYSTEMS.has(statfsSync(path).type);
    } catch {
      return false;
    }
  },

  subdirectories(path) {
    const names: string[] = [];
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      // A link may lead to a directory; if not, looking below it finds nothing.
      if (entry.isDirectory() || entry.isSymbolicLink()) names.push(entry.name);
    }
    return names;
  },
};
