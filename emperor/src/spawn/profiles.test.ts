/** Profiles: put together to the stricter side, and what becomes of the file system. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Profile } from "../options/profile-options.ts";
import { readSettings } from "../options/read-settings.ts";
import { Profiles, sandboxAction, stricter } from "./profiles.ts";
import { testSettings } from "./spawn.fixture.ts";

const NONE = testSettings().profiles.base;

async function settingsOf(...argv: readonly string[]) {
  const reading = await readSettings({
    ...{ argv: ["--emperor", "/v", ...argv], environment: {}, startDirectory: "/" },
    ...{ defaultBinaryPath: "/vassal", version: "0" },
  });
  if (reading.ok !== true) throw new Error(JSON.stringify(reading));
  return reading.settings;
}

const profiles = fc.record({
  cloneFlags: fc.integer({ min: 0, max: 0x7fff_ffff }),
  capabilities: fc.option(fc.uniqueArray(fc.nat(40)), { nil: undefined }),
  noNewPrivileges: fc.boolean(),
  sandbox: fc.record({
    ...{ privateTmp: fc.boolean(), readOnly: fc.boolean(), hidePid: fc.boolean() },
    hide: fc.uniqueArray(fc.constantFrom<string>("/home", "/root", "/srv")),
    write: fc.uniqueArray(fc.constantFrom<string>("/run/a", "/run/b")),
  }),
  rlimits: fc.uniqueArray(fc.record({ resource: fc.nat(15), limit: fc.nat(1000) }), {
    selector: ({ resource }) => resource,
  }),
});

/** Everything that `one` forbids is forbidden by `other`. */
function isAtLeastAsStrict(other: Profile, one: Profile): boolean {
  const limits = new Map(other.rlimits.map(({ resource, limit }) => [resource, limit]));
  return [
    (other.cloneFlags & one.cloneFlags) === one.cloneFlags,
    one.capabilities === undefined ||
      (other.capabilities?.every((number) => one.capabilities?.includes(number)) ?? false),
    other.noNewPrivileges || !one.noNewPrivileges,
    other.sandbox.privateTmp || !one.sandbox.privateTmp,
    other.sandbox.readOnly || !one.sandbox.readOnly,
    other.sandbox.hidePid || !one.sandbox.hidePid,
    one.sandbox.hide.every((path) => other.sandbox.hide.includes(path)),
    one.rlimits.every(({ resource, limit }) => (limits.get(resource) ?? Infinity) <= limit),
  ].every(Boolean);
}

describe("a profile that a vassal asks for", () => {
  test("never makes anything looser, whichever two come together", () => {
    fc.assert(
      fc.property(profiles, profiles, (base, more) => {
        const both = stricter(base, more);
        return (
          isAtLeastAsStrict(both, base) &&
          isAtLeastAsStrict(both, more) &&
          both.sandbox.write.every((path) => base.sandbox.write.includes(path))
        );
      }),
    );
  });

  test("is one of ours; another name starts nothing", async () => {
    const settings = await settingsOf("--vassal-profile-attr", "profile");
    expect(settings.collectAttributes).toContain("profile");
    const chooser = new Profiles(settings.profiles);
    expect(chooser.of({})).toMatchObject({ ok: true, profile: NONE, hasAsked: false });
    expect(chooser.of({ profile: ["strict"] })).toMatchObject({
      profile: { noNewPrivileges: true, sandbox: { readOnly: true, hide: ["/home", "/root"] } },
    });
    for (const name of ["none", "constructor", "../strict", "/etc/passwd"])
      expect(chooser.of({ profile: [name] })).toMatchObject({ ok: false });
    // Without the attribute nobody is asked.
    const deaf = new Profiles((await settingsOf()).profiles);
    expect(deaf.of({ profile: ["strict"] })).toMatchObject({ profile: NONE });
  });
});

describe("the administrator's profile", () => {
  test("strict is what it says, and what is given beside it counts more", async () => {
    const settings = await settingsOf(
      "--vassal-profile",
      "strict",
      "--emperor-tyrant-uid-min",
      "5",
    );
    expect(settings).toMatchObject({
      ...{ tyrant: true, environmentMode: "clean", tyrantRules: { uidMin: 5 } },
      profiles: {
        base: {
          noNewPrivileges: true,
          sandbox: { privateTmp: true, readOnly: true, hidePid: true },
        },
      },
    });
    expect((await settingsOf("--vassal-profile", "container")).tyrant).toBe(false);
    expect((await settingsOf("--vassal-profile", "default")).profiles.base.noNewPrivileges).toBe(
      true,
    );
  });

  test("of a file that is not there, or with nonsense in it, nothing is started", async () => {
    await expect(settingsOf("--vassal-profile", "/nowhere.ini")).rejects.toThrow("/nowhere.ini");
    await expect(settingsOf("--vassal-rlimit", "nonsense=1")).rejects.toThrow("nproc");
    await expect(settingsOf("--vassal-hide", "relative")).rejects.toThrow("absolute path");
  });

  test("that narrows the file system brings a mount namespace", () => {
    const base = { ...NONE, sandbox: { ...NONE.sandbox, hidePid: true } };
    const answer = new Profiles({ base, attribute: undefined, offered: {} }).of({});
    expect(answer.ok && answer.profile.cloneFlags).toBe(0x0002_0000);
  });
});

test("the step that narrows keeps home, config, directory and programs", () => {
  const around = { home: "/home/ann", cwd: "/v", path: "/v/a.ini", programs: ["/opt/emperor"] };
  expect(sandboxAction(NONE.sandbox, around)).toBeUndefined();
  const sandbox = { ...NONE.sandbox, readOnly: true, hide: ["/home"], write: ["/run/a"] };
  const action = sandboxAction(sandbox, around);
  expect(action?.kind === "argv" && action.argv.slice(1).join(" ")).toBe(
    "--hide /home --keep /v --keep /opt/emperor --keep /v --write /run/a --write /home/ann --read-only",
  );
  const own = sandboxAction(sandbox, { ...around, home: "/", path: "/home/bob/vassals/b.ini" });
  expect(own?.kind === "argv" && own.argv.slice(-3).join(" ")).toBe(
    "--write /home/bob --read-only",
  );
  const homeless = sandboxAction(sandbox, { ...around, home: "/" });
  expect(homeless?.kind === "argv" && homeless.argv).not.toContain("/");
});
