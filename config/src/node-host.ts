/** The real machine behind `ConfigHost` and `MachineFacts`. Policy, limits and messages are elsewhere. */
import * as fs from "node:fs";
import * as os from "node:os";
import { resolve } from "node:path";
import process from "node:process";
import type { ConfigHost, MachineFacts, PathKind } from "./host.ts";

function readAll(fd: number, maxBytes: number): Uint8Array {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(65536);
    const read = fs.readSync(fd, chunk, 0, chunk.length, null);
    if (read === 0) return Buffer.concat(chunks, total);
    total += read;
    if (total > maxBytes) throw new RangeError(`more than ${maxBytes} bytes`);
    chunks.push(chunk.subarray(0, read));
  }
}

/** @param cwd absolute directory against which relative paths are resolved */
export function createNodeHost(cwd: string): ConfigHost {
  const absolute = (path: string): string => resolve(cwd, path);
  return {
    readFile(path, maxBytes) {
      const fd = fs.openSync(absolute(path), "r");
      try {
        // A huge file is refused before it is read; a FIFO or /proc has no size worth asking.
        const stat = fs.fstatSync(fd);
        if (stat.isFile() && stat.size > maxBytes)
          throw new RangeError(`more than ${maxBytes} bytes`);
        return readAll(fd, maxBytes);
      } finally {
        fs.closeSync(fd);
      }
    },
    readDescriptor: (fd, maxBytes) => readAll(fd, maxBytes),
    kindOf(path): PathKind | undefined {
      try {
        const stat = fs.statSync(absolute(path), { throwIfNoEntry: false });
        if (stat === undefined) return undefined;
        return stat.isFile() ? "file" : stat.isDirectory() ? "directory" : "other";
      } catch {
        return undefined;
      }
    },
    isReadable(path) {
      try {
        fs.accessSync(absolute(path), fs.constants.R_OK);
        return true;
      } catch {
        return false;
      }
    },
    list(directory) {
      try {
        return fs.readdirSync(absolute(directory));
      } catch {
        return [];
      }
    },
    realPath(path) {
      const full = absolute(path);
      try {
        return fs.lstatSync(full).isSymbolicLink() ? full : fs.realpathSync(full);
      } catch {
        return full;
      }
    },
    inode(path) {
      try {
        return fs.lstatSync(absolute(path)).ino;
      } catch {
        return undefined;
      }
    },
  };
}

/** Name of a numeric id in a colon-separated account file, or the number. */
function nameOfId(file: string, id: number): string {
  try {
    for (const line of fs.readFileSync(file, "utf8").split("\n")) {
      const fields = line.split(":");
      if (fields[2] === String(id) && fields[0] !== undefined) return fields[0];
    }
  } catch {
    // Without the file the number is all that is known.
  }
  return String(id);
}

/** Facts of this process; those that cost something are looked up when they are used. */
export function machineFacts(given: Partial<MachineFacts> = {}): MachineFacts {
  return {
    cwd: given.cwd ?? process.cwd(),
    hostname: given.hostname ?? os.hostname(),
    version: given.version ?? "",
    startedAtMs: given.startedAtMs ?? Date.now(),
    cores: given.cores ?? (() => os.cpus().length),
    uid: given.uid ?? (() => process.getuid?.() ?? 0),
    userName: given.userName ?? (() => nameOfId("/etc/passwd", process.getuid?.() ?? 0)),
    gid: given.gid ?? (() => process.getgid?.() ?? 0),
    groupName: given.groupName ?? (() => nameOfId("/etc/group", process.getgid?.() ?? 0)),
    binaryPath: given.binaryPath ?? (() => process.argv[1] ?? process.execPath),
  };
}
