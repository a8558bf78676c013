import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkAction, performAction } from "./hook-actions.ts";

it("does what it says to files and variables", () => {
  const folder = mkdtempSync(join(tmpdir(), "hooks-"));
  const variables: Record<string, string | undefined> = {};
  const perform = (action: string, argument: string): void => {
    expect(checkAction(action, argument)).toBeUndefined();
    performAction(action, argument, {
      setVariable: (name, value) => {
        variables[name] = value;
      },
    });
  };
  try {
    const file = join(folder, "file");
    perform("writen", `${file} one  two`);
    perform("append", `${file} three`);
    perform("appendn", file);
    expect(readFileSync(file, "utf8")).toBe("one  two\nthree\n");
    perform("chmod", `${file} 600`);
    perform("sticky", file);
    expect(statSync(file).mode & 0o7777).toBe(0o1600);
    perform("exec", `echo shell > '${file}'`);
    expect(readFileSync(file, "utf8")).toBe("shell\n");
    expect(() => perform("exec", "exit 3")).toThrow(/exited with 3/);
    perform("safeexec", "exit 3");
    expect(() => perform("mkdir", folder)).toThrow(/EEXIST/);
    perform("create", file);
    expect(statSync(file).size).toBe(0);
    perform("unlink", file);
    expect(() => perform("writefifo", `${file} text`)).toThrow(/ENOENT/);
    expect(() => perform("chown", `${folder} no-such-user root`)).toThrow(/no user/);
    perform("putenv", "A=b=c d");
    perform("unsetenv", "B");
    expect(variables).toEqual({ A: "b=c d", B: undefined });
    perform("wait_for_dir", folder);
    expect(() => perform("exec", "kill -9 $$")).toThrow(/ended by SIGKILL/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it.each([
  ["rpc", "x", /"rpc" is not served: there are no RPC functions/],
  ["call", "x", /"call" is not served: there are no C symbols/],
  ["dance", "x", /"dance" is not served \(served: exec, .*wait_for_socket/],
  ["wait_for_fs", "", /needs PATH/],
  ["toString", "x", /not served/],
  ["chmod", "/x rw", /no mode/],
  ["chown2", "/x a b", /numbers/],
  ["mount", "tmpfs none", /needs TYPE SOURCE TARGET/],
  ["mount", "tmpfs none /x what", /"what" is no flag/],
  ["umount", "/x what", /no flag/],
  ["putenv", "A", /NAME=VALUE/],
  ["exit", "x", /number/],
  ["exec", " ", /needs LINE/],
])("refuses %s:%s when the configuration is read", (action, argument, problem) => {
  expect(checkAction(action, argument)).toMatch(problem);
});
