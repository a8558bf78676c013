/** Limits as people write them, their order, their names in either version. */
import { describe, expect, test } from "vitest";
import { filesOfVersion1, grantWish, readLimit, settle, type Limit } from "./limits.ts";

const machine = { memoryBytes: 8 * 2 ** 30 };

function limit(text: string): Limit {
  const reading = readLimit(text, machine);
  if (!reading.ok) throw new Error(reading.problem);
  return reading.limit;
}

describe("values", () => {
  test.each([
    ["memory.max=512M", "536870912"],
    ["memory.max = 2G", "2147483648"],
    ["memory.max=1.5GiB", "1610612736"],
    ["memory.max=64kb", "65536"],
    ["memory.max=4096", "4096"],
    ["memory.high=25%", "2147483648"],
    ["memory.max=max", "max"],
    ["memory.swap.max=0", "0"],
    ["cpu.max=50%", "50000 100000"],
    ["cpu.max=250%", "250000 100000"],
    ["cpu.max=12.5%", "12500 100000"],
    ["cpu.max=20000 50000", "20000 50000"],
    ["cpu.max=infinity", "max"],
    ["pids.max=200", "200"],
    ["cpu.weight=50", "50"],
    ["io.max=8:0 rbps=1048576", "8:0 rbps=1048576"],
    ["cgroup.max.descendants=0", "0"],
  ])("%s is %s", (text, value) => {
    expect(limit(text).value).toBe(value);
  });

  test.each([
    "",
    "memory.max",
    "memory.max=",
    "=5",
    "memory.max=lots",
    "memory.max=-5M",
    "memory.max=99999999999999999999",
    "cpu.max=0%",
    "cpu.max=fast",
    "cpu.max=100 10",
    "pids.max=0",
    "pids.max=1e3",
    "cpu.weight=0",
    "cpu.weight=10001",
    "cgroup.procs=1",
    "cgroup.kill=1",
    "cgroup.freeze=1",
    "../memory.max=1",
    "memory/../../x.y=1",
    "memory.swappiness=6\n0",
  ])("%j is refused", (text) => {
    expect(readLimit(text, machine)).toMatchObject({ ok: false });
  });
});

describe("the names of version 1", () => {
  const names = (...texts: readonly string[]): readonly string[] | undefined => {
    const limits = settle(texts.map(limit));
    const files = limits.map((one) => filesOfVersion1(one, limits));
    if (files.includes(undefined)) return undefined;
    return files.flatMap((one) => one ?? []).map(({ file, value }) => `${file}=${value}`);
  };

  test("are written in an order that the kernel accepts", () => {
    expect(names("memory.swap.max=1M", "memory.max=2M", "cpu.max=50%", "pids.max=7")).toEqual([
      "memory.limit_in_bytes=2097152",
      "cpu.cfs_quota_us=50000",
      "pids.max=7",
      "memory.memsw.limit_in_bytes=3145728",
    ]);
    expect(names("memory.max=max", "cpu.max=max", "memory.swap.max=max", "cpu.weight=100")).toEqual(
      [
        "memory.limit_in_bytes=-1",
        "cpu.cfs_quota_us=-1",
        "cpu.shares=1024",
        "memory.memsw.limit_in_bytes=-1",
      ],
    );
  });

  test("do not exist for everything; a name of version 1 itself passes", () => {
    expect(names("cpu.max=20000 50000")).toEqual([
      "cpu.cfs_period_us=50000",
      "cpu.cfs_quota_us=20000",
    ]);
    expect(names("memory.high=1M")).toBeUndefined();
    expect(names("io.max=8:0 rbps=1")).toBeUndefined();
    expect(names("memory.swappiness=10")).toEqual(["memory.swappiness=10"]);
  });

  test("the last value of a key counts", () => {
    expect(names("pids.max=1", "pids.max=2")).toEqual(["pids.max=2"]);
  });
});

describe("a vassal's wish", () => {
  const grant = (wish: string, limits: readonly string[], ceilings: readonly string[] = []) =>
    grantWish(limit(wish), limits.map(limit), ceilings.map(limit));

  test("is granted when it is stricter, whatever it is measured against", () => {
    expect(grant("memory.max=1M", ["memory.max=2M"])).toMatchObject({
      limit: { value: "1048576" },
    });
    expect(grant("memory.max=1M", [])).toMatchObject({ limit: { value: "1048576" } });
    expect(grant("cpu.max=10000 50000", ["cpu.max=50%"])).toMatchObject({ ok: true });
  });

  test("is cut at the administrator's limit, or at the ceiling where there is one", () => {
    expect(grant("memory.max=4M", ["memory.max=2M"])).toMatchObject({
      limit: { value: "2097152" },
      remark: "memory.max=4194304 is above the ceiling: 2097152",
    });
    expect(grant("memory.max=4M", ["memory.max=2M"], ["memory.max=3M"])).toMatchObject({
      limit: { value: "3145728" },
    });
    expect(grant("memory.max=max", ["memory.max=2M"], ["memory.max=3M"])).toMatchObject({
      limit: { value: "3145728" },
    });
    expect(grant("cpu.max=60000 100000", ["cpu.max=50%"])).toMatchObject({
      limit: { value: "50000 100000" },
    });
    expect(grant("cpu.weight=1000", [])).toMatchObject({ limit: { value: "100" } });
  });

  test.each(["memory.min=1G", "memory.low=1G", "memory.swappiness=0", "io.max=8:0 rbps=1"])(
    "%s is nothing for a vassal to choose",
    (wish) => {
      expect(grant(wish, [])).toMatchObject({ ok: false });
    },
  );
});
