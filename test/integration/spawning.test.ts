/** What a vassal is given: arguments, environment, descriptors, program, directory, config, hooks. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import type { Run } from "../harness/emperor.ts";
import { processInfo, signalTo } from "../harness/processes.ts";

const loyal = vassalConfig("loyal");

/** A shell script in the folder of the run; gives its path. */
function script(run: Run, name: string, body: string): string {
  const path = join(run.path, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

describe("arguments", () => {
  test("templates stand before and after the config, in uWSGI's order", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal },
      args: [
        ...[
          "--vassals-include",
          "after.ini",
          "--vassals-inherit",
          "heir.ini",
          "--vassal-set",
          "processes=2",
        ],
        ...[
          "--vassals-set",
          "threads=4",
          "--vassals-include-before",
          "first.ini",
          "--vassals-inherit-before",
          "zero.ini",
        ],
      ],
    });
    const { argv } = await emperor.started("a.ini");
    expect(argv).toEqual([
      inject("fixtureVassal"),
      ...[
        "--inherit",
        "zero.ini",
        "--include",
        "first.ini",
        "--set",
        "processes=2",
        "--set",
        "threads=4",
      ],
      ...["--ini", "a.ini", "--inherit", "heir.ini", "--include", "after.ini"],
    ]);
  });

  test("an extra extension is passed with --config", async () => {
    const emperor = await startEmperor({
      vassals: { "a.conf": loyal },
      args: ["--emperor-extra-extension", ".conf"],
    });
    expect((await emperor.started("a.conf")).argv?.slice(1)).toEqual(["--config", "a.conf"]);
  });
});

describe("environment and descriptors", () => {
  test("the channel, what the administrator set, and nothing of the Emperor's own", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal },
      env: {
        UWSGI_VASSAL_PROCESSES: "3",
        UWSGI_VASSAL_EMPEROR_FD: "77",
        FIXTURE_PLAIN: "stays",
        UWSGI_RELOADS: "4",
        NOTIFY_SOCKET: "/nowhere/notify",
      },
    });
    const { env = {}, fds = {} } = await emperor.started("a.ini");
    expect(env["UWSGI_PROCESSES"]).toBe("3");
    expect(env["FIXTURE_PLAIN"]).toBe("stays");
    expect(Object.keys(env)).not.toContain("UWSGI_VASSAL_PROCESSES");
    expect(Object.keys(env)).not.toContain("UWSGI_RELOADS");
    expect(Object.keys(env)).not.toContain("NOTIFY_SOCKET");
    const channel = env["UWSGI_EMPEROR_FD"] ?? "";
    expect(channel).not.toBe("77");
    expect(fds[channel]).toMatch(/^socket:/);
    expect(fds["0"]).toBe("/dev/null");
    expect(Object.keys(fds).toSorted()).toEqual(["0", "1", "2", channel].toSorted());
  });

  test("each vassal has a session of its own and the Emperor as its parent", async () => {
    const emperor = await startEmperor({ vassals: { "a.ini": loyal } });
    const a = await emperor.started("a.ini");
    expect(a.session).toBe(a.pid);
    expect(processInfo(a.pid)?.parent).toBe(emperor.pid);
  });
});

describe("the program", () => {
  test("overrides are tried first, fallbacks last", async () => {
    const run = (
      args: readonly string[],
      wrapper: string | null = null,
    ): ReturnType<typeof startEmperor> =>
      startEmperor({ vassals: { "a.ini": loyal }, wrapper, args });
    const override = await run(
      [
        "--emperor-wrapper-override",
        "/no/such/program",
        "--emperor-wrapper-override",
        inject("fixtureVassal"),
      ],
      "/bin/false",
    );
    await override.vassalWith("a.ini", { loyal: 1 });
    const fallback = await run(
      [
        "--emperor-wrapper-fallback",
        "/also/missing",
        "--emperor-wrapper-fallback",
        inject("fixtureVassal"),
      ],
      "/no/such/program",
    );
    expect((await fallback.started("a.ini")).argv?.[0]).toBe(inject("fixtureVassal"));
  });

  test("--binary-path is the vassals' program when there is no wrapper", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal },
      wrapper: null,
      args: ["--binary-path", inject("fixtureVassal")],
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
  });

  test("a wrapper may be a script that prepares things and executes the real one", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal },
      wrapper: "{dir}/wrapper",
      prepare: (run) => {
        script(run, "wrapper", `FIXTURE_WRAPPED=yes exec ${inject("fixtureVassal")} "$@"`);
      },
    });
    const started = await emperor.started("a.ini");
    expect(started.env?.["FIXTURE_WRAPPED"]).toBe("yes");
    expect(started.argv?.slice(1)).toEqual(["--ini", "a.ini"]);
  });
});

