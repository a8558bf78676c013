import type { VassalSpec } from "@emperor/monitors";
import { describe, expect, test } from "vitest";
import { FileClaims } from "./claims.ts";

function spec(monitor: string, name: string, path: string, fileId?: string): VassalSpec {
  const identity = fileId === undefined ? {} : { fileId };
  return {
    name,
    monitor,
    path,
    version: "1",
    modifiedAt: 0,
    cwd: "/",
    attributes: {},
    ...identity,
  };
}

const asIs = (directory: string): string => directory;

describe("one file that two monitors find is one vassal", () => {
  test("the second monitor is told once who governs it, and inherits it when the first lets go", () => {
    const claims = new FileClaims(asIs);
    const first = spec("dir:/v", "a.ini", "/v/a.ini", "1:10");
    const second = spec("glob:/v/*", "/v/a.ini", "/v/a.ini", "1:10");
    expect(claims.claim(first)).toEqual({ outcome: "granted" });
    expect(claims.claim(second)).toEqual({ outcome: "shadowed", owner: first, first: true });
    expect(claims.claim(second)).toEqual({ outcome: "shadowed", owner: first, first: false });
    expect(claims.shadowedNames("glob:/v/*")).toEqual(["/v/a.ini"]);
    expect(claims.release(first)).toEqual([second]);
    expect(claims.claim(second)).toEqual({ outcome: "granted" });
    expect(claims.shadowedNames("glob:/v/*")).toEqual([]);
  });

  test("a directory that goes by two names is one directory", () => {
    const claims = new FileClaims((directory) => (directory === "/link" ? "/v" : directory));
    claims.claim(spec("dir:/v", "a.ini", "/v/a.ini"));
    expect(claims.claim(spec("dir:/link", "a.ini", "/link/a.ini")).outcome).toBe("shadowed");
  });

  test("hard links in two directories are one file, links to one skeleton are not", () => {
    const claims = new FileClaims(asIs);
    claims.claim(spec("dir:/v", "a.ini", "/v/a.ini", "1:10"));
    expect(claims.claim(spec("dir:/w", "b.ini", "/w/b.ini", "1:10")).outcome).toBe("shadowed");
    expect(claims.claim(spec("dir:/w", "c.ini", "/w/c.ini")).outcome).toBe("granted");
  });

  test("a file replaced by rename keeps its owner although its inode is new", () => {
    const claims = new FileClaims(asIs);
    claims.claim(spec("dir:/v", "a.ini", "/v/a.ini", "1:10"));
    claims.claim(spec("glob:/v/*", "/v/a.ini", "/v/a.ini", "1:10"));
    expect(claims.claim(spec("glob:/v/*", "/v/a.ini", "/v/a.ini", "1:11")).outcome).toBe(
      "shadowed",
    );
    expect(claims.claim(spec("dir:/v", "a.ini", "/v/a.ini", "1:11")).outcome).toBe("granted");
  });

  test("a shadow that vanished does not inherit; releasing twice gives nothing", () => {
    const claims = new FileClaims(asIs);
    const first = spec("dir:/v", "a.ini", "/v/a.ini");
    claims.claim(first);
    claims.claim(spec("glob:/v/*", "/v/a.ini", "/v/a.ini"));
    expect(claims.dropShadow("glob:/v/*", "/v/a.ini")).toBe(true);
    expect(claims.dropShadow("glob:/v/*", "/v/a.ini")).toBe(false);
    expect(claims.release(first)).toEqual([]);
    expect(claims.release(first)).toEqual([]);
  });

  test("entries of a database have no file and never collide", () => {
    const claims = new FileClaims(asIs);
    const row: VassalSpec = {
      name: "a.ini",
      monitor: "pg://x",
      version: "1",
      modifiedAt: 0,
      cwd: "/",
      attributes: {},
    };
    expect(claims.claim(row).outcome).toBe("granted");
    expect(claims.claim({ ...row, monitor: "pg://y" }).outcome).toBe("granted");
  });
});
