import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { addonProgram, outputOf } from "../test/harness.ts";
import { rootTest } from "../test/privileges.ts";
import {
  capabilityNumber,
  getCapabilities,
  limitBoundingSet,
  lookupGroup,
  lookupUser,
  setCapabilities,
  setCredentials,
  userGroups,
} from "./index.ts";

describe("look-ups", () => {
  test("find users by name, number and digits", () => {
    const root = {
      uid: 0,
      gid: 0,
      name: "root",
      home: "/root",
      shell: execFileSync("getent", ["passwd", "root"], { encoding: "utf8" }).trim().split(":")[6],
    };
    expect(lookupUser("root")).toEqual(root);
    expect(lookupUser(0)).toEqual(root);
    expect(lookupUser("0")).toEqual(root);
    expect(lookupUser("no-such-user")).toBeUndefined();
    expect(lookupUser(4_000_000_000)).toBeUndefined();
    expect(() => lookupUser("a\0b")).toThrow(/NUL/);
    expect(() => lookupUser(-1)).toThrow(TypeError);
  });

  test("find groups", () => {
    expect(lookupGroup("root")).toEqual({ gid: 0, name: "root" });
    expect(lookupGroup(0)).toEqual({ gid: 0, name: "root" });
    expect(lookupGroup("no-such-group")).toBeUndefined();
  });

  test("list a user's groups, the given one among them", () => {
    expect(userGroups("root", 4321)).toContain(4321);
    expect(userGroups("no-such-user", 7)).toEqual([7]);
    const byMachine = execFileSync("id", ["-G", "www-data"], { encoding: "utf8" })
      .trim()
      .split(" ")
      .map(Number);
    expect(
      userGroups("www-data", lookupUser("www-data")?.gid ?? -1).toSorted((a, b) => a - b),
    ).toEqual(byMachine.toSorted((a, b) => a - b));
  });
});

rootTest("credentials change in every thread", async () => {
  const script = `native.setCredentials(65534, 65533, Float64Array.of(65532, 65531));
    for (const thread of fs.readdirSync("/proc/self/task")) {
      const lines = fs.readFileSync("/proc/self/task/" + thread + "/status", "utf8").split("\\n").filter((line) => /^(Uid|Gid|Groups):/.test(line));
      console.log(lines.join(" ").replace(/\\s+/g, " "));
    }`;
  const { text, status } = await outputOf(addonProgram(script));
  expect(status.code).toBe(0);
  const lines = text.trim().split("\n");
  expect(lines.length).toBeGreaterThan(3);
  expect(new Set(lines.map((line) => line.trim()))).toEqual(
    new Set(["Uid: 65534 65534 65534 65534 Gid: 65533 65533 65533 65533 Groups: 65531 65532"]),
  );
});

test("credentials that are refused are told by step", async () => {
  const script = `if (process.getuid() === 0) native.setCredentials(65534, 65534, new Float64Array(0));
    try { native.setCredentials(0, 0, new Float64Array(0)); } catch (error) { console.log(error.message); }`;
  // 1 is EPERM.
  expect((await outputOf(addonProgram(script))).text.trim()).toBe("setgroups 1");
});

rootTest("credentials that this process has may be set again", () => {
  setCredentials({ uid: 0, gid: 0, groups: process.getgroups?.() ?? [] });
  expect(process.getuid?.()).toBe(0);
});

describe("capabilities", () => {
  rootTest("can be given up and taken back while they are permitted", () => {
    const before = getCapabilities();
    const kill = capabilityNumber("kill") ?? -1;
    expect(before.effective).toContain(kill);
    setCapabilities({
      ...before,
      effective: before.effective.filter((capability) => capability !== kill),
      inheritable: [kill],
    });
    const during = getCapabilities();
    expect(during.effective).not.toContain(kill);
    expect(during.permitted).toContain(kill);
    expect(during.inheritable).toEqual([kill]);
    setCapabilities(before);
    expect(getCapabilities()).toEqual(before);
    expect(() => setCapabilities({ effective: [kill], permitted: [], inheritable: [] })).toThrow(
      expect.objectContaining({ code: "EPERM", step: "capset" }),
    );
  });

  rootTest("the bounding set shrinks for good", async () => {
    const script = `for (let capability = 0; capability < 41; capability++) if (capability !== 5) try { native.dropBoundingCapability(capability); } catch {}
      console.log(JSON.stringify(native.getCapabilities().map((set) => [...set])[4]));`;
    expect((await outputOf(addonProgram(script))).text.trim()).toBe("[5]");
    // Keeping all of it drops nothing.
    const before = getCapabilities().bounding;
    limitBoundingSet(before);
    expect(getCapabilities().bounding).toEqual(before);
  });
});