describe("attributes of the [emperor] section", () => {
  test("name a vassal's own wrapper and directory; a change of them restarts it", async () => {
    const config = (home: string): string =>
      `${loyal}[emperor]\nhome = ${home}\nrunner = ${inject("fixtureVassal")}\n`;
    const emperor = await startEmperor({
      wrapper: "/bin/false",
      args: [
        "--emperor-collect-attr",
        "home",
        "--emperor-wrapper-attr",
        "runner",
        "--emperor-chdir-attr",
        "home",
      ],
      prepare: (run) => {
        mkdirSync(join(run.path, "one"));
        mkdirSync(join(run.path, "two"));
        run.put("a.ini", config(join(run.path, "one")));
      },
    });
    const first = await emperor.started("a.ini");
    expect(first.cwd).toBe(join(emperor.run.path, "one"));
    emperor.put("a.ini", config(join(emperor.run.path, "two")));
    const second = await emperor.started("a.ini", 2);
    expect(second.cwd).toBe(join(emperor.run.path, "two"));
  });

  test("a directory that does not exist exiles the vassal until its config changes", async () => {
    const emperor = await startEmperor({
      args: ["--emperor-chdir-attr", "home"],
      vassals: { "a.ini": `${loyal}[emperor]\nhome = /no/such/home\n` },
    });
    await emperor.logged(/a\.ini.*\/no\/such\/home/);
    await emperor.fence();
    expect(emperor.starts("a.ini")).toBe(0);
    emperor.put("a.ini", `${loyal}[emperor]\nhome = ${emperor.run.path}\n`);
    await emperor.started("a.ini");
  });
});

