/**
 * Where on this machine vassals' cgroups can be: version 2, version 1, or both side by side, read from
 * what is mounted. Pure; it must not know a vassal nor touch a file.
 */
import { isAbsolute, normalize, relative } from "node:path";

/** One tree of cgroups, and the directory in it that belongs to this Emperor. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** What it may limit and count. Of version 2 filled in when the directory is there. */
  readonly controllers: readonly string[];
  /** Where it is mounted. */
  readonly mount: string;
  /** The Emperor's directory, absolute. */
  readonly path: string;
}

export type HierarchyChoice =
  | { readonly ok: true; readonly hierarchies: readonly Hierarchy[] }
  | { readonly ok: false; readonly problem: string };

interface Mount {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  readonly point: string;
}

/** Those of version 1 that say something of a vassal or hold it; others are left alone unless a limit names them. */
const USED_OF_VERSION_1 = ["memory", "cpu", "cpuacct", "pids", "freezer"];

/** Version 2 freezes and counts processor time without a controller, and each tree makes a start dearer. */
const NEEDLESS_BESIDE_2 = ["freezer", "cpuacct"];

/** Octal escapes of /proc/PID/mountinfo. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, code: string) =>
    String.fromCharCode(Number.parseInt(code, 8)),
  );
}

function readMounts(mountinfo: string): readonly Mount[] {
  const mounts: Mount[] = [];
  for (const line of mountinfo.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const point = unescape(left.split(" ")[4] ?? "");
    const [type, , options = ""] = right.split(" ");
    if (type === "cgroup2") mounts.push({ version: 2, controllers: [], point });
    if (type !== "cgroup") continue;
    const controllers = options.split(",").filter((word) => word !== "rw" && word !== "ro");
    mounts.push({ version: 1, controllers, point });
  }
  return mounts;
}

/** The part of `path` below `base`: `""` for base itself; undefined when it lies elsewhere. */
function below(base: string, path: string): string | undefined {
  const rest = relative(base, path);
  return rest === ".." || rest.startsWith("../") ? undefined : rest;
}

/**
 * Chooses by what is mounted:
 *
 * - a directory in a tree of version 2: that tree, and for the controllers it lacks those of version 1
 *   that are mounted beside it;
 * - a directory in a tree of version 1 (`/sys/fs/cgroup/memory/emperor`): version 1 alone;
 * - `/sys/fs/cgroup/NAME` where `/sys/fs/cgroup` itself holds only mount points, or a relative `NAME`:
 *   NAME in all of them.
 *
 * @param extra controllers that limits need beside the usual ones
 */
export function chooseHierarchies(
  mountinfo: string,
  directory: string,
  extra: readonly string[] = [],
): HierarchyChoice {
  const mounts = readMounts(mountinfo);
  if (mounts.length === 0) return { ok: false, problem: "no cgroup file system is mounted" };
  const wanted = normalize(directory).replace(/\/+$/, "");
  const place = placeOf(mounts, wanted);
  if (place === undefined) {
    const points = mounts.map(({ point }) => point).join(", ");
    return { ok: false, problem: `it lies in no cgroup file system (${points})` };
  }
  if (place.name === "" || place.name === "." || place.name.startsWith("..")) {
    return { ok: false, problem: "it is the root of a cgroup file system; name one below it" };
  }
  const used = [...USED_OF_VERSION_1, ...extra];
  const hierarchies: Hierarchy[] = [];
  for (const { version, controllers, point } of mounts) {
    const isWanted =
      version === 2 ? !place.onlyVersion1 : controllers.some((name) => used.includes(name));
    const isKnown = hierarchies.some((other) => other.mount === point);
    const isSecond = version === 2 && hierarchies.some((other) => other.version === 2);
    if (!isWanted || isKnown || isSecond) continue;
    const path = `${point}/${place.name}`;
    hierarchies.push({ version, controllers, mount: point, path });
  }
  const tracksByItself = hierarchies.some(({ version }) => version === 2);
  return {
    ok: true,
    hierarchies: tracksByItself
      ? hierarchies.filter(({ controllers }) => !NEEDLESS_BESIDE_2.includes(controllers.join()))
      : hierarchies,
  };
}

function placeOf(
  mounts: readonly Mount[],
  wanted: string,
): { readonly name: string; readonly onlyVersion1: boolean } | undefined {
  if (!isAbsolute(wanted)) return { name: wanted, onlyVersion1: false };
  // The deepest mount counts: below a pure version 2 nothing else is mounted, but it could be.
  const [holder] = mounts
    .filter(({ point }) => below(point, wanted) !== undefined)
    .toSorted((one, other) => other.point.length - one.point.length);
  if (holder !== undefined) {
    return { name: below(holder.point, wanted) ?? "", onlyVersion1: holder.version === 1 };
  }
  const [first] = mounts;
  const base = first === undefined ? "/" : first.point.replace(/\/[^/]*$/, "");
  const name = base === "" || base === "/" ? undefined : below(base, wanted);
  return name === undefined ? undefined : { name, onlyVersion1: false };
}

/** For the log: `cgroup v2 /sys/fs/cgroup/emperor (cpu, memory, pids)`. */
export function describeHierarchy({ version, path, controllers }: Hierarchy): string {
  const list = controllers.length === 0 ? "no controllers" : controllers.join(", ");
  return `v${version} ${path} (${list})`;
}
