/** From command line, environment and files to settings, and what is said to nonsense. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSettings, type SettingsReading } from "./read-settings.ts";
import type { Settings } from "./settings.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "settings-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function read(
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<SettingsReading> {
  return readSettings({
    argv,
    environment,
    startDirectory: directory,
    defaultBinaryPath: "/opt/bin/vassal",
    version: "0.1.0",
  });
}

type Accepted = Extract<SettingsReading, { ok: true }>;

async function accepted(...args: Parameters<typeof read>): Promise<Accepted> {
  const reading = await read(...args);
  if (reading.ok !== true) throw new Error(`not accepted: ${JSON.stringify(reading)}`);
  return reading;
}

async function settingsOf(...argv: readonly string[]): Promise<Settings> {
  return (await accepted(argv)).settings;
}

async function problemsOf(...argv: readonly string[]): Promise<string> {
  const reading = await read(argv);
  return reading.ok === false
    ? reading.problems.join("\n")
    : `accepted: ${JSON.stringify(reading)}`;
}

function remarks(reading: Accepted): string {
  return reading.remarks.map(({ level, message }) => `${level} ${message}`).join("\n");
}

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe("defaults", () => {
  it("are uWSGI's", async () => {
    expect(await settingsOf("--emperor", "vassals")).toMatchObject({
      emperor: [{ text: "vassals" }],
      frequencySeconds: 3,
      throttleMs: 1000,
      throttleExplicit: false,
      maxThrottleMs: 180_000,
      blacklist: true,
      requiredHeartbeatMs: 30_000,
      curseToleranceMs: 30_000,
      reloadMercyMs: 30_000,
      gracefulShutdown: false,
      tyrant: false,
      capabilities: undefined,
      cloneFlags: 0,
      binaryPath: "/opt/bin/vassal",
      procname: "uWSGI Emperor",
      listenBacklog: 100,
      chmodSocket: undefined,
      logFormat: "text",
      startDirectory: directory,
      workingDirectory: directory,
    } satisfies Partial<Settings>);
  });
});

describe("values", () => {
  it("of every kind reach the settings", async () => {
    const settings = await settingsOf(
      ...["--emperor", "a", "--emperor=glob://b/*.ini", "--emperor-freq", "0.5"],
      ...["--emperor-throttle", "0", "--emperor-max-throttle", "60000", "--emperor-no-blacklist"],
      ...["--emperor-curse-tolerance", "2", "--reload-mercy", "0", "--emperor-graceful-shutdown"],
      ...["--vassal-cap", "setuid,CAP_NET_BIND_SERVICE,12", "--emperor-use-clone", "pid,fs"],
      ...["--emperor-use-clone", "net", "--emperor-extra-ext", ".lua", "--fd-safe", "7"],
      ...[
        "--emperor-collect-attr",
        "x",
        "--emperor-chdir-attr",
        "dir",
        "--emperor-wrapper-attr",
        "x",
      ],
      ...[
        "--binary-path",
        "uwsgi",
        "--emperor-wrapper",
        "bin/w",
        "--emperor-wrapper-override",
        "/o",
      ],
      ...[
        "--vassals-set",
        "a=b",
        "--vassal-set",
        "c=d",
        "--vassals-include",
        "i",
        "--vassals-inherit",
        "j",
      ],
      ...["--vassals-include-before", "k", "--vassals-inherit-before", "l"],
      ...["--emperor-stats", "127.0.0.1:1717", "--stats-http", "--stats-min", "--chmod-socket=660"],
      ...[
        "--umask",
        "022",
        "--max-fd",
        "4096",
        "--uid",
        "www-data",
        "--gid",
        "33",
        "--add-gid",
        "4",
      ],
      ...[
        "--pidfile",
        "a.pid",
        "--emperor-pidfile",
        "/run/b.pid",
        "--env",
        "A=b=c",
        "--unenv",
        "D",
      ],
      ...["--env", "E=", "--listen", "1000", "--log-format", "json", "--logto", "log/x.log"],
    );
    expect(settings).toMatchObject({
      emperor: [{ text: "a" }, { text: "glob://b/*.ini" }],
      frequencySeconds: 0.5,
      throttleMs: 0,
      throttleExplicit: true,
      maxThrottleMs: 60_000,
      blacklist: false,
      curseToleranceMs: 2000,
      reloadMercyMs: 30_000,
      gracefulShutdown: true,
      capabilities: [7, 10, 12],
      cloneFlags: 0x2000_0000 | 0x0002_0000 | 0x4000_0000,
      extraExtensions: [".lua"],
      safeFds: [7],
      collectAttributes: ["x", "dir"],
      binaryPath: "uwsgi",
      wrapper: join(directory, "bin/w"),
      wrapperOverride: ["/o"],
      set: ["a=b", "c=d"],
      include: ["i"],
      inherit: ["j"],
      includeBefore: ["k"],
      inheritBefore: ["l"],
      statsAddresses: ["127.0.0.1:1717"],
      statsHttp: true,
      statsMinified: true,
      chmodSocket: 0o660,
      umask: 0o22,
      maxFd: 4096,
      uid: "www-data",
      gid: "33",
      addGids: ["4"],
      pidfiles: [join(directory, "a.pid")],
      pidfilesAfterDrop: ["/run/b.pid"],
      environment: [
        { name: "A", value: "b=c" },
        { name: "D", value: undefined },
        { name: "E", value: "" },
      ],
      listenBacklog: 1000,
      logFormat: "json",
      logto: join(directory, "log/x.log"),
    } satisfies Partial<Settings>);
  });

  it("of hooks are split into action and argument, with their origin, in uWSGI's order", async () => {
    const settings = await settingsOf(
      ...["--emperor", "a", "--exec-as-vassal", "echo a:b", "--hook-as-vassal", "write:/x y:z"],
      ...["--mount-as-vassal", "proc none /proc", "--hook-emperor-start", "exec: true"],
    );
    expect(settings.hookAsVassal).toEqual([
      {
        action: "write",
        argument: "/x y:z",
        origin: expect.stringContaining("hook-as-vassal") as string,
      },
      { action: "mount", argument: "proc none /proc", origin: expect.any(String) as string },
      {
        action: "exec",
        argument: "echo a:b",
        origin: expect.stringContaining("argument") as string,
      },
    ]);
    expect(settings.hookEmperorStart).toMatchObject([{ action: "exec", argument: " true" }]);
  });

  it("of paths are meant from the start directory, after chdir from there", async () => {
    const settings = await settingsOf(
      ...["--emperor", "sites", "--chdir", "home", "--chdir2", "x", "--pidfile", "p"],
      ...["--pidfile2", "q", "--emperor-wrapper", "./w", "--logto", "l"],
    );
    expect(settings).toMatchObject({
      workingDirectory: join(directory, "home/x"),
      pidfiles: [join(directory, "p")],
      pidfilesAfterDrop: [join(directory, "home/x/q")],
      wrapper: join(directory, "home/x/w"),
      logto: join(directory, "l"),
    });
    expect(
      await settingsOf("--emperor", "a", "--force-cwd", "/srv", "--pidfile", "p"),
    ).toMatchObject({
      startDirectory: "/srv",
      workingDirectory: "/srv",
      pidfiles: ["/srv/p"],
    });
  });

  it("of flags can be turned off in files and in the environment", async () => {
    const path = file(
      "e.ini",
      "[uwsgi]\nemperor = a\nemperor-tyrant = true\nemperor-tyrant = Off\nstats-http =\n",
    );
    expect(await settingsOf("--ini", path)).toMatchObject({ tyrant: false, statsHttp: true });
    const { settings } = await accepted(["--emperor", "a"], {
      UWSGI_EMPEROR_TYRANT: "1",
      UWSGI_EMPEROR_FREQ: "7",
    });
    expect(settings).toMatchObject({ tyrant: true, frequencySeconds: 7 });
  });
});

describe("files", () => {
  const pairs = [
    ["emperor", "/etc/vassals"],
    ["emperor", "/srv/*/app.ini"],
    ["emperor-stats", "127.0.0.1:1717"],
    ["vassal-set", "processes=8"],
    ["vassal-set", "enable-metrics=1"],
    ["emperor-tyrant", "true"],
    ["emperor-freq", "5"],
  ] as const;
  const grouped: Record<string, string | string[]> = {
    emperor: ["/etc/vassals", "/srv/*/app.ini"],
    "emperor-stats": "127.0.0.1:1717",
    "vassal-set": ["processes=8", "enable-metrics=1"],
    "emperor-tyrant": "true",
    "emperor-freq": "5",
  };
  const texts: Record<string, string> = {
    ini: `[uwsgi]\n${pairs.map(([key, value]) => `${key} = ${value}\n`).join("")}`,
    xml: `<uwsgi>${pairs.map(([key, value]) => `<${key}>${value}</${key}>`).join("")}</uwsgi>`,
    yaml: `uwsgi:\n${pairs.map(([key, value]) => `  ${key}: "${value}"\n`).join("")}`,
    json: JSON.stringify({ uwsgi: grouped }),
  };

  it("of the four formats give the same settings, by option and as the only argument", async () => {
    const wanted = await settingsOf(
      ...pairs.flatMap(([key, value]) =>
        key === "emperor-tyrant" ? ["--emperor-tyrant"] : [`--${key}`, value],
      ),
    );
    expect(wanted).toMatchObject({
      tyrant: true,
      frequencySeconds: 5,
      set: ["processes=8", "enable-metrics=1"],
    });
    for (const [format, text] of Object.entries(texts)) {
      const path = file(`emperor.${format}`, text);
      expect(await settingsOf(`--${format}`, path)).toEqual(wanted);
      expect(await settingsOf(path)).toEqual(wanted);
    }
  });

  it("of Debian's package start unchanged, with what means nothing reported once", async () => {
    const path = file(
      "emperor.ini",
      [
        "[uwsgi]",
        "# a comment",
        "autoload = true",
        "master = true",
        "workers = 2",
        "no-orphans = true",
        "log-date = true",
        "uid = www-data",
        "gid = www-data",
        "emperor = /etc/uwsgi-emperor/vassals",
        "",
      ].join("\n"),
    );
    const reading = await accepted([
      ...["--ini", path, "--die-on-term", "--pidfile", "/run/uwsgi-emperor.pid"],
      ...["--daemonize", "/var/log/uwsgi/emperor.log"],
    ]);
    expect(reading.settings).toMatchObject({
      emperor: [{ text: "/etc/uwsgi-emperor/vassals" }],
      uid: "www-data",
      gid: "www-data",
      pidfiles: ["/run/uwsgi-emperor.pid"],
      daemonize: "/var/log/uwsgi/emperor.log",
    });
    expect(reading.remarks).toHaveLength(3);
    expect(remarks(reading)).toMatch(
      /^info .*options .*master, workers, no-orphans.* are ignored: /m,
    );
    expect(remarks(reading)).toMatch(/^info .*log-date is ignored: /m);
  });

  it("of the documentation's examples start, with a warning where something wanted does not happen", async () => {
    const path = file(
      "emperor.ini",
      [
        "[uwsgi]",
        "tuntap-router = emperor0 /tmp/tuntap.socket",
        "exec-as-root = ifconfig emperor0 192.168.0.1 netmask 255.255.255.0 up",
        "emperor-use-clone = ipc,uts,fs,pid,net",
        "emperor-cap = setuid,net_bind_service",
        "emperor = /etc/vassals",
      ].join("\n"),
    );
    const reading = await accepted(["--plugin", "emperor_pg", "-M", "-p", "4", "--ini", path]);
    expect(reading.settings.hookAsRoot).toMatchObject([{ action: "exec" }]);
    expect(remarks(reading)).toMatch(/^warning .*tuntap-router is ignored/m);
    expect(remarks(reading)).toMatch(/^info .*plugin is ignored/m);
  });

  it("may have placeholders; a slip of the pen is a warning, in strict mode an error with its line", async () => {
    const text =
      "[uwsgi]\nbase = /etc\nremark = mine\nemperor = %(base)/vassals\nemperor_freq = 9\n";
    const reading = await accepted([file("e.ini", text)]);
    expect(reading.settings.emperor).toEqual([{ text: "/etc/vassals" }]);
    expect(reading.settings.frequencySeconds).toBe(3);
    expect(remarks(reading)).toMatch(/^warning .*e\.ini:5.*emperor_freq.*emperor-freq/m);
    expect(remarks(reading)).not.toMatch(/^(?:info|warning).*remark/m);
    const strict = await problemsOf(
      "--strict",
      file("s.ini", `[uwsgi]\nemperor = x\nemperor_freq = 9\n`),
    );
    expect(strict).toMatch(/s\.ini:3.*emperor_freq.*emperor-freq/);
  });
});