describe("--emperor-force-config-pipe", () => {
  test("the vassal gets the bytes that the Emperor read, at its start and for byte 2", async () => {
    const text = vassalConfig("re-reads-config", { note: "first" });
    const emperor = await startEmperor({
      vassals: { "a.ini": text },
      args: ["--emperor-force-config-pipe"],
    });
    const started = await emperor.report("started", "emperor://a.ini");
    expect(started.argv?.slice(1)).toEqual(["--ini", "emperor://a.ini"]);
    expect(await emperor.report("config", "a.ini")).toMatchObject({ type: 115, text });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    // Exactly one packet per request: each version arrives, none twice.
    for (const [index, note] of ["second", "third", "fourth"].entries()) {
      const next = vassalConfig("re-reads-config", { note });
      emperor.put("a.ini", next);
      expect((await emperor.report("config", "a.ini", {}, index + 2)).text).toBe(next);
    }
  });

  test("a vassal that asks gets the config once more", async () => {
    const text = vassalConfig("asks-config");
    const emperor = await startEmperor({
      vassals: { "a.ini": text },
      args: ["--emperor-force-config-pipe"],
    });
    expect((await emperor.report("config", "a.ini", {}, 2)).text).toBe(text);
  });

  test("a config over 65535 bytes is refused with a message; the others run", async () => {
    const emperor = await startEmperor({
      vassals: { "big.ini": `${loyal}; ${"x".repeat(70_000)}\n`, "a.ini": loyal },
      args: ["--emperor-force-config-pipe"],
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.logged(/big\.ini.*65535/);
    expect(emperor.starts("emperor://big.ini")).toBe(0);
  });
});

describe("hooks", () => {
  test("as vassal: in order, in its directory, before the program; a failure keeps it from starting", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal },
      args: [
        ...[
          "--hook-as-vassal",
          "write:{dir}/tmp-note one",
          "--hook-as-vassal",
          "exec:cat {dir}/tmp-note > {dir}/copied",
        ],
        ...["--hook-as-vassal", "unlink:{dir}/tmp-note", "--exec-as-vassal", "pwd > {dir}/where"],
      ],
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    expect(readFileSync(join(emperor.run.path, "copied"), "utf8")).toBe("one");
    expect(existsSync(join(emperor.run.path, "tmp-note"))).toBe(false);
    expect(readFileSync(join(emperor.run.path, "where"), "utf8").trim()).toBe(emperor.run.vassals);

    const failing = await startEmperor({
      vassals: { "b.ini": loyal },
      args: ["--hook-as-vassal", "exec:exit 3"],
    });
    await failing.wait("the failure to count", () => failing.blacklisted("b.ini"));
    expect(failing.starts("b.ini")).toBe(0);
  });

  test("as Emperor: for every start, with the vassal in the environment; a failure does no harm", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal },
      args: [
        ...["--exec-as-emperor", "echo $UWSGI_VASSAL_CONFIG $UWSGI_VASSAL_PID >> {dir}/starts"],
        ...["--hook-as-emperor", "exec:exit 7"],
      ],
    });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    const first = await emperor.wait("the hook to have run", () => {
      if (!existsSync(join(emperor.run.path, "starts"))) return undefined;
      const text = readFileSync(join(emperor.run.path, "starts"), "utf8");
      // The shell makes the file before it writes to it.
      return text === "" ? undefined : text;
    });
    expect(first).toBe(`a.ini ${pid}\n`);
    signalTo(pid, "SIGKILL");
    const again = await emperor.started("a.ini", 2);
    await emperor.wait("the hook to have run again", () => {
      return readFileSync(join(emperor.run.path, "starts"), "utf8").endsWith(
        `a.ini ${again.pid}\n`,
      );
    });
  });

  test("a slow one holds up nobody", async () => {
    const emperor = await startEmperor({
      args: ["--exec-as-emperor", "[ $UWSGI_VASSAL_CONFIG != slow.ini ] || exec cat {dir}/fifo"],
      prepare: (run) => {
        execFileSync("mkfifo", [join(run.path, "fifo")]);
      },
    });
    emperor.put("slow.ini", loyal);
    await emperor.vassalWith("slow.ini", { loyal: 1 });
    // The hook of slow.ini waits until something is written.
    emperor.put("quick.ini", loyal);
    await emperor.vassalWith("quick.ini", { loyal: 1 });
    writeFileSync(join(emperor.run.path, "fifo"), "go on\n");
  });

  test("start and stop hooks get the vassal's name and its directory", async () => {
    const hook = (run: Run, name: string): string =>
      script(run, name, `echo ${name} "$1" "$UWSGI_VASSALS_DIR" >> "${run.path}/hooks"`);
    const emperor = await startEmperor({
      vassals: { "a.ini": loyal },
      args: ["--vassals-start-hook", "{dir}/start-hook", "--vassals-stop-hook", "{dir}/stop-hook"],
      prepare: (run) => {
        hook(run, "start-hook");
        hook(run, "stop-hook");
      },
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    const read = (): string => readFileSync(join(emperor.run.path, "hooks"), "utf8");
    expect(read()).toBe(`start-hook a.ini ${emperor.run.vassals}\n`);
    emperor.remove("a.ini");
    await emperor.wait("the stop hook", () =>
      read().includes(`stop-hook a.ini ${emperor.run.vassals}\n`),
    );
    emperor.put("b.ini", loyal);
    await emperor.vassalWith("b.ini", { loyal: 1 });
    emperor.signal("SIGTERM");
    expect(await emperor.ended()).toEqual({ code: 0, signal: null });
    expect(read()).toContain("stop-hook b.ini");
    expect(emperor.run.reports.of("received", "b.ini").map((report) => report.byte)).toEqual([0]);
  });
});
