import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  CAPABILITY_NAMES,
  capabilityName,
  capabilityNumber,
  CLONE_NEW,
  errnoName,
  MOUNT,
  RLIMIT,
  SECUREBITS,
  signalName,
  SIGNALS,
  UMOUNT,
} from "./index.ts";
import { makeLinuxError } from "./errors.ts";
import { SPAWN_STAGES, ACTION_KINDS } from "./plan.ts";

/** What the machine's own headers make of C expressions. */
function cValues(expressions: readonly string[]): number[] {
  const headers = [
    "sched.h",
    "sys/resource.h",
    "sys/mount.h",
    "linux/capability.h",
    "linux/securebits.h",
  ];
  const source = [
    "#define _GNU_SOURCE",
    ...headers.map((name) => `#include <${name}>`),
    ...expressions.map((expression, index) => `long value_${index} = (long)(${expression});`),
    "",
  ].join("\n");
  // Without linking: the compiler prints the values as an assembly listing.
  const listing = execFileSync(
    process.env["CC"] ?? "cc",
    ["-S", "-O0", "-x", "c", "-o", "-", "-"],
    { input: source, encoding: "utf8" },
  );
  return expressions.map((expression, index) => {
    const found = new RegExp(
      `^value_${index}:\\n\\s+\\.(?:quad|xword|dword)\\s+(-?\\d+)$`,
      "m",
    ).exec(listing);
    if (found !== null) return Number(found[1]);
    if (new RegExp(`^value_${index}:\\n\\s+\\.zero\\s`, "m").test(listing)) return 0;
    throw new Error(`no value of ${expression} in ${listing}`);
  });
}

describe("the tables agree with the kernel's headers", () => {
  test.each<[string, Readonly<Record<string, number>>, (name: string) => string]>([
    [
      "resource limits",
      RLIMIT,
      (name) =>
        `RLIMIT_${name.toUpperCase()}`
          .replace("RLIMIT_LOCKS", "__RLIMIT_LOCKS")
          .replace("RLIMIT_RTTIME", "__RLIMIT_RTTIME"),
    ],
    [
      "namespaces",
      CLONE_NEW,
      (name) =>
        name === "time" ? "0x80" : `CLONE_NEW${name === "mount" ? "NS" : name.toUpperCase()}`,
    ],
    [
      "mount flags",
      MOUNT,
      (name) =>
        name === "nosymfollow"
          ? "256"
          : name === "lazytime"
            ? "1 << 25"
            : `MS_${name === "sync" ? "SYNCHRONOUS" : name.toUpperCase()}`,
    ],
    [
      "unmount flags",
      UMOUNT,
      (name) => (name === "nofollow" ? "UMOUNT_NOFOLLOW" : `MNT_${name.toUpperCase()}`),
    ],
    ["securebits", SECUREBITS, (name) => `1 << SECURE_${name.toUpperCase().replaceAll("-", "_")}`],
  ])("%s", (_, table, expression) => {
    expect(cValues(Object.keys(table).map(expression))).toEqual(Object.values(table));
  });

  test("capabilities", () => {
    expect(cValues(CAPABILITY_NAMES.map((name) => `CAP_${name.toUpperCase()}`))).toEqual(
      CAPABILITY_NAMES.map((_, index) => index),
    );
    expect(capabilityNumber("CAP_NET_ADMIN")).toBe(12);
    expect(capabilityNumber("net_admin")).toBe(12);
    expect(capabilityNumber("nonsense")).toBeUndefined();
    expect(capabilityName(12)).toBe("net_admin");
    expect(capabilityName(60)).toBe("cap_60");
  });

  test("stages and actions are those of the C code, in its order", () => {
    const header = readFileSync(new URL("../native/plan.h", import.meta.url), "utf8");
    const members = (name: string): string[] => {
      const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(header)?.[1] ?? "";
      return [...body.matchAll(/\b(?:STAGE|ACTION)_(\w+),/g)].map(([, word]) =>
        (word ?? "").toLowerCase().replaceAll("_", "-"),
      );
    };
    expect(members("stage")).toEqual(SPAWN_STAGES);
    expect(members("action_kind")).toEqual(ACTION_KINDS);
  });
});

test("names of errors and signals", () => {
  expect([0, 2, 11, 95, 117, 999].map(errnoName)).toEqual([
    "",
    "ENOENT",
    "EAGAIN",
    "ENOTSUP",
    "EUCLEAN",
    "errno 999",
  ]);
  expect([1, 6, 9, 15, 29, 40].map(signalName)).toEqual([
    "SIGHUP",
    "SIGABRT",
    "SIGKILL",
    "SIGTERM",
    "SIGIO",
    "signal 40",
  ]);
  expect(SIGNALS["SIGUSR1"]).toBe(10);
});

test("an error says what, where and why, with tenants' text quoted", () => {
  const error = makeLinuxError("bind", 98, "Address already in use", "/tmp/\u001b[31mx");
  expect(error).toMatchObject({ name: "LinuxError", code: "EADDRINUSE", errno: 98, step: "bind" });
  expect(error.message).toBe(
    'bind "/tmp/\\u001b[31mx" failed: Address already in use (EADDRINUSE)',
  );
});
