/** Pidfiles with real locks, in a directory of their own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { linuxSystem } from "./linux-system.ts";
import { Pidfiles } from "./pidfile.ts";

let directory: string;
let path: string;
const all: Pidfiles[] = [];

function pidfiles(): Pidfiles {
  const made = new Pidfiles(linuxSystem);
  all.push(made);
  return made;
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pid-"));
  path = join(directory, "x.pid");
});

afterEach(() => {
  for (const each of all.splice(0)) each.remove();
  rmSync(directory, { recursive: true });
});

it("holds pid and newline and is gone at the end", () => {
  const own = pidfiles();
  own.write(path, 4711);
  expect(readFileSync(path, "utf8")).toBe("4711\n");
  own.remove();
  expect(existsSync(path)).toBe(false);
});

it("replaces what a dead process left, also a longer text", () => {
  writeFileSync(path, "1234567890 and more\n");
  pidfiles().write(path, 7);
  expect(readFileSync(path, "utf8")).toBe("7\n");
});

it("refuses a file that somebody holds, and names the holder", () => {
  pidfiles().write(path, 4711);
  expect(() => pidfiles().write(path, 1)).toThrow(/x\.pid.*4711.*nothing is started/);
  expect(readFileSync(path, "utf8")).toBe("4711\n");
});

it("refuses a file that another process holds, until that one ends", async () => {
  const holder = spawn("flock", ["--no-fork", path, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  expect(() => pidfiles().write(path, 1)).toThrow(/another process/);
  holder.stdin.end();
  await once(holder, "exit");
  pidfiles().write(path, 2);
  expect(readFileSync(path, "utf8")).toBe("2\n");
});

it("may be named twice", () => {
  const own = pidfiles();
  own.write(path, 1);
  own.write(path, 1);
  own.remove();
  expect(existsSync(path)).toBe(false);
});

it("leaves a file alone that took the place of ours", () => {
  const own = pidfiles();
  own.write(path, 1);
  unlinkSync(path);
  writeFileSync(path, "somebody else's\n");
  own.remove();
  expect(readFileSync(path, "utf8")).toBe("somebody else's\n");
});

it("is written through a link, and says what is no file", () => {
  symlinkSync(path, join(directory, "link"));
  pidfiles().write(join(directory, "link"), 3);
  expect(readFileSync(path, "utf8")).toBe("3\n");
  expect(() => pidfiles().write(directory, 3)).toThrow(/cannot write the pidfile/);
  expect(() => pidfiles().write("/dev/null", 3)).toThrow(/no regular file/);
  expect(() => pidfiles().write(join(directory, "no/such"), 3)).toThrow(/ENOENT/);
});
