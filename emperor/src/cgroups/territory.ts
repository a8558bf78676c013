/**
 * The directory that belongs to one Emperor: made, locked, its controllers switched on, the Emperor put
 * into a leaf of its own, what a dead Emperor left cleaned away. Everything here happens once, before
 * the first vassal; whatever the machine refuses ends the start with the reason.
 */
import { closeSync, openSync } from "node:fs";
import { flock } from "@emperor/linux";
import { EmperorError } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import { chooseHierarchies, describeHierarchy, type Hierarchy } from "./hierarchies.ts";
import {
  groupsIn,
  killMembers,
  makeGroup,
  membersOf,
  readValue,
  removeGroup,
  writeValue,
} from "./kernel.ts";
import {
  controllerOf,
  filesOfVersion1,
  filesOfVersion2,
  type FileValue,
  type Limit,
} from "./limits.ts";

/** Directories of vassals begin like this; what else lies in our directory is not ours. */
export const VASSAL_PREFIX = "vassal-";
const EMPEROR_LEAF = "emperor";
/** Switched on for accounting wherever they are there; limits may need more. */
const ACCOUNTING = ["memory", "cpu", "pids"];
const LEFTOVER_MS = 5000;

export interface TerritoryRequest {
  /** As the administrator wrote it. */
  readonly directory: string;
  /** All limits that any vassal may get. */
  readonly limits: readonly Limit[];
  /** What every vassal gets: tried once, so that a wrong one is known before the first start. */
  readonly forAll: readonly Limit[];
  /** Text of /proc/self/mountinfo. */
  readonly mountinfo: string;
  readonly pid: number;
  readonly logger: Pick<Logger, "info" | "warning">;
}

function refuse(directory: string, why: string): EmperorError {
  return new EmperorError(
    "cgroup-failed",
    `emperor-cgroup ${directory} cannot be used: ${why}; nothing is started`,
  );
}

/** The Emperor's directories, ready for vassals. */
export interface Territory {
  readonly hierarchies: readonly Hierarchy[];
  /** Gives the lock back. */
  readonly release: () => void;
}

/**
 * Takes the directory.
 * @throws EmperorError `cgroup-failed`
 */
export async function takeTerritory(request: TerritoryRequest): Promise<Territory> {
  const { directory, limits, mountinfo, logger } = request;
  const keys = limits.map(({ key }) => controllerOf(key)).filter((name) => name !== "cgroup");
  const choice = chooseHierarchies(mountinfo, directory, keys);
  if (!choice.ok) throw refuse(directory, choice.problem);
  for (const { path, version } of choice.hierarchies) {
    const refusal = makePath(path);
    if (refusal !== undefined)
      throw refuse(directory, `${path} cannot be made in cgroup v${version}: ${hint(refusal)}`);
  }
  const release = lock(directory, choice.hierarchies);
  try {
    const hierarchies = choice.hierarchies.map((hierarchy) => prepare(hierarchy, keys, request));
    for (const hierarchy of hierarchies) await clean(hierarchy, logger);
    checkLimits(directory, hierarchies, request);
    logger.info(`[emperor] vassals get cgroups: ${hierarchies.map(describeHierarchy).join("; ")}`);
    return { hierarchies, release };
  } catch (error) {
    release();
    throw error;
  }
}

function hint(refusal: string): string {
  if (refusal === "EROFS") return "EROFS, the cgroup file system is read-only";
  if (refusal === "EACCES" || refusal === "EPERM")
    return `${refusal}, it takes root, or a directory that was delegated to the Emperor's user`;
  return refusal;
}

/** With all directories above that are missing. */
function makePath(path: string): string | undefined {
  const refusal = makeGroup(path);
  if (refusal === "EEXIST") return undefined;
  if (refusal !== "ENOENT") return refusal;
  return makePath(path.replace(/\/[^/]*$/, "")) ?? makeGroup(path);
}

/** Two Emperors with one directory would clean each other's vassals away. The lock ends with the process. */
function lock(directory: string, hierarchies: readonly Hierarchy[]): () => void {
  const fds: number[] = [];
  const release = (): void => {
    for (const fd of fds.splice(0)) closeSync(fd);
  };
  for (const { path } of hierarchies) {
    const fd = openSync(path, "r");
    fds.push(fd);
    if (flock(fd, { exclusive: true, nonBlocking: true })) continue;
    release();
    throw refuse(directory, "another Emperor uses it");
  }
  return release;
}

/** Moves the Emperor into its leaf if it lives in the directory itself, and switches the controllers on. */
function prepare(
  hierarchy: Hierarchy,
  keys: readonly string[],
  { directory, pid, logger }: TerritoryRequest,
): Hierarchy {
  const { path, version, mount } = hierarchy;
  const members = membersOf(path);
  if (members.includes(pid)) moveToLeaf(directory, path, members, logger);
  if (version === 1) return hierarchy;
  const wanted = [...new Set([...ACCOUNTING, ...keys])];
  // From the root down: each level can only hand on what it was handed. Where we may not, somebody
  // else (systemd) has decided already, and the last look says what there is.
  const steps = path.slice(mount.length + 1).split("/");
  for (let depth = 0; depth <= steps.length; depth += 1) {
    const at = [mount, ...steps.slice(0, depth)].join("/");
    const there = words(`${at}/cgroup.controllers`);
    const on = words(`${at}/cgroup.subtree_control`);
    for (const name of wanted) {
      if (!there.includes(name) || on.includes(name)) continue;
      const refusal = writeValue(`${at}/cgroup.subtree_control`, `+${name}`);
      if (refusal !== undefined && at === path)
        throw refuse(
          directory,
          `the controller ${name} cannot be switched on: ${busy(refusal, at)}`,
        );
    }
  }
  return { ...hierarchy, controllers: words(`${path}/cgroup.subtree_control`) };
}

