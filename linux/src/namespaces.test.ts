import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDirectory, removeDirectory } from "../test/harness.ts";
import { isRoot, rootTest } from "../test/privileges.ts";
import {
  changeRoot,
  CLONE_NEW,
  MOUNT,
  mount,
  pivotRoot,
  setHostName,
  setns,
  umount,
  UMOUNT,
  unshare,
} from "./index.ts";

let directory = "";
const cwd = process.cwd();
beforeAll(() => {
  directory = freshDirectory();
});
afterAll(() => {
  removeDirectory(directory);
});

/** Runs with this thread in a new namespace, and comes back. */
function within(kind: "uts" | "mount", file: string, body: () => void): void {
  const path = `/proc/thread-self/ns/${file}`;
  const home = openSync(path, "r");
  const before = readlinkSync(path);
  try {
    unshare(CLONE_NEW[kind]);
    expect(readlinkSync(path)).not.toBe(before);
    body();
  } finally {
    setns(home, CLONE_NEW[kind]);
    closeSync(home);
  }
  expect(readlinkSync(path)).toBe(before);
}

rootTest("a namespace is left, used and joined again", () => {
  const before = hostname();
  within("uts", "uts", () => {
    setHostName("somewhere.else");
    expect(hostname()).toBe("somewhere.else");
  });
  expect(hostname()).toBe(before);
});

rootTest("mounts stay in their namespace and can be taken away", () => {
  const target = join(directory, "target");
  mkdirSync(target);
  within("mount", "mnt", () => {
    mount({ source: "none", target: "/", fstype: "none", flags: MOUNT.rec | MOUNT.private });
    mount({
      source: "none",
      target,
      fstype: "tmpfs",
      flags: MOUNT.nosuid | MOUNT.nodev,
      data: "size=64k",
    });
    expect(readFileSync("/proc/thread-self/mountinfo", "utf8")).toMatch(
      new RegExp(`${target} rw,nosuid,nodev`),
    );
    mkdirSync(join(target, "inside"));
    umount(target, UMOUNT.nofollow);
    expect(readdirSync(target)).toEqual([]);
  });
  process.chdir(cwd);
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(target);
});

test("refusals carry step, errno and target", () => {
  // A plain user may not even try.
  const code = isRoot ? "EINVAL" : "EPERM";
  expect(() => unshare(CLONE_NEW.user)).toThrow(
    expect.objectContaining({ code: "EINVAL", step: "unshare" }),
  );
  expect(() => setns(999_999, 0)).toThrow(
    expect.objectContaining({ code: "EBADF", step: "setns" }),
  );
  expect(() => umount(directory)).toThrow(expect.objectContaining({ code, step: "umount" }));
  expect(() =>
    mount({ source: "none", target: join(directory, "none"), fstype: "tmpfs", flags: 0 }),
  ).toThrow(/"[^"]+\/none" failed: No such file/);
  expect(() => setHostName("x".repeat(100))).toThrow(
    expect.objectContaining({ code, step: "sethostname" }),
  );
});

test("a root that is no directory is refused", () => {
  const code = isRoot ? "ENOENT" : expect.stringMatching(/^(ENOENT|EPERM)$/);
  expect(() => changeRoot(join(directory, "none"))).toThrow(
    expect.objectContaining({ code, step: "chroot" }),
  );
  // Not a mount point, and with the system's own mounts shared or not.
  expect(() => pivotRoot(directory, directory)).toThrow(
    expect.objectContaining({
      code: isRoot ? expect.stringMatching(/^(EINVAL|EBUSY)$/) : "EPERM",
      step: "pivot_root",
    }),
  );
});
