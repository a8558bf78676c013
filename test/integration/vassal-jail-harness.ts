/** A vassal whose app tells what it sees of itself: for tests of walls around it. */
import { expect } from "vitest";
import { get } from "./vassal-harness.ts";
import type { RunningVassal, VassalFolder } from "./vassal-harness.ts";

/** Tells what it is and where. */
export const APP = `import { readFileSync, readlinkSync, statSync } from "node:fs";
import { hostname } from "node:os";
const line = (file, name) => readFileSync(file, "utf8").match(new RegExp("^" + name + ":?\\\\s+(.*)$", "m"))?.[1];
export default (_request, response) => response.end(JSON.stringify({
  pid: process.pid, uid: process.getuid(), gid: process.getgid(), groups: process.getgroups().sort((a, b) => a - b),
  hostname: hostname(), cwd: process.cwd(), root: statSync("/").ino,
  effective: line("/proc/self/status", "CapEff"), bounding: line("/proc/self/status", "CapBnd"),
  noNewPrivs: line("/proc/self/status", "NoNewPrivs"),
  processes: line("/proc/self/limits", "Max processes")?.split(/ +/)[0],
  files: line("/proc/self/limits", "Max open files")?.split(/ +/)[0],
  cgroups: readFileSync("/proc/self/cgroup", "utf8"), uidMap: readFileSync("/proc/self/uid_map", "utf8").trim(),
  namespaces: Object.fromEntries(["mnt", "net", "uts", "user"].map((name) => [name, readlinkSync("/proc/self/ns/" + name)])),
}));`;

export interface Seen {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly hostname: string;
  readonly cwd: string;
  readonly root: number;
  readonly effective: string;
  readonly bounding: string;
  readonly noNewPrivs: string;
  readonly processes: string;
  readonly files: string;
  readonly cgroups: string;
  readonly uidMap: string;
  readonly namespaces: Readonly<Record<"mnt" | "net" | "uts" | "user", string>>;
}

export async function start(folder: VassalFolder, lines: string): Promise<RunningVassal> {
  folder.write("app.mjs", APP);
  if (!/node-app|command/.test(lines)) lines += "\nnode-app = app.mjs";
  folder.ini(lines);
  const vassal = folder.start();
  await vassal.accepting();
  return vassal;
}

export async function look(folder: VassalFolder): Promise<Seen> {
  return JSON.parse((await get(folder.url)).body) as Seen;
}

export async function stop(vassal: RunningVassal, folder: VassalFolder): Promise<void> {
  vassal.send(0);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  await folder.untilAlone();
}
