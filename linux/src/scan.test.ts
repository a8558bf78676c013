import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freshDirectory, openDescriptors, removeDirectory } from "../test/harness.ts";
import { isRoot, ownGid, ownUid, rootTest } from "../test/privileges.ts";
import { close, fileDigest, listen, scanDirectory, statEntries } from "./index.ts";
import type { ScanResult } from "./index.ts";

let directory = "";
let descriptors: string[] = [];
beforeEach(() => {
  descriptors = openDescriptors();
  directory = freshDirectory();
});
afterEach(() => {
  removeDirectory(directory);
  expect(openDescriptors()).toEqual(descriptors);
});

type Changed = Extract<ScanResult, { changed: true }>;

function scan(suffixes: readonly string[] = [".ini", ".xml"], nofollow = false): Changed {
  const result = scanDirectory({ directory, suffixes, nofollow });
  if (!result.changed) throw new Error("unchanged without a previous digest");
  return result;
}

function file(name: string, content = name): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const names = (result: Changed): string[] => result.entries.map(({ name }) => name).toSorted();

describe("scanDirectory", () => {
  test("finds what ends in a suffix, a bare suffix too", () => {
    for (const name of [
      "a.ini",
      ".ini",
      "b.xml",
      "c.ini.bak",
      "ini",
      "d.INI",
      ".hidden.ini",
      "ä ü.ini",
      "new\nline.ini",
    ])
      file(name);
    const result = scan();
    expect(names(result)).toEqual(
      [".hidden.ini", ".ini", "a.ini", "b.xml", "new\nline.ini", "ä ü.ini"].toSorted(),
    );
    expect(result).toMatchObject({ skipped: [], invalidNames: [] });
    expect(names(scan([]))).toEqual([]);
    expect(names(scan([""]))).toHaveLength(9);
  });

  test("gives the metadata that stat gives", () => {
    const path = file("a.ini", "some text");
    chmodSync(path, 0o640);
    // Only root may give files away.
    const [uid, gid] = isRoot ? [12, 34] : [ownUid, ownGid];
    chownSync(path, uid, gid);
    linkSync(path, join(directory, "other-name"));
    utimesSync(path, 1_000_000_000, 1_234_567_890.5);
    const expected = statSync(path, { bigint: true });
    expect(scan().entries).toEqual([
      {
        name: "a.ini",
        dev: Number(expected.dev),
        ino: Number(expected.ino),
        size: 9,
        mtimeSec: 1_234_567_890,
        mtimeNsec: 500_000_000,
        ctimeSec: Number(expected.ctimeNs / 1_000_000_000n),
        ctimeNsec: Number(expected.ctimeNs % 1_000_000_000n),
        uid,
        gid,
        mode: 0o100640,
        nlink: 2,
        isLink: false,
      },
    ]);
  });

  test("names what has the suffix but is no file", () => {
    mkdirSync(join(directory, "directory.ini"));
    execFileSync("mkfifo", [join(directory, "fifo.ini")]);
    const socket = listen({ family: "unix", path: join(directory, "socket.ini") }, { backlog: 1 });
    symlinkSync("nowhere", join(directory, "dangling.ini"));
    symlinkSync("loop.ini", join(directory, "loop.ini"));
    symlinkSync("/dev/null", join(directory, "device.ini"));
    symlinkSync("/etc", join(directory, "link-to-directory.ini"));
    const { entries, skipped } = scan();
    close(socket);
    expect(entries).toEqual([]);
    expect(Object.fromEntries(skipped.map(({ name, kind }) => [name, kind]))).toEqual({
      "directory.ini": "directory",
      "fifo.ini": "fifo",
      "socket.ini": "socket",
      "dangling.ini": "dangling",
      "loop.ini": "dangling",
      "device.ini": "device",
      "link-to-directory.ini": "directory",
    });
  });

  test("follows links, or not", () => {
    const target = file("target");
    const link = join(directory, "link.ini");
    symlinkSync(target, link);
    expect(scan().entries).toMatchObject([
      {
        name: "link.ini",
        isLink: true,
        ino: statSync(target).ino,
        linkUid: ownUid,
        linkGid: lstatSync(link).gid,
      },
    ]);
    expect(scan([".ini"], true).entries).toMatchObject([
      { name: "link.ini", isLink: true, ino: lstatSync(link).ino },
    ]);
    rmSync(target);
    expect(scan()).toMatchObject({
      entries: [],
      skipped: [{ name: "link.ini", kind: "dangling" }],
    });
    expect(names(scan([".ini"], true))).toEqual(["link.ini"]);
  });

  rootTest("tells the link's owner apart from its target's", () => {
    const target = file("target");
    const link = join(directory, "link.ini");
    symlinkSync(target, link);
    lchownSync(link, 12, 34);
    chownSync(target, 56, 78);
    expect(scan().entries).toMatchObject([{ uid: 56, gid: 78, linkUid: 12, linkGid: 34 }]);
    expect(scan([".ini"], true).entries).toMatchObject([{ uid: 12, gid: 34 }]);
  });

  test("a name that is no UTF-8 is told apart", () => {
    execFileSync("sh", [
      "-c",
      `touch "$(printf '${directory}/bad\\377.ini')" '${directory}/good.ini'`,
    ]);
    const result = scan();
    expect(result.invalidNames).toEqual(["bad\uFFFD.ini"]);
    expect(names(result)).toEqual(["good.ini"]);
  });

  test("an unreadable directory is an error, never an empty one", () => {
    const missing = join(directory, "missing");
    const attempt = (path: string) => () =>
      scanDirectory({ directory: path, suffixes: [".ini"], nofollow: false });
    expect(attempt(missing)).toThrow(
      expect.objectContaining({ name: "LinuxError", code: "ENOENT", step: "opendir" }),
    );
    expect(attempt(missing)).toThrow(JSON.stringify(missing));
    expect(attempt(file("plain"))).toThrow(expect.objectContaining({ code: "ENOTDIR" }));
    expect(attempt("a\0b")).toThrow(/NUL/);
  });

  test("more entries than one read of the directory brings", () => {
    const many = Array.from({ length: 2000 }, (_, index) => `file with a longer name ${index}.ini`);
    for (const name of many) file(name, "");
    expect(names(scan())).toEqual(many.toSorted());
  });
});

