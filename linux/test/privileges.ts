/**
 * What a test may need from the machine. A test that needs what is not there is skipped with the
 * reason in its name, so the list at the end of a run says what was not tried; with
 * REQUIRE_PRIVILEGED=1, as in CI, a skip is a failure (see scripts/ci-steps.mjs). It imports nothing
 * of ours, so that the unit tests of every package may use it.
 */
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "vitest";

export type DefineTest = (name: string, body: () => Promise<void> | void) => void;

/** Defines tests that are skipped, visibly, unless `there`. */
export function needing(there: boolean, reason: string): DefineTest {
  return (name, body) => {
    test.skipIf(!there)(`${name}${there ? "" : ` [${reason}]`}`, body);
  };
}

export const ownUid = process.geteuid?.() ?? 0;
export const ownGid = process.getegid?.() ?? 0;

export const isRoot = ownUid === 0;

export const rootTest = needing(isRoot, "needs root");

/** Every directory on the way may be entered by everybody: a checkout below /root may not. */
function isOpenToOthers(path: string): boolean {
  const folder = dirname(path);
  return (statSync(path).mode & 0o001) !== 0 && (folder === path || isOpenToOthers(folder));
}

/** A program of ours becomes another user and goes on reading its own files. */
export const otherUserTest = needing(
  isRoot && isOpenToOthers(import.meta.dirname),
  "needs root, and a checkout that other users may enter",
);

/** Whether a plain user gets a user namespace, where it may mount: some systems forbid it. */
function hasUserNamespaces(): boolean {
  try {
    execFileSync("unshare", ["--user", "--map-root-user", "--mount", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A test whose children run in a user namespace of their own when it is not run by root. */
export function userNamespaceTest(name: string, body: () => Promise<void> | void): void {
  needing(isRoot || hasUserNamespaces(), "needs root or user namespaces")(name, body);
}
