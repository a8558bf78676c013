/** Ranges of ids: where they come from, who has which, what the kernel is told. */
import { describe, expect, test } from "vitest";
import { mapText, rangesFrom, rangesOfUser, UserRanges } from "./user-ranges.ts";

const nobody = (): ReadonlySet<string> => new Set();

describe("where ranges come from", () => {
  test("the first line of the user with room for a vassal, in both files", () => {
    const files = {
      subuid: "alice:1:65536\nroot:100:10\nroot:200000:200000\nbroken\n",
      subgid: "0:300000:1000000\n",
    };
    expect(rangesOfUser(files, { name: "root", uid: 0 }, 65_536)).toEqual({
      ...{ uidBase: 200_000, gidBase: 300_000, count: 3, size: 65_536 },
    });
    expect(
      rangesOfUser({ ...files, subgid: "" }, { name: "root", uid: 0 }, 65_536),
    ).toBeUndefined();
    expect(rangesOfUser(files, { name: "bob", uid: 1 }, 65_536)).toBeUndefined();
    const host = { subuid: "root:0:100000\n", subgid: "root:0:100000\n" };
    expect(
      rangesOfUser(host, { name: "root", uid: 0 }, 65_536),
      "the machine's own ids",
    ).toBeUndefined();
  });

  test("a base has room up to the last id", () => {
    expect(rangesFrom(0xffff_ffff - 10, 10)?.count).toBe(1);
    expect(rangesFrom(0xffff_ffff - 9, 10)).toBeUndefined();
  });
});

describe("who has which", () => {
  const source = { uidBase: 1000, gidBase: 2000, count: 4, size: 10 };

  test("each its own, the same again, the same after a restart", () => {
    const ranges = new UserRanges(source, nobody);
    const first = ["a", "b", "c", "d"].map((key) => ranges.of(key));
    expect(new Set(first.map((range) => range?.uidBase))).toEqual(
      new Set([1000, 1010, 1020, 1030]),
    );
    expect(ranges.of("b")).toEqual(first[1]);
    expect(new UserRanges(source, nobody).of("a")).toEqual(first[0]);
  });

  test("those of the dead are given away only when there are no others, those of the living never", () => {
    const living = new Set(["a", "b", "c"]);
    const ranges = new UserRanges(source, () => living);
    const kept = ["a", "b", "c", "d"].map((key) => ranges.of(key)?.uidBase);
    expect(ranges.of("e")?.uidBase).toBe(kept[3]);
    living.add("e");
    expect(ranges.of("f")).toBeUndefined();
    expect(ranges.of("a")?.uidBase).toBe(kept[0]);
    living.delete("b");
    expect(ranges.of("f")?.uidBase).toBe(kept[1]);
  });
});

describe("what the kernel is told", () => {
  test("a range, and the vassal's own user as itself in it, below or above its end", () => {
    expect(mapText(100_000, 65_536, undefined)).toBe("0 100000 65536\n");
    expect(mapText(100_000, 65_536, 1000)).toBe("0 100000 1000\n1000 1000 1\n1001 101001 64535\n");
    expect(mapText(100_000, 65_536, 65_535)).toBe("0 100000 65535\n65535 65535 1\n");
    expect(mapText(100_000, 65_536, 70_000)).toBe("0 100000 65536\n70000 70000 1\n");
  });
});
