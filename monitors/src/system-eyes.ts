/** The file system as monitors look at it: `FileEyes` on the native addon and node:fs. No policy. */
import { readdirSync, statSync } from "node:fs";
import { fileDigest, scanDirectory, statEntries } from "@emperor/linux";
import type { FileEyes } from "./eyes.ts";

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
    };
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
