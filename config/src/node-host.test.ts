/** The real machine, on real files in a folder of the test's own. */
import * as fs from "node:fs";
import * as os from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfiguration } from "./load.ts";
import { createNodeHost, machineFacts } from "./node-host.ts";
import { OPTIONS } from "./testing/fake-host.ts";

let directory = "";

beforeEach(() => {
  directory = fs.realpathSync(fs.mkdtempSync(join(os.tmpdir(), "config-host-")));
  fs.mkdirSync(join(directory, "real"));
  fs.writeFileSync(join(directory, "real", "app.ini"), "[uwsgi]\np = %p\no = %o\ni = %i\nv = %v\n");
  fs.symlinkSync("real", join(directory, "link"));
  fs.symlinkSync("real/app.ini", join(directory, "other.ini"));
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true });
});

describe("the real host", () => {
  it("resolves links on the way to a file, but not the file itself when it is one", () => {
    const host = createNodeHost(directory);
    expect(host.realPath("link/app.ini")).toBe(join(directory, "real/app.ini"));
    expect(host.realPath("other.ini")).toBe(join(directory, "other.ini"));
    expect(host.realPath("nope.ini")).toBe(join(directory, "nope.ini"));
    expect(host.inode("other.ini")).toBe(fs.lstatSync(join(directory, "other.ini")).ino);
    expect(host.inode("nope.ini")).toBeUndefined();
  });

  it("reads files up to a limit, and says why it cannot", () => {
    const host = createNodeHost(directory);
    const bytes = host.readFile("link/app.ini", 1000);
    expect(Buffer.from(bytes).toString()).toContain("[uwsgi]");
    expect(() => host.readFile("link/app.ini", bytes.length - 1)).toThrow(RangeError);
    expect(host.readFile("link/app.ini", bytes.length)).toEqual(bytes);
    expect(() => host.readFile("nope", 10)).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(() => host.readFile("real", 10)).toThrow(expect.objectContaining({ code: "EISDIR" }));
    expect(host.readFile("/proc/self/stat", 4096).length).toBeGreaterThan(0);
    expect(() => host.readFile("/dev/zero", 100_000)).toThrow(RangeError);
  });

  it("tells kinds, readability and names", () => {
    const host = createNodeHost(directory);
    expect([
      host.kindOf("other.ini"),
      host.kindOf("link"),
      host.kindOf("/dev/null"),
      host.kindOf("nope"),
      host.kindOf("other.ini/x"),
    ]).toEqual(["file", "directory", "other", undefined, undefined]);
    expect([host.isReadable("real"), host.isReadable("nope")]).toEqual([true, false]);
    expect(host.list(".").toSorted()).toEqual(["link", "other.ini", "real"]);
    expect(host.list("nope")).toEqual([]);
  });

  it("reads descriptors to their end", () => {
    const fd = fs.openSync(join(directory, "other.ini"), "r");
    try {
      expect(Buffer.from(createNodeHost(directory).readDescriptor(fd, 1000)).toString()).toContain(
        "%p",
      );
    } finally {
      fs.closeSync(fd);
    }
  });

  it("serves a whole load", async () => {
    const result = await loadConfiguration({
      argv: ["--ini", "link/app.ini", "--config", "nope.ini"],
      environment: {},
      options: OPTIONS,
      facts: { cwd: directory },
    });
    expect(result.errors).toMatchObject([
      {
        code: "unreadable",
        message: 'argument 3 of the command line: cannot read "nope.ini": it does not exist',
      },
    ]);
    const inode = fs.statSync(join(directory, "real/app.ini")).ino;
    expect(result.entries.slice(1, 5).map(({ value }) => value)).toEqual([
      join(directory, "real/app.ini"),
      "link/app.ini",
      String(inode),
      directory,
    ]);
  });
});

/** A user without an entry, as containers have them, goes by the number. */
function ownName(): string {
  try {
    return os.userInfo().username;
  } catch {
    return String(process.getuid?.());
  }
}

describe("the machine's facts", () => {
  it("are this process's unless they are given", () => {
    const facts = machineFacts({ hostname: "box" });
    expect([facts.hostname, facts.cwd, facts.uid(), facts.gid()]).toEqual([
      "box",
      process.cwd(),
      process.getuid?.(),
      process.getgid?.(),
    ]);
    expect(facts.userName()).toBe(ownName());
    expect(facts.groupName()).not.toBe("");
    expect(facts.cores()).toBeGreaterThan(0);
  });
});
