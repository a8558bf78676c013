/**
 * Cgroups of a test's own: a directory in every tree that is mounted, gone when the test is over. Knows
 * of the Emperor only that it makes directories there.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { onTestFinished } from "vitest";
import { isRoot, needing } from "../../linux/test/privileges.ts";
import { waitFor } from "./wait.ts";

interface CgroupMount {
  readonly version: 1 | 2;
  readonly point: string;
  readonly controllers: readonly string[];
}

export const cgroupMounts: readonly CgroupMount[] = readFileSync("/proc/self/mountinfo", "utf8")
  .split("\n")
  .flatMap((line): CgroupMount[] => {
    const [left = "", right = ""] = line.split(" - ");
    const [type, , options = ""] = right.split(" ");
    if (type !== "cgroup" && type !== "cgroup2") return [];
    const point = left.split(" ")[4] ?? "";
    return [{ version: type === "cgroup2" ? 2 : 1, point, controllers: options.split(",") }];
  });

function isWritable(): boolean {
  const [mount] = cgroupMounts;
  if (mount === undefined || !isRoot) return false;
  const probe = `${mount.point}/em-probe-${process.pid}`;
  try {
    mkdirSync(probe);
    rmdirSync(probe);
    return true;
  } catch {
    return false;
  }
}

export const cgroupTest = needing(isWritable(), "needs root and a writable cgroup file system");

const memoryV1 = cgroupMounts.find(
  ({ version, controllers }) => version === 1 && controllers.includes("memory"),
);
const hasFreezer = cgroupMounts.some(({ controllers }) => controllers.includes("freezer"));

export const cgroupV1Test = needing(
  isWritable() && memoryV1 !== undefined && hasFreezer,
  "needs root and cgroup v1 with memory and freezer",
);

export const cgroupV2Test = needing(
  isWritable() && cgroupMounts.some(({ version }) => version === 2),
  "needs root and cgroup v2",
);

let count = 0;

/** The test's own name below every mount. */
export class OwnCgroups {
  readonly name: string;
  /** Names version 1, and so only that: where the Emperor uses no other. */
  readonly version1: string;

  constructor() {
    count += 1;
    this.name = `em-test-${process.pid}-${count}`;
    this.version1 = `${memoryV1?.point ?? "/nonexistent"}/${this.name}`;
    onTestFinished(() => this.#remove());
  }

  /** The directories that are there. */
  directories(): string[] {
    return cgroupMounts
      .map(({ point }) => `${point}/${this.name}`)
      .filter((path) => existsSync(path));
  }

  /** Cgroups of vassals in all trees, by path. */
  vassals(): string[] {
    return this.directories().flatMap((path) =>
      readdirSync(path)
        .filter((name) => name.startsWith("vassal-"))
        .map((name) => `${path}/${name}`),
    );
  }

  /** The file in the first vassal's cgroup that has one of these names: version 2's and 1's. */
  read(...names: readonly string[]): string | undefined {
    for (const path of this.vassals())
      for (const name of names)
        if (existsSync(`${path}/${name}`)) return readFileSync(`${path}/${name}`, "utf8").trim();
    return undefined;
  }

  members(): number[] {
    return [
      ...new Set(
        this.vassals().flatMap((path) =>
          readFileSync(`${path}/cgroup.procs`, "utf8")
            .split("\n")
            .filter((line) => line !== "")
            .map(Number),
        ),
      ),
    ];
  }

  make(version: 1 | 2, name: string): string {
    const mount = cgroupMounts.find((one) => one.version === version)?.point ?? "";
    const path = `${mount}/${this.name}/${name}`;
    mkdirSync(path, { recursive: true });
    return path;
  }

  async gone(): Promise<void> {
    await waitFor("no cgroup of a vassal to be left", () => this.vassals().length === 0, {
      witness: { onChange: () => () => undefined, account: () => this.vassals().join("\n") },
    });
  }

  async #remove(): Promise<void> {
    await waitFor("the test's cgroups to be removed", () => {
      for (const path of this.directories()) removeTree(path);
      return this.directories().length === 0;
    });
  }
}

function removeTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(`${path}/${entry.name}`);
  // A test that failed may have left processes, all of them its own.
  if (existsSync(`${path}/cgroup.kill`)) writeFileSync(`${path}/cgroup.kill`, "1");
  try {
    rmdirSync(path);
  } catch {
    // Still in use: tried again until the deadline.
  }
}
