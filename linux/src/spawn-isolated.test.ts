/** Shared spawns in namespaces: maps, names, loopback, what a failure says. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ended, outputOf, shell, zombies } from "../test/harness.ts";
import { isRoot, needing, rootTest } from "../test/privileges.ts";
import { CLONE_NEW, spawn, spawnAsync, type SpawnOptions, type SpawnResult } from "./index.ts";

const range = { uidMap: "0 100000 65536\n", gidMap: "0 100000 65536\n", denySetgroups: false };
const INNER_ROOT = { uid: 0, gid: 0, groups: [] };

async function stdout(line: string, extra: Partial<SpawnOptions>): Promise<string> {
  const { text, status } = await outputOf(shell(line, extra));
  expect(status).toMatchObject({ code: 0, signal: null });
  return text.trim();
}

/** Linux 6.1 or later: a program is in the time namespace that was made for it, not only its children. */
function hasTimeNamespaces(): boolean {
  try {
    const [major = 0, minor = 0] = readFileSync("/proc/sys/kernel/osrelease", "utf8")
      .split(".")
      .map(Number);
    readFileSync("/proc/self/timens_offsets");
    return major > 6 || (major === 6 && minor >= 1);
  } catch {
    return false;
  }
}

describe("a user namespace in shared memory", () => {
  rootTest("is mapped before the child goes on", async () => {
    const text = await stdout(
      "id -u; id -g; tr -s ' ' </proc/self/uid_map; cat /proc/self/setgroups",
      {
        namespaces: CLONE_NEW.user,
        userMap: range,
        credentials: INNER_ROOT,
      },
    );
    expect(text.split("\n").map((line) => line.trim())).toEqual([
      "0",
      "0",
      "0 100000 65536",
      "allow",
    ]);
  });

  rootTest("does not change who may look into this process", async () => {
    const before = readFileSync("/proc/self/status", "utf8");
    await stdout("true", { namespaces: CLONE_NEW.user, userMap: range, credentials: INNER_ROOT });
    expect(readFileSync("/proc/self/status", "utf8").match(/^Cap.*$/gm)).toEqual(
      before.match(/^Cap.*$/gm),
    );
    // Undumpable processes' files belong to root alone and cannot be read by their own user.
    expect(readFileSync("/proc/self/environ").length).toBeGreaterThan(0);
  });

  rootTest("that the kernel refuses leaves no process", () => {
    const result = spawn(
      shell("true", { namespaces: CLONE_NEW.user, userMap: { ...range, gidMap: "0 0" } }),
    );
    expect(result).toMatchObject({ ok: false, stage: "user-namespace", code: "EINVAL", index: 2 });
    expect(zombies()).toEqual([]);
  });

  rootTest("with mounts and pids of its own gets its own /proc", async () => {
    const text = await stdout("ls /proc | grep -c '^[0-9]'; echo $$", {
      namespaces: CLONE_NEW.user | CLONE_NEW.mount | CLONE_NEW.pid,
      userMap: range,
      credentials: INNER_ROOT,
      makeMountsPrivate: true,
      mountProc: true,
    });
    const [seen = "", own] = text.split("\n");
    expect(own).toBe("1");
    // The shell and the two of its pipe.
    expect(Number(seen)).toBeLessThan(5);
  });

  rootTest("is made by many at once, none of which waits for another", async () => {
    const results = await Promise.all(
      Array.from(
        { length: 40 },
        (_, n) =>
          new Promise<SpawnResult>((resolve) =>
            spawnAsync(
              shell("exit $(($(id -u) == 0 ? 7 : 1))", {
                namespaces: CLONE_NEW.user,
                userMap: { ...range, uidMap: n % 4 === 3 ? "no map" : range.uidMap },
                credentials: INNER_ROOT,
              }),
              resolve,
            ),
          ),
      ),
    );
    for (const [n, result] of results.entries()) {
      if (n % 4 === 3)
        expect(result).toMatchObject({ ok: false, stage: "user-namespace", index: 1 });
      else {
        if (!result.ok) throw new Error(JSON.stringify(result));
        expect(await ended(result)).toMatchObject({ code: 7 });
      }
    }
    expect(zombies()).toEqual([]);
  });
});

describe("what is set in new namespaces", () => {
  rootTest("the host's name", async () => {
    const name = await stdout("hostname", { namespaces: CLONE_NEW.uts, hostName: "shop-1" });
    expect(name).toBe("shop-1");
    expect(await stdout("hostname", {})).not.toBe("shop-1");
  });

  rootTest("the loopback interface is up", async () => {
    const flags = await stdout(
      "cat /proc/self/net/dev | grep -c lo: ; cat /sys/class/net/lo/flags",
      {
        namespaces: CLONE_NEW.net | CLONE_NEW.mount,
        makeMountsPrivate: true,
        loopback: true,
        mode: "copied",
        beforeDropActions: [
          { kind: "mount", fstype: "sysfs", source: "sysfs", target: "/sys", flags: 0, data: "" },
        ],
      },
    );
    // IFF_UP, IFF_LOOPBACK.
    expect(flags.split("\n")).toEqual(["1", "0x9"]);
  });

  needing(isRoot && hasTimeNamespaces(), "needs root and time namespaces (Linux 6.1)")(
    "a time namespace",
    async () => {
      const inside = await stdout("readlink /proc/self/ns/time", { namespaces: CLONE_NEW.time });
      expect(inside).toMatch(/^time:\[\d+\]$/);
      expect(inside).not.toBe(await stdout("readlink /proc/self/ns/time", {}));
    },
  );

  test("a name that is too long is that step's failure", () => {
    const result = spawn(shell("true", { hostName: "x".repeat(65) }));
    expect(result).toMatchObject({
      ok: false,
      stage: "hostname",
      code: isRoot ? "EINVAL" : "EPERM",
    });
  });
});
