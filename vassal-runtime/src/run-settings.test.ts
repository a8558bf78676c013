import { expect, it } from "vitest";
import { loadConfiguration } from "@emperor/config";
import { vassalOptions } from "./options.ts";
import { readSettings } from "./settings.ts";
import type { SettingsResult } from "./settings.ts";
import { isPaced } from "./run-settings.ts";
import type { RunSettings } from "./run-settings.ts";

async function read(...argv: string[]): Promise<SettingsResult> {
  const { entries, errors } = await loadConfiguration({
    argv: ["--node-app", "a.mjs", ...argv],
    environment: {},
    options: vassalOptions(),
  });
  expect(errors).toEqual([]);
  return readSettings(entries);
}

async function settings(...argv: string[]): Promise<RunSettings & { readonly master: boolean }> {
  const result = await read(...argv);
  if (!result.ok) throw result.errors[0];
  return { ...result.settings.run, master: result.settings.master };
}

async function errors(...argv: string[]): Promise<string> {
  const result = await read(...argv);
  return result.ok ? "" : result.errors.map(({ message }) => message).join("\n");
}

it("wants nothing by default: no master, nothing to look at", async () => {
  const run = await settings();
  expect(run).toMatchObject({
    master: false,
    needsMaster: undefined,
    nodeOptions: [],
    forkbombDelayMs: 2000,
    cheaper: undefined,
    harakiriMs: undefined,
    limits: { maxRequests: undefined, minLifetimeMs: 60_000, reloadOnRssBytes: undefined },
  });
  expect(isPaced(run)).toBe(false);
});

it.each([
  ["--harakiri", "30"],
  ["--max-requests", "1000"],
  ["--max-worker-lifetime", "3600"],
  ["--reload-on-rss", "512"],
  ["--idle", "60"],
  ["--cheap"],
  ["--touch-chain-reload", "x"],
  ["--touch-workers-reload", "x"],
])("%s brings a master", async (...argv) => {
  expect(await settings(...argv)).toMatchObject({ master: true, needsMaster: argv[0]?.slice(2) });
});

it.each([
  ["--idle", "60", "--die-on-idle"],
  ["--touch-reload", "x"],
  ["--vassal-sos", "3"],
  ["--vassal-sos-backlog", "100"],
])("%s needs no master, only a look now and then", async (...argv) => {
  const run = await settings(...argv);
  expect(run.master).toBe(false);
  expect(isPaced(run)).toBe(true);
});

it("reads units: seconds, megabytes, flags of Node", async () => {
  expect(
    await settings(
      ...["--harakiri", "1.5", "--reload-on-rss", "256", "--umask", "027"],
      ...["--node-options", "--max-old-space-size=64 --title 'my app'", "--node-options", "-C dev"],
      ...["--procname-prefix-spaced", "shop", "--procname-master", "boss", "--pidfile2", "/x"],
    ),
  ).toMatchObject({
    harakiriMs: 1500,
    limits: { reloadOnRssBytes: 256 * 1024 * 1024 },
    umask: 0o27,
    nodeOptions: ["--max-old-space-size=64", "--title", "my app", "-C", "dev"],
    titles: { prefix: "shop ", procnameMaster: "boss" },
    pidfiles: { late: "/x" },
  });
});

it("reads cheaper, with its rules", async () => {
  expect(await settings("--processes", "8", "--cheaper", "2")).toMatchObject({
    cheaper: { minimum: 2, initial: 2, maximum: 8, step: 1, overloadMs: 3000 },
  });
  expect(await errors("--processes", "2", "--cheaper", "2")).toMatch(
    /"cheaper" \(2\) must be less than "processes" \(2\)/,
  );
  expect(await errors("--processes", "4", "--cheaper", "2", "--cheaper-initial", "9")).toMatch(
    /"cheaper-initial" \(9\) must lie between "cheaper" \(2\) and "processes" \(4\)/,
  );
});

it("says what is wrong", async () => {
  expect(await errors("--node-options", "'open")).toMatch(/"node-options" cannot be split/);
  expect(await errors("--node-options", "value --flag")).toMatch(
    /takes flags of Node, and "value"/,
  );
  expect(await errors("--harakiri", "soon")).toMatch(/"harakiri" needs a number of seconds/);
  expect(await errors("--daemonize=/x")).toMatch(/stays in the foreground/);
});
