/** What is wrong on a command line or in a file is said, all of it, with its place. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSettings } from "./read-settings.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "settings-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

async function problemsOf(...argv: readonly string[]): Promise<string> {
  const reading = await readSettings({
    argv,
    environment: {},
    startDirectory: directory,
    defaultBinaryPath: "/opt/bin/vassal",
    version: "0.1.0",
  });
  return reading.ok === false ? reading.problems.join("\n") : `accepted: ${String(reading.ok)}`;
}

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe("nonsense", () => {
  it("names the unknown option of the command line and the nearest known one", async () => {
    expect(await problemsOf("--emperor", "a", "--emperor-wraper", "x")).toMatch(
      /emperor-wraper.*emperor-wrapper/,
    );
  });

  it.each([
    [["--emperor-freq", "0"], /emperor-freq.*greater than 0.*"0"/],
    [["--emperor-freq", "soon"], /emperor-freq.*"soon"/],
    [["--emperor-curse-tolerance", "-1"], /emperor-curse-tolerance.*"-1"/],
    [["--emperor-cap", "nonsense"], /emperor-cap.*"nonsense"/],
    [["--emperor-use-clone", "pid,nonsense"], /emperor-use-clone.*"nonsense".*mount/],
    [["--hook-as-vassal", "true"], /hook-as-vassal.*ACTION:ARGUMENT/],
    [["--safe-fd", "x"], /safe-fd.*"x"/],
    [["--env", "A"], /env.*NAME=VALUE/],
    [["--umask", "9"], /umask.*octal/],
    [["--logto", "10.0.0.1:514"], /logto.*network address/],
    [["--hook-as-emperor-setns", "x"], /hook-as-emperor-setns.*not available/],
    [["--emperor-on-demand-mode", "9"], /emperor-on-demand-mode.*octal/],
    [["--emperor-on-demand-idle", "soon"], /emperor-on-demand-idle/],
    [["--emperor-on-demand-backlog", "0"], /emperor-on-demand-backlog/],
    [["--chroot", "/x"], /chroot.*not available/],
    [["--call-as-emperor", "f"], /C function/],
  ])("%j is refused with the reason", async (argv, message) => {
    expect(await problemsOf("--emperor", "a", ...argv)).toMatch(message);
  });

  it("reports all that is wrong at once, each with its place", async () => {
    const path = file("e.ini", "[uwsgi]\nemperor = a\nlisten = many\numask = 8\nchroot = /x\n");
    const problems = await problemsOf(path);
    for (const line of [3, 4, 5]) expect(problems).toContain(`e.ini:${line}`);
  });

  it("a refused flag that is turned off is none", async () => {
    const path = file("e.ini", "[uwsgi]\nemperor = a\njailed = false\n");
    expect(await problemsOf(path)).toBe("accepted: true");
  });
});
