/** What is remembered of directories that hold configs, over a file system of its own. */
import { expect, test } from "vitest";
import { DirectoryGuards } from "./directory-guards.ts";
import type { Identity } from "./eyes.ts";
import { guardOf, sameVersion, versionOf, type FileFacts } from "./file-facts.ts";

const FACTS: FileFacts = {
  ...{ name: "a.ini", dev: 1, ino: 2, size: 3, mtimeSec: 4, mtimeNsec: 5, ctimeSec: 6 },
  ...{ ctimeNsec: 7, uid: 8, gid: 9, nlink: 1, isLink: false, mode: 0o100644 },
};

function guardsOf(found: () => Partial<Identity> | undefined | "error") {
  return new DirectoryGuards({
    identify: () => {
      const now = found();
      if (now === "error") throw new Error("EACCES");
      return now === undefined
        ? undefined
        : { dev: 1, ino: 1, isDirectory: true, mtimeMs: 0, ...now };
    },
  });
}

test("another owner or other people's right to write is another state, and nothing else", () => {
  let now: Partial<Identity> | undefined | "error" = { uid: 0, mode: 0o40755 };
  const guards = guardsOf(() => now);
  const first = guards.stateOf("/v");
  expect(guards.refresh()).toBe(false);
  now = { uid: 0, mode: 0o40700, mtimeMs: 5 };
  expect(guards.refresh()).toBe(false);
  for (const other of [
    { uid: 0, mode: 0o40775 },
    { uid: 7, mode: 0o40755 },
    undefined,
    "error",
  ] as const) {
    now = other;
    const differs = guards.refresh();
    expect(guards.stateOf("/v")).not.toBe(first);
    // What cannot be seen is one state, whatever the reason.
    expect(differs).toBe(other !== "error");
  }
  now = { uid: 0, mode: 0o40755 };
  expect(guards.refresh()).toBe(true);
  expect(guards.stateOf("/v")).toBe(first);
});

test("a config's guard makes its version, in Tyrant mode only", () => {
  const guarded = (changes: Partial<FileFacts>, directory = 0): FileFacts => {
    const facts = { ...FACTS, ...changes };
    return { ...facts, guard: guardOf(facts, directory) };
  };
  const plain = guarded({});
  for (const other of [
    guarded({ mode: 0o100664 }),
    guarded({ mode: 0o100646 }),
    guarded({ nlink: 2 }),
    guarded({}, 1),
  ]) {
    expect(sameVersion(plain, other)).toBe(false);
    expect(versionOf(plain)).not.toBe(versionOf(other));
  }
  expect(sameVersion(plain, guarded({ mode: 0o100600, ctimeSec: 99 }))).toBe(true);
  expect(sameVersion(FACTS, { ...FACTS, mode: 0o100666, nlink: 2 })).toBe(true);
  // A link's own bits say nothing.
  expect(guarded({ isLink: true, mode: 0o120777 }).guard).toBe(0);
});
