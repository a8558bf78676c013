import type { ConfigEntry } from "@emperor/config";
import { describe, expect, it } from "vitest";
import { vassalOptions } from "./options.ts";
import { readSettings } from "./settings.ts";
import type { RuntimeSettings } from "./settings.ts";

const table = vassalOptions();

/** Pairs as they come from an ini file, one per line. */
function entries(text: string): ConfigEntry[] {
  return text
    .trim()
    .split("\n")
    .map((line, index) => {
      const [key = "", value = ""] = line.split(/\s*=\s*(.*)/s).map((part) => part.trim());
      const option = table.find(key);
      const origin = {
        kind: "file",
        source: "app.ini",
        line: index + 2,
        section: "uwsgi",
      } as const;
      return { key, value, origin, ...(option === undefined ? {} : { option }) };
    });
}

function settingsOf(text: string): RuntimeSettings {
  const result = readSettings(entries(text));
  if (!result.ok) throw new Error(result.errors.map(({ message }) => message).join("\n"));
  return result.settings;
}

function errorsOf(text: string): string[] {
  const result = readSettings(entries(text));
  return result.ok ? [] : result.errors.map(({ message }) => message);
}

describe("readSettings", () => {
  it("has defaults for a one-process app", () => {
    expect(settingsOf("node-app = a.mjs")).toEqual({
      app: { kind: "node", file: "a.mjs", origin: "app.ini:2" },
      sockets: [],
      backlog: 511,
      socketMode: undefined,
      socketOwner: undefined,
      reusePort: false,
      vacuum: false,
      inheritedProtocol: "http",
      onlyFallback: false,
      processes: 1,
      master: false,
      environment: [],
      chdir: undefined,
      uid: undefined,
      gid: undefined,
      heartbeatMs: undefined,
      reloadMercyMs: 10_000,
      run: expect.any(Object) as unknown, // see run-settings.test.ts
      workerReloadMercyMs: 60_000,
      command: {
        ready: { kind: "start" },
        readyTimeoutMs: 60_000,
        stopSignal: 15,
        reloadSignal: undefined,
      },
      daemons: [],
      stats: undefined,
      fifos: [],
      hooks: {},
      waits: [],
      log: {
        loggers: [],
        requestLoggers: [],
        files: { truncate: false },
        prefix: "",
        touchReopen: [],
        touchRotate: [],
        reopenAfterReload: false,
      },
    });
  });

  it("reads every option", () => {
    const settings = settingsOf(`
command = 'my server' -v
http-socket = :8080
http-socket = /run/a.sock
http-socket = :8080
listen = 10
chmod-socket = 660
master = false
env = A=1=2
unenv = B
chdir = /srv
uid = shop
gid = 33
heartbeat = 2.5
reload-mercy = 3
worker-reload-mercy = 4`);
    expect(settings).toMatchObject({
      app: { kind: "command", argv: ["my server", "-v"] },
      sockets: [
        {
          text: ":8080",
          address: { kind: "tcp", host: "0.0.0.0", port: 8080 },
          origin: "app.ini:3",
        },
        { text: "/run/a.sock", address: { kind: "unix", path: "/run/a.sock" } },
      ],
      backlog: 10,
      socketMode: 0o660,
      environment: [
        ["A", "1=2"],
        ["B", undefined],
      ],
      chdir: "/srv",
      uid: "shop",
      gid: "33",
      heartbeatMs: 2500,
      reloadMercyMs: 3000,
      workerReloadMercyMs: 4000,
    });
  });

  it("has a master for several workers, or when asked", () => {
    expect(settingsOf("node-app = a.mjs\nworkers = 4")).toMatchObject({
      processes: 4,
      master: true,
    });
    expect(settingsOf("node-app = a.mjs\nmaster =")).toMatchObject({ processes: 1, master: true });
  });

  it("takes the last of a single-valued option, and 0 as no heartbeat", () => {
    expect(settingsOf("node-app = a.mjs\nnode-app = b.mjs\nheartbeat = 0")).toMatchObject({
      app: { file: "b.mjs" },
      heartbeatMs: undefined,
    });
  });

  it("says what is missing or refused, with file and line", () => {
    expect(errorsOf("http-socket = :80")).toEqual([
      expect.stringContaining("names nothing to run"),
    ]);
    expect(errorsOf("namespace = /x\nnode-app = a.mjs")).toEqual([
      expect.stringMatching(/^app\.ini:2: option "namespace" is not served: .*unshare/),
    ]);
    expect(errorsOf("node-app = a.mjs\ncommand = b")).toEqual([
      expect.stringContaining("exclude each other"),
    ]);
    expect(errorsOf("command = 'b")).toEqual([expect.stringContaining("never closed")]);
    expect(errorsOf("node-app = a.mjs\nenv = novalue")).toEqual([
      expect.stringContaining("NAME=VALUE"),
    ]);
  });

  it("reports all mistakes at once", () => {
    expect(
      errorsOf("node-app = a.mjs\nprocesses = many\nhttp-socket = 80\nheartbeat = -1"),
    ).toHaveLength(3);
  });

  it("notes what has no effect", () => {
    const result = readSettings(entries("node-app = a.mjs\nplugin = python3\nunknown = 1"));
    expect(result).toMatchObject({
      ok: true,
      notes: [expect.stringContaining('"plugin" has no effect')],
    });
  });

  it("reads how a command is watched", () => {
    const command = (text: string) => settingsOf(`command = a\n${text}`).command;
    expect(command("command-ready = notify\ncommand-stop-signal = sigquit")).toMatchObject({
      ready: { kind: "notify" },
      stopSignal: 3,
    });
    expect(command("command-ready = :80\ncommand-reload-signal = 10")).toMatchObject({
      ready: { kind: "address", address: { kind: "tcp", port: 80 } },
      reloadSignal: 10,
    });
    expect(command("command-ready = http://a/\ncommand-ready-timeout = 2")).toMatchObject({
      ready: { kind: "http", text: "http://a/" },
      readyTimeoutMs: 2000,
    });
    expect(
      errorsOf(
        "command = a\ncommand-ready = 80\ncommand-stop-signal = 99\ncommand-reload-signal = X",
      ),
    ).toHaveLength(3);
  });
});
