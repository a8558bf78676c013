import { beforeEach, describe, expect, test } from "vitest";
import { readAddress } from "./address.ts";
import { CONFIG_SUFFIXES } from "./names.ts";
import { MONITOR_SCHEMES } from "./registry.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { FakeFiles } from "./testing/fake-files.ts";

let files: FakeFiles;

beforeEach(() => {
  files = new FakeFiles(new FakeClock());
  for (const path of ["/start", "/start/rel", "/etc", "/etc/vassals", "/srv", "/srv/a", "/srv/b"])
    files.mkdir(path);
  files.put("/etc/vassals/x.ini");
  files.put("/etc/readme");
});

function read(argument: string): string {
  const rules = { startDirectory: "/start", suffixes: CONFIG_SUFFIXES, schemes: ["dir", "glob"] };
  const result = readAddress(argument, rules, files);
  return result.ok
    ? `${result.scheme} ${result.address}`
    : `${result.error.code}: ${result.error.message}`;
}

test("uWSGI's monitors are schemes of this build", () => {
  // Loaded by nobody here: a scheme is known without its driver.
  for (const scheme of ["dir", "glob", "pg", "zmq"]) expect(MONITOR_SCHEMES).toContain(scheme);
});

describe("without a scheme", () => {
  test.each([
    ["/etc/vassals", "dir /etc/vassals"],
    ["/etc/vassals/", "dir /etc/vassals"],
    ["/etc//vassals/../vassals/.", "dir /etc/vassals"],
    ["rel", "dir /start/rel"],
    ["./rel/", "dir /start/rel"],
    [".", "dir /start"],
    ["/etc/vassals/*.ini", "glob /etc/vassals/*.ini"],
    ["*.ini", "glob *.ini"],
    ["/etc/vassals/x.ini", "glob /etc/vassals/x.ini"],
    ["/srv/*/x.ini", "glob /srv/*/x.ini"],
    ["/srv/*", "glob /srv/*"],
  ])("%s is %s", (argument, expected) => {
    expect(read(argument)).toBe(expected);
  });

  test.each([
    ["/etc/vas*", "dir /etc/vassals"],
    ["/etc/vas*/", "dir /etc/vassals"],
    ["/srv/[a]", "dir /srv/a"],
    ["r?l", "dir /start/rel"],
  ])(
    "a pattern that matches one directory and nothing else is that directory: %s",
    (argument, expected) => {
      expect(read(argument)).toBe(expected);
    },
  );

  test("a pattern that matches a directory and a config is a pattern", () => {
    files.put("/etc/vassals.ini");
    expect(read("/etc/vas*")).toBe("glob /etc/vas*");
  });

  test.each([
    ["/late/vassals", "dir /late/vassals"],
    ["/late/vassals/", "dir /late/vassals"],
    ["late", "dir /start/late"],
    ["/late/app.ini/", "dir /late/app.ini"],
    ["/late/app.ini", "glob /late/app.ini"],
    ["/etc/readme", "glob /etc/readme"],
  ])("what is not there yet and has no wildcard: %s is %s", (argument, expected) => {
    expect(read(argument)).toBe(expected);
  });
});

describe("with a scheme", () => {
  test.each([
    ["dir:///etc/vassals", "dir /etc/vassals"],
    ["dir:///missing/", "dir /missing"],
    ["dir://rel", "dir /start/rel"],
    ["dir:///srv/*", "dir /srv/*"],
    ["glob:///etc/vassals", "glob /etc/vassals"],
    ["glob://*.ini", "glob *.ini"],
  ])("%s is %s", (argument, expected) => {
    expect(read(argument)).toBe(expected);
  });
});

test.each([
  [
    "dri:///etc",
    'unknown-scheme: monitor address "dri:///etc" has the unknown scheme dri://, did you mean dir://? (known: dir://, glob://)',
  ],
  [
    "foo://x",
    'unknown-scheme: monitor address "foo://x" has the unknown scheme foo:// (known: dir://, glob://)',
  ],
  [
    "pq://host=x password=geheim",
    'unknown-scheme: monitor address "pq://host=x password=***" has the unknown scheme pq:// (known: dir://, glob://)',
  ],
  ["", 'empty-address: monitor address "" is empty'],
  ["dir://", 'empty-address: monitor address "dir://" has nothing after dir://'],
  [
    "/a\0b",
    'invalid-address: monitor address "/a\\u0000b" holds a NUL character, which no path can have',
  ],
])("an error value: %j", (argument, message) => {
  expect(read(argument)).toBe(message);
});
