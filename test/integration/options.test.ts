/** How an Emperor is told what to do: command line, files of four formats, and what it says to nonsense. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { emperorCommand, newRun, startEmperor } from "../harness/emperor.ts";
import type { Run } from "../harness/emperor.ts";
import { processInfo, signalTo } from "../harness/processes.ts";
import { waitFor } from "../harness/wait.ts";

const loyal = vassalConfig("loyal");

/** The harness's own options in a file instead of on the command line. */
function settings(run: Run): Readonly<Record<string, string>> {
  return {
    emperor: run.vassals,
    "emperor-wrapper": inject("fixtureVassal"),
    "emperor-stats": join(run.path, "stats.sock"),
    "emperor-pidfile": join(run.path, "file.pid"),
  };
}

const WRITERS: Readonly<
  Record<string, (entries: readonly (readonly [string, string])[]) => string>
> = {
  ini: (entries) => `[uwsgi]\n${entries.map(([key, value]) => `${key} = ${value}\n`).join("")}`,
  xml: (entries) =>
    `<uwsgi>\n${entries.map(([key, value]) => `<${key}>${value}</${key}>\n`).join("")}</uwsgi>\n`,
  yaml: (entries) => `uwsgi:\n${entries.map(([key, value]) => `  ${key}: ${value}\n`).join("")}`,
  json: (entries) => JSON.stringify({ uwsgi: Object.fromEntries(entries) }),
};

describe("a file of options", () => {
  test.for(["ini", "xml", "yaml", "json"])(
    "in %s, by its option and as the only argument",
    async (format) => {
      for (const asOption of [true, false]) {
        const run = newRun();
        const file = join(run.path, `emperor.${format}`);
        writeFileSync(file, WRITERS[format]?.(Object.entries(settings(run))) ?? "");
        run.put("a.ini", loyal);
        const emperor = await startEmperor(
          {
            monitors: [],
            wrapper: null,
            stats: null,
            frequencySeconds: null,
            args: asOption ? [`--${format}`, file] : [file],
          },
          run,
        );
        await emperor.report("settled", "a.ini");
        expect(readFileSync(join(run.path, "file.pid"), "utf8")).toBe(`${emperor.pid}\n`);
      }
    },
  );

  test("as Debian ships it starts unchanged; what means nothing here is said and ignored", async () => {
    const run = newRun();
    const lines = [
      "[uwsgi]",
      '; try to autoload appropriate plugin if "unknown" option has been specified',
      "autoload = true",
      "; enable master process manager",
      "master = true",
      "workers = 2",
      "no-orphans = true",
      "log-date = true",
      ...Object.entries(settings(run)).map(([key, value]) => `${key} = ${value}`),
    ];
    writeFileSync(join(run.path, "emperor.ini"), `${lines.join("\n")}\n`);
    run.put("a.ini", loyal);
    const emperor = await startEmperor(
      {
        monitors: [],
        wrapper: null,
        stats: null,
        frequencySeconds: null,
        args: ["--ini", "{dir}/emperor.ini"],
      },
      run,
    );
    await emperor.report("settled", "a.ini");
    for (const option of ["workers", "no-orphans"])
      await emperor.logged(new RegExp(`${option}.*(ignored|means nothing)`));
  });
});

