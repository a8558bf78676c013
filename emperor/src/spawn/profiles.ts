/**
 * What a vassal loses by its profile: puts the administrator's and the one it asks for together, always
 * to the stricter side, and makes the step that narrows its file system. Reads no option.
 */
import { dirname, join, relative, resolve } from "node:path";
import { SANDBOX_PROGRAM, type SetupAction } from "@emperor/linux";
import type { Profile, ProfileSettings, Rlimit, Sandbox } from "../options/profile-options.ts";

/** What a private /tmp is made of. */
const TEMPORARY = ["/tmp", "/var/tmp", "/dev/shm"] as const;
const NEW_MOUNT = 0x0002_0000;

export type ProfileAnswer =
  /** `hasAsked`: it is not the administrator's alone. */
  | { readonly ok: true; readonly profile: Profile; readonly hasAsked: boolean }
  /** The end of a sentence. */
  | { readonly ok: false; readonly problem: string };

function union(a: readonly string[], b: readonly string[]): readonly string[] {
  return [...new Set([...a, ...b])];
}

function lower(a: readonly Rlimit[], b: readonly Rlimit[]): readonly Rlimit[] {
  const least = new Map<number, number>();
  for (const { resource, limit } of [...a, ...b])
    least.set(resource, Math.min(limit, least.get(resource) ?? Infinity));
  return Array.from(least, ([resource, limit]) => ({ resource, limit }));
}

function narrower(a: Sandbox, b: Sandbox): Sandbox {
  return {
    privateTmp: a.privateTmp || b.privateTmp,
    readOnly: a.readOnly || b.readOnly,
    hidePid: a.hidePid || b.hidePid,
    hide: union(a.hide, b.hide),
    // What the administrator opened stays open; a profile that is asked for opens nothing.
    write: a.write,
  };
}

/** `base` and everything that `more` takes beside: in no respect looser than either, but for `write`. */
export function stricter(base: Profile, more: Profile): Profile {
  return {
    cloneFlags: base.cloneFlags | more.cloneFlags,
    capabilities:
      base.capabilities === undefined || more.capabilities === undefined
        ? (base.capabilities ?? more.capabilities)
        : base.capabilities.filter((one) => more.capabilities?.includes(one) === true),
    noNewPrivileges: base.noNewPrivileges || more.noNewPrivileges,
    sandbox: narrower(base.sandbox, more.sandbox),
    rlimits: lower(base.rlimits, more.rlimits),
  };
}

function narrowsFiles({ privateTmp, readOnly, hidePid, hide }: Sandbox): boolean {
  return privateTmp || readOnly || hidePid || hide.length > 0;
}

export class Profiles {
  readonly #settings: ProfileSettings;
  readonly #made = new Map<string, Profile>();

  constructor(settings: ProfileSettings) {
    this.#settings = settings;
  }

  /** The profile of a vassal with these attributes. */
  of(attributes: Readonly<Record<string, readonly string[]>>): ProfileAnswer {
    const { attribute, base, offered } = this.#settings;
    const asked = attribute === undefined ? [] : (attributes[attribute] ?? []);
    const key = asked.join("\0");
    let profile = this.#made.get(key);
    const hasAsked = asked.length > 0;
    if (profile !== undefined) return { ok: true, profile, hasAsked };
    profile = base;
    for (const name of asked) {
      const more = Object.hasOwn(offered, name) ? offered[name] : undefined;
      if (more === undefined) {
        const known = Object.keys(offered).join(", ");
        return { ok: false, problem: `there is no profile ${JSON.stringify(name)}, only ${known}` };
      }
      profile = stricter(profile, more);
    }
    if (narrowsFiles(profile.sandbox))
      profile = { ...profile, cloneFlags: profile.cloneFlags | NEW_MOUNT };
    // Tenants choose the texts: only known names, each a few times, ever get here.
    if (this.#made.size < 100) this.#made.set(key, profile);
    return { ok: true, profile, hasAsked };
  }

  /** The step of the child that narrows its file system; undefined: it sees all. */
  step({ sandbox }: Profile, around: Surroundings): SetupAction | undefined {
    return sandboxAction(sandbox, around);
  }
}

export interface Surroundings {
  readonly home: string | undefined;
  readonly cwd: string;
  /** Of the config file. */
  readonly path: string | undefined;
  /** Programs that must stay visible: Node, the runtime. */
  readonly programs: readonly string[];
}

/**
 * Below a directory of homes that is hidden, the home that holds the config is the tenant's own: also of
 * a user without an entry, or with another home in it.
 */
function ownPlaces(hide: readonly string[], path: string | undefined): readonly string[] {
  if (path === undefined) return [];
  return hide.flatMap((directory) => {
    const way = relative(resolve(directory), dirname(path)).split("/");
    const [first = ""] = way;
    return first === "" || first === ".." ? [] : [join(directory, first)];
  });
}

/** The step of the child that narrows its file system; undefined: it sees all. */
export function sandboxAction(sandbox: Sandbox, around: Surroundings): SetupAction | undefined {
  if (!narrowsFiles(sandbox)) return undefined;
  const keep = [around.cwd, ...around.programs];
  if (around.path !== undefined) keep.push(dirname(around.path));
  const write = [...sandbox.write, ...ownPlaces(sandbox.hide, around.path)];
  if (around.home !== undefined && around.home !== "/") write.push(around.home);
  const flagged = (flag: string, values: readonly string[]): readonly string[] =>
    values.flatMap((value) => [flag, resolve(value)]);
  return {
    kind: "argv",
    argv: [
      SANDBOX_PROGRAM,
      ...flagged("--hide", sandbox.hide),
      ...flagged("--private", sandbox.privateTmp ? TEMPORARY : []),
      ...flagged("--keep", keep),
      ...flagged("--write", write),
      ...(sandbox.readOnly ? ["--read-only"] : []),
      ...(sandbox.hidePid ? ["--hide-pid"] : []),
    ],
    env: [],
    tolerant: false,
  };
}
