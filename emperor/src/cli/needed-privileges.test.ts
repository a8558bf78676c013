/** What an Emperor without privileges is refused at the start, and what it may do. */
import { expect, test } from "vitest";
import type { Settings } from "../options/settings.ts";
import { testSettings } from "../spawn/spawn.fixture.ts";
import { checkPrivileges } from "./needed-privileges.ts";

const SYS_ADMIN = 21;
const NEW_PID = 0x2000_0000;
const NEW_USER = 0x1000_0000;

function check(changes: Partial<Settings>, effective: readonly number[] = []): string {
  try {
    checkPrivileges(testSettings(changes), { uid: 1000, effective });
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

test("nothing special needs nothing special", () => {
  expect(check({})).toBe("");
});

test("Tyrant mode needs the right to become others, and no more", () => {
  expect(check({ tyrant: true }, [6])).toContain("without the capability setuid");
  expect(check({ tyrant: true })).toContain("capabilities setgid and setuid");
  expect(check({ tyrant: true })).toContain("cap = setgid,setuid");
  expect(check({ tyrant: true }, [6, 7])).toBe("");
});

test("namespaces need root, or a user namespace with them", () => {
  expect(check({ cloneFlags: NEW_PID })).toContain("emperor-use-clone: user 1000 cannot");
  expect(check({ cloneFlags: NEW_PID }, [SYS_ADMIN])).toBe("");
  expect(check({ cloneFlags: NEW_PID | NEW_USER })).toBe("");
});

test("so do the narrowing of the file system and of capabilities; all is told at once", () => {
  const { base } = testSettings().profiles;
  const profiles = {
    ...{ attribute: undefined, offered: {} },
    base: { ...base, sandbox: { ...base.sandbox, readOnly: true } },
  };
  expect(check({ profiles })).toContain("narrow the file system");
  expect(check({ profiles }, [SYS_ADMIN])).toBe("");
  expect(check({ capabilities: [] })).toContain("without the capability setpcap");
  const all = check({ profiles, tyrant: true, cloneFlags: NEW_PID, capabilities: [] });
  expect(all.match(/user 1000 cannot/g)).toHaveLength(4);
});