function busy(refusal: string, path: string): string {
  return refusal === "EBUSY"
    ? `EBUSY, other processes live in it: ${membersOf(path).join(" ")}`
    : hint(refusal);
}

function words(path: string): readonly string[] {
  return readValue(path)
    .split(/\s+/)
    .filter((word) => word !== "");
}

function moveToLeaf(
  directory: string,
  path: string,
  members: readonly number[],
  logger: TerritoryRequest["logger"],
): void {
  const leaf = `${path}/${EMPEROR_LEAF}`;
  const refusal = makeGroup(leaf);
  if (refusal !== undefined && refusal !== "EEXIST")
    throw refuse(directory, `the Emperor's own leaf ${leaf} cannot be made: ${hint(refusal)}`);
  for (const pid of members) {
    const problem = writeValue(`${leaf}/cgroup.procs`, String(pid));
    // ESRCH: it ended meanwhile.
    if (problem !== undefined && problem !== "ESRCH")
      throw refuse(directory, `process ${pid} cannot be moved to ${leaf}: ${hint(problem)}`);
  }
  logger.info(`[emperor] the Emperor lives in the cgroup ${leaf}`);
}

/** What an Emperor that was killed left: its lock is gone, so nobody governs these vassals. */
async function clean(
  { path, version }: Hierarchy,
  logger: TerritoryRequest["logger"],
): Promise<void> {
  const names = groupsIn(path).filter((name) => name.startsWith(VASSAL_PREFIX));
  if (names.length === 0) return;
  let killed = 0;
  for (const name of names) {
    killed += membersOf(`${path}/${name}`).length;
    killAll(`${path}/${name}`, version);
  }
  const until = performance.now() + LEFTOVER_MS;
  let left = names;
  for (let pauseMs = 1; ; pauseMs = Math.min(100, pauseMs * 2)) {
    left = left.filter((name) => removeGroup(`${path}/${name}`) !== undefined);
    if (left.length === 0 || performance.now() > until) break;
    for (const name of left) killAll(`${path}/${name}`, version);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  logger.warning(
    `[emperor] ${names.length} cgroups of an Emperor that ended without cleaning up were found in ${path}: ${killed} processes killed, ${names.length - left.length} cgroups removed`,
  );
  if (left.length > 0)
    logger.warning(`[emperor] these could not be removed: ${left.slice(0, 10).join(", ")}`);
}

/** Whatever is in it: at once where the kernel does it, else one by one while it is frozen. */
export function killAll(path: string, version: 1 | 2): void {
  // Linux 5.14; before that, and in version 1, by hand.
  if (version === 2 && writeValue(`${path}/cgroup.kill`, "1") === undefined) return;
  const file = `${path}/freezer.state`;
  const frozen = version === 1 && writeValue(file, "FROZEN") === undefined;
  killMembers(path);
  if (frozen) writeValue(file, "THAWED");
}

/** Which files of which hierarchy a set of limits means. Throws the name of what cannot be had. */
export function filesFor(
  hierarchies: readonly Hierarchy[],
  limits: readonly Limit[],
): {
  readonly files: readonly (FileValue & { readonly at: Hierarchy })[];
  readonly missing: readonly string[];
} {
  const files: (FileValue & { readonly at: Hierarchy })[] = [];
  const missing: string[] = [];
  for (const limit of limits) {
    const controller = controllerOf(limit.key);
    const second = hierarchies.find(({ version }) => version === 2);
    const first = hierarchies.find(
      (one) => one.version === 1 && one.controllers.includes(controller),
    );
    const isCore = controller === "cgroup";
    if (second !== undefined && (isCore || second.controllers.includes(controller))) {
      files.push(...filesOfVersion2([limit]).map((file) => ({ ...file, at: second })));
    } else if (first !== undefined) {
      const values = filesOfVersion1(limit, limits);
      if (values === undefined) missing.push(`${limit.key} does not exist in cgroup v1`);
      else files.push(...values.map((file) => ({ ...file, at: first })));
    } else
      missing.push(`${limit.key} needs the controller ${controller}, which is not available here`);
  }
  return { files, missing };
}

function checkLimits(
  directory: string,
  hierarchies: readonly Hierarchy[],
  { limits, forAll, pid }: TerritoryRequest,
): void {
  const { missing } = filesFor(hierarchies, limits);
  if (missing.length > 0) throw refuse(directory, [...new Set(missing)].join("; "));
  const name = `${VASSAL_PREFIX}trial-${pid}`;
  const problems: string[] = [];
  for (const { path } of hierarchies) makeGroup(`${path}/${name}`);
  for (const { at, file, value } of filesFor(hierarchies, forAll).files) {
    const refusal = writeValue(`${at.path}/${name}/${file}`, value);
    if (refusal !== undefined)
      problems.push(`the kernel refuses ${file} = ${value}: ${hint(refusal)}`);
  }
  for (const { path } of hierarchies) removeGroup(`${path}/${name}`);
  if (problems.length > 0) throw refuse(directory, problems.join("; "));
}
