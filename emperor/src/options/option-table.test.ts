/** The table is one consistent whole, and the page made from it is up to date. */
import { readFileSync } from "node:fs";
import { LANGUAGE_OPTIONS } from "@emperor/config";
import { describe, expect, it } from "vitest";
import { helpText, optionsPage } from "./help.ts";
import { emperorOptions, emperorOptionTable } from "./option-table.ts";

describe("option table", () => {
  const options = emperorOptions();

  it("has no name and no letter twice, also not with the configuration language's", () => {
    expect(() => emperorOptionTable()).not.toThrow();
  });

  it("says for each option what it does, and why it is ignored or refused", () => {
    const wrong = options.filter(
      (option) =>
        !/\S{2}/.test(option.help) ||
        option.help.endsWith(".") ||
        !/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(option.name) ||
        (option.short !== undefined && !/^[A-Za-z]$/.test(option.short)) ||
        (option.status !== "supported" && option.reason === undefined) ||
        (option.status === "supported" &&
          option.argument === "required" &&
          option.placeholder === undefined),
    );
    expect(wrong).toEqual([]);
  });

  it("knows uWSGI's options of the Emperor, with aliases", () => {
    const table = emperorOptionTable();
    const names = `emperor early-emperor emperor-procname emperor-pidfile emperor-freq emperor-nofollow
      emperor-extra-extension emperor-extra-ext emperor-magic-exec imperial-monitor-list imperial-monitors-list
      emperor-throttle emperor-max-throttle emperor-no-blacklist emperor-required-heartbeat
      emperor-curse-tolerance reload-mercy emperor-graceful-shutdown emperor-tyrant emperor-tyrant-nofollow
      emperor-tyrant-initgroups emperor-cap vassal-cap vassals-cap binary-path emperor-wrapper
      emperor-wrapper-override emperor-wrapper-fallback emperor-wrapper-attr emperor-chdir-attr
      emperor-collect-attribute emperor-collect-attr emperor-use-clone emperor-use-fork-server
      emperor-fork-server-attr vassal-fork-base emperor-subreaper safe-fd fd-safe max-fd
      vassals-inherit-before vassals-include-before vassals-set vassal-set vassals-inherit vassals-include
      emperor-on-demand-extension emperor-on-demand-ext emperor-on-demand-directory emperor-on-demand-dir
      emperor-on-demand-exec emperor-command-socket emperor-wait-for-command emperor-wait-for-command-ignore
      emperor-stats emperor-stats-server stats-http stats-minified stats-min emperor-trigger-socket
      chmod-socket abstract-socket listen emperor-broodlord vassal-sos vassal-sos-backlog zerg zerg-fallback
      zerg-server zergpool zerg-pool hook-emperor-start hook-as-emperor-before-vassal hook-as-emperor
      mount-as-emperor umount-as-emperor exec-as-emperor call-as-emperor hook-as-emperor-setns
      hook-as-on-demand-vassal hook-as-on-config-vassal hook-as-vassal-before-drop hook-as-vassal
      mount-as-vassal umount-as-vassal exec-as-vassal vassals-start-hook vassals-stop-hook zeus`;
    const missing = names.split(/\s+/).filter((name) => table.find(name) === undefined);
    expect(missing).toEqual([]);
  });

  it("has uWSGI's letters", () => {
    const table = emperorOptionTable();
    const letters: Record<string, string> = {
      M: "master",
      p: "processes",
      s: "socket",
      d: "daemonize",
      l: "listen",
      C: "chmod-socket",
      h: "help",
      T: "enable-threads",
      i: "single-interpreter",
      L: "disable-logging",
      x: "xml",
      y: "yaml",
      j: "json",
      S: "set",
    };
    for (const [letter, name] of Object.entries(letters))
      expect(table.findShort(letter)?.name).toBe(name);
  });

  it("prints the options that work, each with its name, and none that is refused", () => {
    const text = helpText(options, LANGUAGE_OPTIONS);
    const shown = options.filter((option) => new RegExp(`--${option.name}[ ,=\\[\\n]`).test(text));
    expect(shown.map((option) => option.name)).toEqual(
      options.filter((option) => option.status === "supported").map((option) => option.name),
    );
    const longest = Math.max(...text.split("\n").map((line) => line.length));
    expect(longest).toBeLessThanOrEqual(140);
  });

  it("docs/options.md is what the table says (node scripts/generate-options.mjs)", () => {
    const page = readFileSync(new URL("../../../docs/options.md", import.meta.url), "utf8");
    expect(page).toBe(optionsPage(options, LANGUAGE_OPTIONS));
  });
});
