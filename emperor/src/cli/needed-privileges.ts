/**
 * What the Emperor was asked to do and cannot, for want of privileges: better said at the start, with the
 * reason, than at each vassal. Knows the system only through what it is given.
 */
import { EmperorError } from "../errors.ts";
import type { Settings } from "../options/settings.ts";

/** Numbers of capabilities, as in linux/capability.h. */
const CAPABILITY = { setgid: 6, setuid: 7, setpcap: 8, sys_admin: 21 } as const;
type CapabilityName = keyof typeof CAPABILITY;
/** In a user namespace of its own the child has all rights that it needs for the others. */
const NEW_USER = 0x1000_0000;

export interface OwnPrivileges {
  readonly uid: number;
  /** Capability numbers in the effective set. */
  readonly effective: readonly number[];
}

interface Need {
  readonly option: string;
  readonly what: string;
  readonly capabilities: readonly CapabilityName[];
  readonly hint: string;
}

function needsOf(
  settings: Pick<Settings, "tyrant" | "cloneFlags" | "capabilities" | "profiles">,
): readonly Need[] {
  const { privateTmp, readOnly, hidePid, hide } = settings.profiles.base.sandbox;
  const hasUser = (settings.cloneFlags & NEW_USER) !== 0;
  const needs: Need[] = [];
  if (settings.tyrant) {
    needs.push({
      option: "emperor-tyrant",
      what: "run vassals as other users",
      capabilities: ["setgid", "setuid"],
      hint: "start the Emperor as root, and to leave root give it uid, gid and cap = setgid,setuid",
    });
  }
  if (settings.cloneFlags !== 0 && !hasUser) {
    needs.push({
      option: "emperor-use-clone",
      what: "make namespaces",
      capabilities: ["sys_admin"],
      hint: "start it as root, or add user to the namespaces",
    });
  }
  if ((privateTmp || readOnly || hidePid || hide.length > 0) && !hasUser) {
    needs.push({
      option: "vassal-private-tmp, vassal-read-only, vassal-hide or vassal-hide-pid",
      what: "narrow the file system of vassals",
      capabilities: ["sys_admin"],
      hint: "start it as root",
    });
  }
  if (settings.capabilities !== undefined && !hasUser) {
    needs.push({
      option: "emperor-cap",
      what: "limit the capabilities of vassals",
      capabilities: ["setpcap"],
      hint: "start it as root",
    });
  }
  return needs;
}

/**
 * Called after the Emperor dropped its own privileges. What only single vassals ask for is not here: it
 * fails their start.
 * @throws EmperorError `privileges-missing`, with all that is missing
 */
export function checkPrivileges(
  settings: Pick<Settings, "tyrant" | "cloneFlags" | "capabilities" | "profiles">,
  own: OwnPrivileges,
): void {
  const problems: string[] = [];
  for (const { option, what, capabilities, hint } of needsOf(settings)) {
    const missing = capabilities.filter((name) => !own.effective.includes(CAPABILITY[name]));
    if (missing.length === 0) continue;
    problems.push(
      `${option}: user ${own.uid} cannot ${what} without the ${missing.length === 1 ? "capability" : "capabilities"} ${missing.join(" and ")}: ${hint}`,
    );
  }
  if (problems.length > 0)
    throw new EmperorError("privileges-missing", `${problems.join("; ")}; nothing is started`);
}
