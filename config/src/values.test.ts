import { describe, expect, it } from "vitest";
import { ConfigError } from "./errors.ts";
import type { Parsed } from "./errors.ts";
import { editDistance, nearest } from "./nearest.ts";
import { createOptionTable } from "./options.ts";
import { formatOrigin } from "./origin.ts";
import type { ConfigEntry, ConfigOrigin } from "./origin.ts";
import {
  allEntries,
  lastEntry,
  parseChoice,
  parseFlag,
  parseInteger,
  parseOctal,
  parseSeconds,
  parseSize,
  parseText,
  splitWords,
} from "./values.ts";
import { OPTIONS } from "./testing/fake-host.ts";

const origin: ConfigOrigin = { kind: "file", source: "/etc/e.ini", line: 12, section: "uwsgi" };

function entry(value: string | undefined, key = "emperor-freq"): ConfigEntry {
  const option = OPTIONS.find(key);
  return option === undefined ? { key, value, origin } : { key, value, origin, option };
}

function outcome<T>(parsed: Parsed<T>): T | string {
  return parsed.ok
    ? parsed.value
    : `${parsed.error.code} ${parsed.error.file}:${parsed.error.line}`;
}

const WRONG = "invalid-value /etc/e.ini:12";

describe("flags", () => {
  it.each(["false", "OFF", "No", "0"])("%s turns off", (value) => {
    expect(parseFlag(value)).toBe(false);
  });
  it.each([undefined, "", "true", "1", "yes", "anything", "00", " false"])(
    "%j turns on",
    (value) => {
      expect(parseFlag(value)).toBe(true);
    },
  );
});

describe("numbers", () => {
  it.each([
    ["12", 12],
    [" 7 ", 7],
    [undefined, 1],
    ["2147483647", 2147483647],
    ["2147483648", WRONG],
    ["-1", WRONG],
    ["12px", WRONG],
    ["", WRONG],
    ["1e3", WRONG],
    ["0x10", WRONG],
    ["9".repeat(400), WRONG],
  ])("integer %j is %j", (value, expected) => {
    expect(outcome(parseInteger(entry(value)))).toBe(expected);
  });

  it("have a range", () => {
    expect(outcome(parseInteger(entry("-5"), { minimum: -10 }))).toBe(-5);
    expect(outcome(parseInteger(entry("11"), { maximum: 10 }))).toBe(WRONG);
  });

  it("say what is wrong, where and with what", () => {
    const parsed = parseInteger(entry("12px"), { maximum: 60 });
    expect(parsed.ok || parsed.error.message).toBe(
      '/etc/e.ini:12: option "emperor-freq" needs a whole number from 0 to 60, not "12px"',
    );
    expect(parsed.ok || parsed.error).toBeInstanceOf(ConfigError);
  });

  it.each([
    ["3", 3000],
    ["0.25", 250],
    ["-1", WRONG],
    ["x", WRONG],
    ["", WRONG],
    [undefined, WRONG],
  ])("seconds %j are %j ms", (value, expected) => {
    expect(outcome(parseSeconds(entry(value)))).toBe(expected);
  });

  it.each([
    ["0750", 0o750],
    ["666", 0o666],
    ["8", WRONG],
    ["", WRONG],
    ["7777777", WRONG],
  ])("mode %j is %j", (value, expected) => {
    expect(outcome(parseOctal(entry(value)))).toBe(expected);
  });

  it.each([
    ["4096", 4096],
    ["64k", 65536],
    ["1M", 1048576],
    ["2GiB", 2147483648],
    ["8b", 8],
    ["1.5k", WRONG],
    ["k", WRONG],
    ["", WRONG],
  ])("size %j is %j", (value, expected) => {
    expect(outcome(parseSize(entry(value)))).toBe(expected);
  });
});

describe("texts", () => {
  it("must not be empty, or must be one of some", () => {
    expect(outcome(parseText(entry("x")))).toBe("x");
    expect(outcome(parseText(entry("")))).toBe(WRONG);
    expect(outcome(parseText(entry(undefined)))).toBe(WRONG);
    expect(outcome(parseChoice(entry("json"), ["text", "json"]))).toBe("json");
    expect(outcome(parseChoice(entry("xml"), ["text", "json"]))).toBe(WRONG);
  });

  it("can be lists", () => {
    expect(splitWords(" ipc, pid  net,")).toEqual(["ipc", "pid", "net"]);
  });
});

describe("entries", () => {
  const entries = [
    entry("1"),
    entry("2"),
    { ...entry("3"), placeholder: true },
    entry("x", "workers"),
    entry("y", "processes"),
  ];

  it("are found by the canonical name, placeholders never", () => {
    expect(lastEntry(entries, "emperor-freq")?.value).toBe("2");
    expect(lastEntry(entries, "master")).toBeUndefined();
    expect(allEntries(entries, "processes").map(({ value }) => value)).toEqual(["x", "y"]);
  });
});

describe("suggestions", () => {
  it("count insertions, deletions, changes and exchanges", () => {
    expect(editDistance("emperor", "emperor", 3)).toBe(0);
    expect(editDistance("empreor", "emperor", 3)).toBe(1);
    expect(editDistance("emprer", "emperor", 3)).toBe(2);
    expect(editDistance("", "abc", 3)).toBe(3);
    expect(editDistance("kitten", "sitting", 3)).toBe(3);
    expect(editDistance("kitten", "sitting", 2)).toBe(3);
    expect(editDistance("abc", "abcdef", 2)).toBe(3);
  });

  it("take the nearest, forgive case and underscores, and stay silent when nothing is near", () => {
    const names = ["emperor-freq", "emperor-stats", "emperor", "js"];
    expect(nearest("emperor_freq", names)).toBe("emperor-freq");
    expect(nearest("EMPEROR-STAT", names)).toBe("emperor-stats");
    expect(nearest("empreor", names)).toBe("emperor");
    expect(nearest("s", names)).toBeUndefined();
    expect(nearest("something-else", names)).toBeUndefined();
    expect(nearest("x".repeat(100), names)).toBeUndefined();
  });
});

describe("origins", () => {
  it("are shown as people look for them", () => {
    expect(
      formatOrigin({
        ...origin,
        via: { kind: "file", source: "/etc/b.ini", line: 3, section: "uwsgi" },
      }),
    ).toBe("/etc/e.ini:12, by /etc/b.ini:3");
    expect(
      formatOrigin({ kind: "command-line", source: "command line", line: 2, section: "" }),
    ).toBe("argument 2 of the command line");
    expect(formatOrigin({ kind: "environment", source: "UWSGI_X", line: 0, section: "" })).toBe(
      "the environment variable UWSGI_X",
    );
    expect(formatOrigin({ ...origin, line: 0 })).toBe("/etc/e.ini");
  });

  it("do not show an endless chain", () => {
    let chain = origin;
    for (let depth = 0; depth < 30; depth += 1) chain = { ...origin, via: chain };
    expect(formatOrigin(chain).split(", by ")).toHaveLength(4);
  });
});

describe("option tables", () => {
  it("refuse two definitions of one name", () => {
    const option = {
      name: "a",
      argument: "none",
      kind: "flag",
      help: "",
      since: "2.0",
      group: "g",
      status: "supported",
    } as const;
    expect(() => createOptionTable([option, option])).toThrow('"a" is defined twice');
    expect(() => createOptionTable([{ ...option, name: "b", aliases: ["include"] }])).toThrow(
      '"include" is defined twice',
    );
    expect(() => createOptionTable([{ ...option, name: "b", short: "S" }])).toThrow(
      '"-S" is defined twice',
    );
  });
});
