/** Which trees are used, by what is mounted: as recorded on machines of each kind. */
import { describe, expect, test } from "vitest";
import { chooseHierarchies } from "./hierarchies.ts";

const PURE_V2 = `24 30 0:22 / /proc rw,nosuid - proc proc rw
35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`;
const HYBRID = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`;
const PURE_V1 = HYBRID.split("\n").slice(0, -2).join("\n");
const SPACED = "41 31 0:38 / /mnt/my\\040cgroups rw - cgroup2 cgroup2 rw\n";

function paths(mountinfo: string, directory: string, extra: readonly string[] = []) {
  const choice = chooseHierarchies(mountinfo, directory, extra);
  return choice.ok
    ? choice.hierarchies.map(({ version, path }) => `v${version} ${path}`)
    : choice.problem;
}

describe("what is mounted decides", () => {
  test("version 2 alone", () => {
    const expected = ["v2 /sys/fs/cgroup/emperor.slice/e"];
    expect(paths(PURE_V2, "/sys/fs/cgroup/emperor.slice/e/")).toEqual(expected);
    expect(paths(PURE_V2, "emperor.slice/e")).toEqual(expected);
    expect(paths(SPACED, "/mnt/my cgroups/e")).toEqual(["v2 /mnt/my cgroups/e"]);
  });

  test("both side by side: version 2 holds and kills, version 1 limits what it cannot", () => {
    const expected = [
      "v1 /sys/fs/cgroup/cpu,cpuacct/e",
      "v1 /sys/fs/cgroup/memory/e",
      "v1 /sys/fs/cgroup/pids/e",
      "v2 /sys/fs/cgroup/unified/e",
    ];
    expect(paths(HYBRID, "/sys/fs/cgroup/e")).toEqual(expected);
    expect(paths(HYBRID, "/sys/fs/cgroup/unified/e")).toEqual(expected);
    expect(paths(HYBRID, "e", ["blkio"])).toContain("v1 /sys/fs/cgroup/blkio/e");
  });

  test("version 1 alone, where there is nothing else or it is named", () => {
    const expected = [
      "v1 /sys/fs/cgroup/cpu,cpuacct/e",
      "v1 /sys/fs/cgroup/memory/e",
      "v1 /sys/fs/cgroup/freezer/e",
      "v1 /sys/fs/cgroup/pids/e",
    ];
    expect(paths(PURE_V1, "/sys/fs/cgroup/e")).toEqual(expected);
    expect(paths(HYBRID, "/sys/fs/cgroup/memory/e")).toEqual(expected);
  });
});

describe("a directory that cannot be used", () => {
  test.each([
    ["/srv/e", /lies in no cgroup file system/],
    ["/sys/fs/cgroup", /root of a cgroup file system/],
    ["/sys/fs/cgroup/unified", /root of a cgroup file system/],
    ["/sys/fs/cgroup/unified/x/../..", /root|no cgroup/],
    ["/sys/fs/cgroup/../e", /lies in no cgroup file system/],
    ["../e", /root of a cgroup file system/],
    [".", /root of a cgroup file system/],
  ])("%s", (directory, problem) => {
    expect(paths(HYBRID, directory)).toMatch(problem);
  });

  test("no cgroups at all", () => {
    expect(paths("24 30 0:22 / /proc rw - proc proc rw\n", "e")).toMatch(/no cgroup file system/);
  });
});
