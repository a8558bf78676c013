/** As whom vassals run in Tyrant mode, with a user database of its own. */
import { describe, expect, test } from "vitest";
import type { Settings } from "../options/settings.ts";
import type { Accounts } from "./accounts.ts";
import { cleanPath, keptVariables, VassalEnvironment } from "./environment.ts";
import { testSettings } from "./spawn.fixture.ts";
import { Tyrant } from "./tyrant.ts";

const WEB = { uid: 1000, gid: 1000, name: "web", home: "/home/web", shell: "/bin/bash" };
const ACCOUNTS: Accounts = {
  user: (nameOrId) => (nameOrId === "web" || nameOrId === 1000 ? WEB : undefined),
  groups: (_user, gid) => [gid, 4],
};

function tyrantOf(rules: Partial<Settings["tyrantRules"]> = {}, changes: Partial<Settings> = {}) {
  const settings = testSettings({ tyrant: true, ...changes });
  return new Tyrant({
    settings: { ...settings, tyrantRules: { ...settings.tyrantRules, ...rules } },
    ...{ accounts: ACCOUNTS, ownUid: 0, warn: () => undefined },
  });
}

const spec = (uid?: number, gid = uid): { name: string; uid?: number; gid?: number } => ({
  name: "a.ini",
  ...(uid === undefined ? {} : { uid }),
  ...(gid === undefined ? {} : { gid }),
});

describe("Tyrant mode", () => {
  test.each([
    [spec(0, 10), "no vassal runs as root"],
    [spec(10, 0), "no vassal runs as root"],
    [spec(), "names no owner"],
    [{ name: "a.ini", uid: 10 }, "names no owner"],
  ])("refuses %j", (one, why) => {
    expect(tyrantOf().refusal(one)).toContain(why);
    expect(tyrantOf().refusal(one)).toContain(
      "[emperor-tyrant] invalid permissions for vassal a.ini",
    );
  });

  test("gives the ids of the source and no other group", () => {
    expect(tyrantOf().answer(spec(1234, 2345))).toEqual({
      ...{ ok: true, credentials: { uid: 1234, gid: 2345, groups: [] }, user: undefined },
    });
    expect(tyrantOf({}, { tyrant: false }).answer(spec(0))).toMatchObject({
      ...{ ok: true, credentials: undefined },
    });
  });

  test("keeps to the range of users and to the lists", () => {
    const limited = tyrantOf({ uidMin: 1000, uidMax: 1999 });
    expect(limited.refusal(spec(999))).toContain("only the users 1000 to 1999");
    expect(limited.refusal(spec(2000))).toContain("only the users 1000 to 1999");
    expect(limited.refusal(spec(1000))).toBeUndefined();
    expect(limited.refusal(spec(1999))).toBeUndefined();
    expect(tyrantOf({ denyUsers: ["web"] }).refusal(spec(1000))).toContain(
      "emperor-tyrant-deny-user",
    );
    expect(tyrantOf({ allowUsers: ["web", "77"] }).refusal(spec(78))).toContain(
      "emperor-tyrant-allow-user",
    );
    expect(tyrantOf({ allowUsers: ["web", "77"] }).refusal(spec(77))).toBeUndefined();
    // Denied is denied, also for who is allowed.
    expect(tyrantOf({ allowUsers: ["web"], denyUsers: ["1000"] }).refusal(spec(1000))).toContain(
      "deny",
    );
    expect(() => tyrantOf({ denyUsers: ["nobody-of-this-name"] })).toThrow("there is no such user");
  });

  test("initgroups takes the user's own group and those that list it, whatever the file's is", () => {
    const tyrant = tyrantOf({}, { tyrantInitgroups: true });
    expect(tyrant.answer(spec(1000, 33))).toMatchObject({
      credentials: { uid: 1000, gid: 33, groups: [1000, 4] },
    });
    expect(tyrant.refusal(spec(77))).toContain("no known user");
  });

  test("emperor-tyrant-groups wants a member of the file's group as well", () => {
    const tyrant = tyrantOf({ groups: true });
    expect(tyrant.answer(spec(1000, 4))).toMatchObject({
      credentials: { uid: 1000, gid: 4, groups: [1000, 4] },
    });
    expect(tyrant.refusal(spec(1000, 42))).toContain("its group 42 is none of user web's");
  });
});

describe("the environment in Tyrant mode", () => {
  const base = {
    ...{ SECRET: "x", LANG: "C", LC_ALL: "C", TZ: "UTC", HOME: "/root", PATH: "/opt/bin" },
    ...{ UWSGI_VASSAL_A: "1", UWSGI_EMPEROR: "/etc", KEPT_1: "1", NODE_OPTIONS: "--inspect" },
  };
  const environmentOf = (changes: Partial<Settings>, added: Settings["environment"] = []) =>
    new VassalEnvironment(
      () => base,
      added,
      { channel: 3, config: 4 },
      () => undefined,
      keptVariables(testSettings({ tyrant: true, ...changes })),
    );
  const start = { piped: false, zergNumber: undefined };
  const names = (entries: readonly string[]): string[] =>
    entries.map((entry) => entry.slice(0, entry.indexOf("="))).toSorted();

  test("holds what is harmless, what was written for vassals, and the user", () => {
    const env = environmentOf({}, [{ name: "OPTION", value: "1" }]).build({ ...start, user: WEB });
    expect(names(env)).toEqual(
      "HOME LANG LC_ALL LOGNAME OPTION PATH SHELL TZ USER UWSGI_A UWSGI_EMPEROR_FD".split(" "),
    );
    expect(env).toEqual(
      expect.arrayContaining(["HOME=/home/web", "USER=web", "LOGNAME=web", "SHELL=/bin/bash"]),
    );
    expect(env).toContain(`PATH=${cleanPath(process.execPath)}`);
  });

  test("takes further names and prefixes from the option", () => {
    const env = environmentOf({ environmentKeep: ["SECRET", "KEPT_*", "PATH"] }).build(start);
    expect(env).toEqual(expect.arrayContaining(["SECRET=x", "KEPT_1=1", "PATH=/opt/bin"]));
  });

  test("the Emperor's own PATH is where programs are looked for", () => {
    expect(environmentOf({}).path).toBe("/opt/bin");
    expect(environmentOf({}).vassalPath).toBe(cleanPath(process.execPath));
  });

  test("is inherited by a wrapper, unless vassal-env says otherwise; a user's HOME wins", () => {
    const env = environmentOf({ wrapper: "/w" }).build({ ...start, user: WEB });
    expect(env).toEqual(expect.arrayContaining(["SECRET=x", "HOME=/home/web", "PATH=/opt/bin"]));
    expect(env).not.toContain("HOME=/root");
    expect(environmentOf({ wrapper: "/w", environmentMode: "clean" }).build(start)).not.toContain(
      "SECRET=x",
    );
    expect(environmentOf({ tyrant: false }).build(start)).toContain("SECRET=x");
  });

  test("PATH ends in the directory of Node, unless it is there", () => {
    expect(cleanPath("/opt/node/bin/node")).toBe("/usr/local/bin:/usr/bin:/bin:/opt/node/bin");
    expect(cleanPath("/usr/bin/node")).toBe("/usr/local/bin:/usr/bin:/bin");
  });
});