describe("the command line", () => {
  test("--option=value is --option value", async () => {
    const emperor = await startEmperor({
      monitors: [],
      args: ["--emperor={vassals}"],
      vassals: { "a.ini": loyal },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
  });

  test("an unknown option ends the start, names the nearest known one and starts nothing", async () => {
    const run = newRun();
    run.put("a.ini", loyal);
    const result = await emperorCommand(
      ["--emperor", run.vassals, "--emperor-wraper", inject("fixtureVassal")],
      {},
      run,
    );
    expect(result.code).toBe(100);
    expect(result.output).toContain("emperor-wraper");
    expect(result.output).toContain("emperor-wrapper");
    expect(run.reports.of("started")).toEqual([]);
  });

  test("an unknown scheme is an error that names the nearest known one", async () => {
    const result = await emperorCommand(["--emperor", "globb:///tmp/*.ini"]);
    expect(result.code).toBe(100);
    expect(result.output).toContain("globb");
    expect(result.output).toContain("glob");
  });

  test.for([
    ["--emperor-freq", "0"],
    ["--emperor-freq", "soon"],
    ["--emperor-curse-tolerance", "-1"],
    ["--emperor-cap", "nonsense"],
  ] as const)("%s %s is an error that says so", async ([option, value]) => {
    const run = newRun();
    const result = await emperorCommand(["--emperor", run.vassals, option, value], {}, run);
    expect(result.code).toBe(100);
    expect(result.output).toContain(option.slice(2));
    expect(result.output).toContain(value);
  });

  test("a missing file of options is named", async () => {
    const result = await emperorCommand(["--ini", "/no/such/emperor.ini"]);
    expect(result.code).not.toBe(0);
    expect(result.output).toContain("/no/such/emperor.ini");
  });

  test("--help lists the options, --version says the version, --imperial-monitor-list the monitors", async () => {
    const help = await emperorCommand(["--help"]);
    expect(help.code).toBe(0);
    for (const option of [
      "--emperor",
      "--emperor-stats",
      "--emperor-tyrant",
      "--vassal-set",
      "--ini",
    ]) {
      expect(help.output).toContain(option);
    }
    const version = await emperorCommand(["--version"]);
    expect(version.code).toBe(0);
    expect(version.output).toMatch(/\d+\.\d+\.\d+/);
    const monitors = await emperorCommand(["--imperial-monitor-list"]);
    expect(monitors.output).toMatch(/\bdir\b/);
    expect(monitors.output).toMatch(/\bglob\b/);
  });
});

describe("files that the Emperor writes", () => {
  test("a pidfile is locked while it lives: a second Emperor says who holds it and ends", async () => {
    const first = await startEmperor({
      args: ["--emperor-pidfile", "{dir}/emperor.pid"],
      vassals: { "a.ini": loyal },
    });
    const { pid } = await first.vassalWith("a.ini", { loyal: 1 });
    const second = await emperorCommand(
      ["--emperor", first.run.vassals, "--emperor-pidfile", join(first.run.path, "emperor.pid")],
      {},
      first.run,
    );
    expect(second.code).toBe(111);
    expect(second.output).toContain("emperor.pid");
    expect(second.output).toContain(String(first.pid));
    expect((await first.vassal("a.ini"))?.pid).toBe(pid);
    expect(first.starts("a.ini")).toBe(1);
    first.signal("SIGTERM");
    await first.ended();
    expect(existsSync(join(first.run.path, "emperor.pid"))).toBe(false);
  });

  test("a pidfile of an Emperor that was killed is taken over", async () => {
    const first = await startEmperor({ args: ["--pidfile", "{dir}/emperor.pid"] });
    first.signal("SIGKILL");
    await first.ended();
    const second = await startEmperor({ args: ["--pidfile", "{dir}/emperor.pid"] }, first.run);
    expect(readFileSync(join(first.run.path, "emperor.pid"), "utf8")).toBe(`${second.pid}\n`);
  });

  test("--logto has the log of Emperor and vassals", async () => {
    const emperor = await startEmperor({
      args: ["--logto", "{dir}/emperor.log"],
      vassals: { "a.ini": loyal },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.wait("both to be in the file", () => {
      const log = readFileSync(join(emperor.run.path, "emperor.log"), "utf8");
      return (
        log.includes("[emperor] vassal a.ini is now loyal") && log.includes("hello from a.ini")
      );
    });
  });

  test("--log-format json writes one object per line", async () => {
    const emperor = await startEmperor({
      args: ["--log-format", "json"],
      vassals: { "a.ini": loyal },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    const line = await emperor.logged(/is now loyal/);
    expect(JSON.parse(line)).toMatchObject({ vassal: "a.ini" });
  });

  test("--daemonize: the command returns, the Emperor lives in the background and logs to the file", async () => {
    const run = newRun();
    run.put("a.ini", loyal);
    const all = { ...settings(run), daemonize: join(run.path, "daemon.log") };
    writeFileSync(join(run.path, "emperor.ini"), WRITERS["ini"]?.(Object.entries(all)) ?? "");
    const output = execFileSync(
      join(import.meta.dirname, "../../bin/emperor"),
      ["--ini", join(run.path, "emperor.ini")],
      {
        env: run.environment(),
        cwd: run.path,
        encoding: "utf8",
        timeout: 20_000,
      },
    );
    expect(output).toBe("");
    const pid = Number(readFileSync(join(run.path, "file.pid"), "utf8"));
    onTestFinished(() => {
      if (processInfo(pid)?.command.includes("emperor") === true) signalTo(pid, "SIGKILL");
    });
    await waitFor("the vassal of the daemon", () => run.reports.of("settled", "a.ini")[0]);
    await waitFor("the daemon's log", () =>
      readFileSync(join(run.path, "daemon.log"), "utf8").includes("starting uWSGI Emperor"),
    );
    signalTo(pid, "SIGTERM");
    await waitFor("the daemon and its vassal to be gone", () => run.processes().length === 0);
  });
});

describe("what the Emperor is", () => {
  test("--emperor-procname is its title", async () => {
    const emperor = await startEmperor({ args: ["--emperor-procname", "my emperor"] });
    expect(processInfo(emperor.pid)?.command).toContain("my emperor");
  });

  test("--chdir: relative monitors are meant from there", async () => {
    const emperor = await startEmperor({
      monitors: [],
      args: ["--chdir", "{dir}/home", "--emperor", "sites"],
      prepare: (run) => {
        mkdirSync(join(run.path, "home/sites"), { recursive: true });
        run.put(join(run.path, "home/sites/a.ini"), loyal);
      },
    });
    await emperor.vassalWith("a.ini", { loyal: 1, monitor: join(emperor.run.path, "home/sites") });
  });

  test("without anything to do it says how it is used", async () => {
    const result = await emperorCommand([]);
    expect(result.code).toBe(100);
    expect(result.output).toContain("--emperor");
  });
});
