/** What a vassal's isolation is made of, and that no wish of its own makes it less. */
import { describe, expect, test } from "vitest";
import { readNamespaces } from "../options/kernel-names.ts";
import type { Settings } from "../options/settings.ts";
import { CLONE, hostNameOf, Isolation, type IsolationFields } from "./isolation.ts";
import { testSettings, testSpec } from "./spawn.fixture.ts";
import { UserRanges } from "./user-ranges.ts";

type Own = Partial<Settings["isolation"]>;

function isolationOf(
  changes: Partial<Settings>,
  own: Own = {},
  attributes: Record<string, readonly string[]> = {},
  ranges?: UserRanges,
) {
  const settings = testSettings(changes);
  const warnings: string[] = [];
  const isolation = new Isolation(
    { ...settings, isolation: { ...settings.isolation, ...own } },
    { uid: 0, gid: 0 },
    ranges,
    (message) => warnings.push(message),
  );
  const credentials = settings.tyrant ? { uid: 1000, gid: 1001, groups: [4] } : undefined;
  const answer = isolation.of(testSpec({ name: "shop.ini", attributes }), credentials);
  if (!answer.ok) throw new Error(answer.detail);
  const fields: IsolationFields = answer.fields;
  return { fields, warnings, isolation };
}

const ALL = CLONE.newMount | CLONE.newPid | CLONE.newUts | CLONE.newNet | CLONE.newIpc;

describe("namespaces", () => {
  test("bring what belongs to them", () => {
    expect(isolationOf({ cloneFlags: ALL }).fields).toEqual({
      namespaces: ALL,
      makeMountsPrivate: true,
      mountProc: true,
      hostName: "shop",
      loopback: true,
    });
    expect(isolationOf({ cloneFlags: ALL }, { keepProc: true, keepHostname: true }).fields).toEqual(
      { namespaces: ALL, makeMountsPrivate: true, loopback: true },
    );
  });

  test("/proc is mounted only where it cannot be seen by others", () => {
    expect(isolationOf({ cloneFlags: CLONE.newPid }).fields).toEqual({ namespaces: CLONE.newPid });
  });

  test("every word of the option is known", () => {
    const words = "fs,mnt,ns,mount,pid,ipc,uts,net,user,cgroup,time";
    const reading = readNamespaces(words);
    expect(reading).toMatchObject({ ok: true });
    const flags = Object.values(CLONE).reduce((sum, flag) => sum | flag, 0);
    expect(reading.ok && reading.value).toBe(flags);
  });

  test("a vassal may have more, never fewer, and what it cannot have is ignored with a warning", () => {
    const own = { cloneAttribute: "clone" };
    const more = isolationOf({ cloneFlags: CLONE.newPid }, own, { clone: ["net", "ipc"] });
    expect(more.fields.namespaces).toBe(CLONE.newPid | CLONE.newNet | CLONE.newIpc);
    const fewer = isolationOf({ cloneFlags: CLONE.newPid }, own, { clone: ["none", ""] });
    expect(fewer.fields.namespaces).toBe(CLONE.newPid);
    expect(fewer.warnings).toEqual([expect.stringContaining("namespace none, ignored")]);
    fewer.isolation.of(testSpec({ name: "shop.ini", attributes: { clone: ["none"] } }), undefined);
    expect(fewer.warnings).toHaveLength(1);
  });

  test("attributes count for nothing where the administrator did not name one", () => {
    expect(isolationOf({}, {}, { clone: ["net"] }).fields).toEqual({});
  });
});

describe("user namespaces", () => {
  const ranges = (count: number): UserRanges =>
    new UserRanges(
      { uidBase: 100_000, gidBase: 200_000, count, size: 65_536 },
      () => new Set(["x"]),
    );

  test("without ranges everybody is who he is", () => {
    expect(isolationOf({ cloneFlags: CLONE.newUser }).fields.userMap?.uidMap).toBe(
      "0 0 4294967295\n",
    );
  });

  test("with ranges the vassal is root over its own", () => {
    expect(isolationOf({ cloneFlags: CLONE.newUser }, {}, {}, ranges(1)).fields).toMatchObject({
      userMap: { uidMap: "0 100000 65536\n", gidMap: "0 200000 65536\n" },
      credentials: { uid: 0, gid: 0, groups: [] },
    });
  });

  test("in Tyrant mode it is its own user there too, without groups that are not mapped", () => {
    const { fields } = isolationOf({ cloneFlags: CLONE.newUser, tyrant: true }, {}, {}, ranges(1));
    expect(fields.userMap?.uidMap.split("\n")[1]).toBe("1000 1000 1");
    expect(fields.userMap?.gidMap.split("\n")[1]).toBe("1001 1001 1");
    expect(fields.credentials).toEqual({ uid: 1000, gid: 1001, groups: [] });
  });

  test("when no range is left a start is tried again later", () => {
    const full = new UserRanges(
      { uidBase: 1, gidBase: 1, count: 1, size: 9 },
      () => new Set(["x"]),
    );
    full.of("x");
    const isolation = new Isolation(
      testSettings({ cloneFlags: CLONE.newUser }),
      { uid: 0, gid: 0 },
      full,
      () => undefined,
    );
    expect(isolation.of(testSpec(), undefined)).toMatchObject({ ok: false, cause: "system" });
  });
});

describe("privileges", () => {
  test("none are gained in Tyrant mode, nor where it is wanted; the administrator may allow it", () => {
    expect(isolationOf({}).fields.noNewPrivs).toBeUndefined();
    expect(isolationOf({ tyrant: true }).fields.noNewPrivs).toBe(true);
    expect(isolationOf({}, { noNewPrivileges: true }).fields.noNewPrivs).toBe(true);
    expect(
      isolationOf({ tyrant: true }, { noNewPrivileges: false }).fields.noNewPrivs,
    ).toBeUndefined();
  });

  test("what is kept is not dropped before", () => {
    expect(
      isolationOf({ capabilities: [5] }, { capabilitiesKept: [10], securebits: 3 }).fields,
    ).toEqual({ capabilityBound: [5, 10, 8], capabilityAmbient: [10], securebits: 3 });
  });
});

test.each([
  ["shop.ini", "shop"],
  ["/etc/vassals/shop.example.org.ini", "shop.example.org"],
  ["söhne & co.ini", "s-hne---co"],
  ["../../..", "vassal"],
  ["", "vassal"],
  [".ini", "ini"],
  [`${"x".repeat(80)}.ini`, "x".repeat(63)],
  ["a\n$(reboot).ini", "a---reboot"],
])("the host name of %j is %j", (vassal, name) => {
  expect(hostNameOf(vassal)).toBe(name);
});
