import { describe, expect, test } from "vitest";
import type { SetupAction } from "@emperor/linux";
import { asSetupAction, parseHookActions, type Deed } from "./hook-actions.ts";
import { hook } from "./spawn.fixture.ts";

function deedOf(action: string, argument: string): Deed {
  const parsed = parseHookActions([hook(action, argument)]);
  if (!parsed.ok) throw new Error(parsed.problems.join("; "));
  return parsed.actions[0]!.deed;
}

function setupOf(action: string, argument: string): SetupAction {
  const deed = deedOf(action, argument);
  if (deed.kind !== "setup") throw new Error(`${action} is a ${deed.kind}`);
  return deed.setup;
}

function problemOf(action: string, argument: string): string {
  const parsed = parseHookActions([hook(action, argument, "hook-as-vassal (e.ini:12)")]);
  if (parsed.ok) throw new Error(`${action}:${argument} was accepted`);
  return parsed.problems.join("; ");
}

describe("actions", () => {
  test.each<[string, string, SetupAction]>([
    ["cd", "/srv/my app", { kind: "chdir", path: "/srv/my app" }],
    ["chdir", '"/srv/my app"', { kind: "chdir", path: "/srv/my app" }],
    ["mkdir", "/a", { kind: "mkdir", path: "/a", mode: 0o777 }],
    ["unlink", "'/a b'", { kind: "unlink", path: "/a b" }],
    ["putenv", "A=b=c d", { kind: "putenv", assignment: "A=b=c d" }],
    ["chmod", "/a 640", { kind: "chmod", path: "/a", mode: 0o640 }],
    ["chmod", "'/a b' 1777", { kind: "chmod", path: "/a b", mode: 0o1777 }],
    ["chmod", "/a 0755", { kind: "chmod", path: "/a", mode: 0o755 }],
    ["chown2", "/a 10 20", { kind: "chown", path: "/a", uid: 10, gid: 20 }],
    ["hostname", "vassal001", { kind: "hostname", name: "vassal001" }],
    ["exit", "", { kind: "exit", code: 0 }],
    ["exit", "7", { kind: "exit", code: 7 }],
    ["umount", "/a", { kind: "umount", target: "/a", flags: 0 }],
    ["umount", "/a rec,force", { kind: "umount", target: "/a", flags: 3 }],
  ])("%s:%s", (action, argument, expected) => {
    expect(setupOf(action, argument)).toEqual(expected);
  });

  test.each([
    ["write", "/f  two words ", " two words ", false],
    ["writen", "/f x", "x\n", false],
    ["append", "/f x y", "x y", true],
    ["appendn", "/f x", "x\n", true],
    ["appendn", "/f", "\n", true],
    ["create", "/f", "", false],
    ["creat", "/f", "", false],
  ])("%s:%s writes %j", (action, argument, text, append) => {
    expect(setupOf(action, argument)).toMatchObject({ kind: "write", path: "/f", text, append });
  });

  test("a quoted file may have blanks, the text keeps its quotes", () => {
    expect(setupOf("write", `"/a b" say "hi"`)).toMatchObject({ path: "/a b", text: `say "hi"` });
  });

  test("writefifo gives file and text as parameters, never as shell", () => {
    const made = setupOf("writefifo", "'/f $(id)' go \"on\"");
    expect(made.kind === "argv" && made.argv.slice(3)).toEqual([
      "writefifo",
      "/f $(id)",
      'go "on"',
    ]);
  });

  test("mount knows flags and data", () => {
    expect(setupOf("mount", "proc none /proc")).toEqual({
      ...{ kind: "mount", fstype: "proc", source: "none", target: "/proc", flags: 0, data: "" },
    });
    expect(setupOf("mount", "none /distros/x /ns/001 bind,ro,rec")).toMatchObject({
      ...{ flags: 0x1000 | 0x1 | 0x4000, source: "/distros/x", target: "/ns/001" },
    });
    expect(setupOf("mount", "tmpfs none '/a b' nosuid,defaults size=1m,mode=700")).toMatchObject({
      ...{ target: "/a b", flags: 2, data: "size=1m,mode=700" },
    });
  });

  test("names of users are left to chown, in the child; a file that looks like an option is none", () => {
    expect(setupOf("chown", "-R www-data adm")).toMatchObject({
      argv: ["/bin/chown", "--", "www-data:adm", "-R"],
    });
    expect(setupOf("sticky", "/a b")).toMatchObject({ argv: ["/bin/chmod", "--", "+t", "/a b"] });
  });

  test("commands are lines for a shell; print is only said", () => {
    expect(deedOf("exec", "echo $PPID >> /x")).toEqual({
      ...{ kind: "command", line: "echo $PPID >> /x", tolerant: false },
    });
    expect(deedOf("safeexec", "false")).toMatchObject({ tolerant: true });
    expect(deedOf("print", "100 %s")).toEqual({ kind: "log", text: "100 %s" });
    const parsed = parseHookActions([hook("exec", "true"), hook("log", "x")]);
    expect(parsed.ok && parsed.actions.map((action) => asSetupAction(action, "/bin/dash"))).toEqual(
      [{ kind: "shell", shell: "/bin/dash", line: "true", tolerant: false }, undefined],
    );
  });

  test("a private action keeps its argument out of the log", () => {
    const parsed = parseHookActions([hook("!exec", "login --password x")]);
    expect(parsed.ok && parsed.actions[0]).toMatchObject({
      label: "--- PRIVATE HOOK ---",
      deed: { kind: "command", line: "login --password x" },
    });
  });
});

describe("mistakes are told with option and place", () => {
  test.each([
    ["chmod", "/a 9", "octal"],
    ["chmod", "/a", "file mode"],
    ["chmod", "/a 77777", "octal"],
    ["chown2", "/a www 1", "numbers"],
    ["chown", "/a www", "file user group"],
    ["mount", "proc /proc", "fstype source target"],
    ["mount", "a b c bind,bindd", '"bindd" is no mount flag'],
    ["umount", "/a lazy", '"lazy" is no umount flag'],
    ["exit", "256", "exit code"],
    ["exit", "x", "exit code"],
    ["cd", "", "path is missing"],
    ["write", "/f", "file text"],
    ["write", "'/f x", "never closed"],
    ["exec", " ", "command is missing"],
    ["putenv", "=x", "NAME=VALUE"],
    ["call", "fun", "C function"],
    ["rpc", "f", "use exec"],
    ["wait_for_file", "/x", "limit"],
    ["spinningfifo", "/x y", "limit"],
    ["constructor", "x", "unknown action"],
    ["nonsense", "x", "unknown action"],
  ])("%s:%s", (action, argument, expected) => {
    expect(problemOf(action, argument)).toContain("hook-as-vassal (e.ini:12)");
    expect(problemOf(action, argument)).toContain(expected);
  });

  test("all of them are told at once", () => {
    const parsed = parseHookActions([hook("a", ""), hook("exec", "true"), hook("b", "")]);
    expect(parsed.ok || parsed.problems.length).toBe(2);
  });
});