describe("the digest", () => {
  test("stays while nothing changes, and is asked for first", () => {
    for (let index = 0; index < 50; index += 1) file(`${index}.ini`);
    const { digest } = scan();
    expect(digest).toMatch(/^[0-9a-f]{16}$/);
    const again = () =>
      scanDirectory({
        directory,
        suffixes: [".ini", ".xml"],
        nofollow: false,
        previousDigest: digest,
      });
    expect(again()).toEqual({ changed: false, digest });
    file("not-of-interest", "text");
    expect(again()).toEqual({ changed: false, digest });
    file("new.ini");
    expect(again()).toMatchObject({ changed: true });
  });

  test.each<[string, (path: string) => void]>([
    ["content of another length", (path) => writeFileSync(path, "longer than before")],
    ["an older time", (path) => utimesSync(path, 1, 1)],
    ["the mode", (path) => chmodSync(path, 0o600)],
    ["the name", (path) => renameSync(path, `${path}.ini`)],
    ["its absence", (path) => rmSync(path)],
    [
      "another file under the name",
      (path) => {
        writeFileSync(`${path}.new`, "text");
        renameSync(`${path}.new`, path);
      },
    ],
    [
      "a directory under the name",
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ])("sees %s", (_, change) => expectSeen(change));

  rootTest("sees the owner", () => expectSeen((path) => chownSync(path, 12, 0)));
  rootTest("sees the group", () => expectSeen((path) => chownSync(path, 0, 12)));

  function expectSeen(change: (path: string) => void): void {
    file("other.ini");
    const path = file("a.ini", "text");
    const { digest } = scan();
    change(path);
    expect(
      scanDirectory({
        directory,
        suffixes: [".ini", ".xml"],
        nofollow: false,
        previousDigest: digest,
      }),
    ).toMatchObject({ changed: true });
  }

  test("does not depend on the order in which names come", () => {
    const paths = ["a.ini", "b.ini", "c.ini"].map((name) => file(name));
    const forwards = statEntries(paths, false);
    expect(statEntries(paths.toReversed(), false).digest).toBe(forwards.digest);
    expect(statEntries(paths.toReversed(), false, forwards.digest)).toEqual({
      changed: false,
      digest: forwards.digest,
    });
    expect(statEntries(paths.slice(1), false).digest).not.toBe(forwards.digest);
  });

  test("one that is none changes nothing", () => {
    for (const previousDigest of ["", "nonsense", "0"])
      expect(
        scanDirectory({ directory, suffixes: [], nofollow: false, previousDigest }),
      ).toMatchObject({ changed: true });
  });
});

test("statEntries leaves out what vanished and names what is no file", () => {
  const path = file("a.ini");
  mkdirSync(join(directory, "sub"));
  symlinkSync("nowhere", join(directory, "link"));
  const paths = [
    path,
    join(directory, "gone"),
    join(directory, "sub"),
    join(directory, "link"),
    join(directory, "a.ini/b"),
  ];
  expect(statEntries(paths, false)).toMatchObject({
    entries: [{ name: path, size: 5 }],
    skipped: [
      { name: paths[2], kind: "directory" },
      { name: paths[3], kind: "dangling" },
    ],
  });
  expect(statEntries([], false)).toMatchObject({ entries: [], skipped: [] });
});

describe("fileDigest", () => {
  test("depends on the content alone", () => {
    const first = fileDigest(file("a", "content"));
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(fileDigest(file("b", "content"))).toBe(first);
    expect(fileDigest(file("b", "contenu"))).not.toBe(first);
    // SipHash-2-4 under the zero key, of nothing: from an independent implementation.
    expect(fileDigest(file("empty", ""))).toBe("1e924b9d737700d7");
    const large = "0123456789".repeat(10_000);
    expect(fileDigest(file("large", large))).not.toBe(fileDigest(file("larger", `${large}0`)));
  });

  test("refuses what is no regular file, without waiting", () => {
    execFileSync("mkfifo", [join(directory, "fifo")]);
    expect(() => fileDigest(join(directory, "fifo"))).toThrow(
      expect.objectContaining({ code: "EINVAL", step: "read" }),
    );
    expect(() => fileDigest(directory)).toThrow(expect.objectContaining({ code: "EISDIR" }));
    expect(() => fileDigest("/dev/zero")).toThrow(expect.objectContaining({ code: "EINVAL" }));
    expect(() => fileDigest(join(directory, "none"))).toThrow(
      expect.objectContaining({ code: "ENOENT", step: "open" }),
    );
    expect(() => fileDigest(file("huge", "x".repeat(16 * 1024 * 1024 + 1)))).toThrow(
      expect.objectContaining({ code: "EFBIG" }),
    );
  });
});