describe("questions", () => {
  it("are known whatever else is wrong", async () => {
    expect((await accepted(["--help"])).questions.help).toBe(true);
    expect((await accepted(["-h", "--listen", "many"])).questions.help).toBe(true);
    expect((await accepted(["--version"])).questions.version).toBe(true);
    expect((await accepted(["--imperial-monitors-list"])).questions.monitorList).toBe(true);
  });

  it("show-config prints the configuration as it was understood", async () => {
    const path = file(
      "e.ini",
      "[uwsgi]\nbase = /etc\nemperor = %(base)/x\nmaster =\nshow-config = true\n",
    );
    const reading = await accepted(["--ini", path]);
    expect(reading.questions.shownConfig).toEqual([
      ";uWSGI instance configuration",
      "[uwsgi]",
      `ini = ${path}`,
      "base = /etc",
      "emperor = /etc/x",
      "master = ",
      "show-config = true",
      ";end of configuration",
    ]);
  });

  it("show-origin prints where every value is from, and nothing is started", async () => {
    const path = file("e.ini", "[uwsgi]\n\nemperor = /etc/x\nunknown = %(y)\n");
    expect(await read(["--ini", path, "--show-origin"])).toEqual({
      ok: "exit",
      code: 0,
      output: [
        `argument 1 of the command line\tini = ${path}`,
        `${path}:3\temperor = /etc/x`,
        `${path}:4\tunknown = %(y)`,
        "argument 3 of the command line\tshow-origin = true",
      ],
    });
  });

  it("the language's changes of the environment surround those of env", async () => {
    const path = file("e.ini", "[uwsgi]\nemperor = /etc/x\nenv = B=2\nunenv = C\nienv = A=1\n");
    expect((await accepted(["--ini", path])).settings.environment).toEqual([
      { name: "A", value: "1" },
      { name: "B", value: "2" },
      { name: "C", value: undefined },
    ]);
  });

  it("exit in a file ends the reading with its code", async () => {
    expect(await read([file("e.ini", "[uwsgi]\nexit = 7\n")])).toMatchObject({
      ok: "exit",
      code: 7,
    });
  });
});

it("uWSGI's log-format for request lines is told apart from ours", async () => {
  const reading = await accepted(["--emperor", "a", "--log-format", "%(addr) - %(user)"]);
  expect(reading.settings.logFormat).toBe("text");
  expect(remarks(reading)).toMatch(/log-format.*request lines/);
  expect(remarks(await accepted(["--emperor", "a", "--log-format", "jsn"]))).toMatch(
    /did you mean json/,
  );
});
