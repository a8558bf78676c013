/** The codes and docs/errors.md agree, both ways. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EMPEROR_ERRORS, EmperorError, errnoOf, reasonOf } from "./errors.ts";

function documented(): Record<string, number> {
  const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const section = page.split(/^## /m).find((part) => part.startsWith("emperor\n")) ?? "";
  const rows = section.matchAll(/^\| `([a-z-]+)` \| (\d+) \| \S.*\S \|$/gm);
  return Object.fromEntries([...rows].map(([, code = "", exit = ""]) => [code, Number(exit)]));
}

describe("error codes", () => {
  it("are all described, with their exit code, and nothing else is", () => {
    expect(documented()).toEqual({ ...EMPEROR_ERRORS });
  });

  it("lead to their exit code", () => {
    const cause = new Error("inner");
    const error = new EmperorError("bind-failed", "cannot", { cause });
    expect(error).toMatchObject({ code: "bind-failed", exitCode: 111, cause });
  });
});

describe("system errors", () => {
  it("are told by their reason, without the call that the message names anyway", () => {
    const error = Object.assign(new Error("EACCES: permission denied, open '/x'"), {
      code: "EACCES",
    });
    expect(reasonOf(error)).toBe("EACCES: permission denied");
    expect(errnoOf(error)).toBe("EACCES");
    const listen = new Error("listen EADDRNOTAVAIL: address not available 1.2.3.4:80");
    expect(reasonOf(listen)).toBe("EADDRNOTAVAIL: address not available");
    expect(reasonOf("text")).toBe("text");
    expect(errnoOf(new Error("x"))).toBe("");
  });
});
