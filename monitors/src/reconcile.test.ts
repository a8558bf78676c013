import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fileIdOf, sameVersion, versionOf } from "./file-facts.ts";
import type { FileFacts } from "./file-facts.ts";
import { applyDifference, reconcile } from "./reconcile.ts";

// Few values each, so that equal and nearly equal files are common.
const few = fc.integer({ min: 0, max: 2 });
const facts = (name: string): fc.Arbitrary<FileFacts> =>
  fc.record({
    name: fc.constant(name),
    dev: few,
    ino: few,
    size: few,
    mtimeSec: few,
    mtimeNsec: few,
    ctimeSec: fc.constant(0),
    ctimeNsec: fc.constant(0),
    uid: few,
    gid: fc.constant(0),
    nlink: fc.constant(1),
    isLink: fc.constant(false),
  });
const names = ["a.ini", "b.ini", "c.ini", "d.ini"];
const source: fc.Arbitrary<Map<string, FileFacts>> = fc
  .tuple(...names.map((name) => fc.option(facts(name), { nil: undefined })))
  .map(
    (list) =>
      new Map(list.flatMap((file) => (file === undefined ? [] : [[file.name, file] as const]))),
  );

describe("reconcile", () => {
  test("applied to the first scan it makes the second", () => {
    fc.assert(
      fc.property(source, source, (before, after) => {
        const result = applyDifference(before, reconcile(before, after));
        expect([...result.keys()].sort()).toEqual([...after.keys()].sort());
        for (const [name, file] of after) expect(result.get(name)).toEqual(file);
      }),
    );
  });

  test("a scan does not differ from itself", () => {
    fc.assert(
      fc.property(source, (scan) => {
        expect(reconcile(scan, scan)).toEqual({ added: [], changed: [], touched: [], removed: [] });
      }),
    );
  });

  test("each name is in at most one list, and the lists say what they mean", () => {
    fc.assert(
      fc.property(source, source, (before, after) => {
        const { added, changed, touched, removed } = reconcile(before, after);
        const all = [...[...added, ...changed, ...touched].map(({ name }) => name), ...removed];
        expect(new Set(all).size).toBe(all.length);
        for (const { name } of added) expect(before.has(name)).toBe(false);
        for (const name of removed) expect(after.has(name)).toBe(false);
        for (const file of touched)
          expect({ ...before.get(file.name), ...timeOf(file) }).toEqual(file);
        for (const file of changed)
          expect({ ...before.get(file.name), ...timeOf(file) }).not.toEqual(file);
      }),
    );
  });

  test("with a scope it speaks of nothing else", () => {
    fc.assert(
      fc.property(source, source, fc.subarray(names), (before, after, scope) => {
        const result = applyDifference(before, reconcile(before, after, scope));
        for (const name of names) {
          expect(result.get(name)).toEqual(
            scope.includes(name) ? after.get(name) : before.get(name),
          );
        }
      }),
    );
  });

  test("two files have one version text exactly if they are one version", () => {
    fc.assert(
      fc.property(facts("a.ini"), facts("a.ini"), (a, b) => {
        expect(versionOf(a) === versionOf(b)).toBe(sameVersion(a, b));
      }),
    );
  });
});

test("the file id is device and inode", () => {
  const property = fc.property(facts("a.ini"), (file) => {
    expect(fileIdOf(file)).toBe(`${file.dev}:${file.ino}`);
  });
  fc.assert(property);
});

function timeOf({ mtimeSec, mtimeNsec }: FileFacts): Partial<FileFacts> {
  return { mtimeSec, mtimeNsec };
}
